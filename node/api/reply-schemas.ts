import { Type, type TObject, type TProperties } from '@sinclair/typebox'

/** Parts of the schemas of our own resources. */

/** Nothing but the members that are named. */
export const CLOSED = { additionalProperties: false }

export function integer(description: string, minimum = 0): ReturnType<typeof Type.Integer> {
  return Type.Integer({ minimum, maximum: Number.MAX_SAFE_INTEGER, description })
}

export function orNull(description: string) {
  return Type.Union([Type.Integer(), Type.Null()], { description })
}

export function exactly<T extends TProperties>(properties: T, description: string): TObject<T> {
  return Type.Object(properties, { ...CLOSED, description })
}

/** One of some words. */
export function oneOf<T extends string>(values: readonly T[], description: string) {
  return Type.Unsafe<T>({ type: 'string', enum: [...values], description })
}

export function textOrNull(description: string) {
  return Type.Union([Type.String(), Type.Null()], { description })
}
