import { Type, type TSchema, type TUnsafe } from '@sinclair/typebox'

/** A value is refused; caught where its place in the file is known. */
export class InvalidSettingError extends Error {
  readonly mend: string | undefined
  /** Where inside a text value, in UTF-16 units. */
  readonly offset: number | undefined

  constructor(reason: string, mend?: string, offset?: number) {
    super(reason)
    this.mend = mend
    this.offset = offset
  }
}

/** What a decoder may need besides the value. */
export interface DecodeContext {
  /** Where relative paths start. */
  readonly directory: string
  readonly warn: (reason: string, mend?: string) => void
}

type Decode = (value: never, context: DecodeContext) => unknown

const DECODE = Symbol('decode')
const CHECK_NAME = Symbol('check name')

/**
 * A schema for the form in the file that yields another value in the settings. Whole numbers reach the decoder as
 * `bigint`, maps of named things as `Map`. The decoder throws {@link InvalidSettingError} to refuse a value.
 */
export function decoded<Out>(schema: TSchema, decode: (value: never, context: DecodeContext) => Out): TUnsafe<Out> {
  return Type.Unsafe<Out>({ ...schema, [DECODE]: decode })
}

/** A map of named things whose names are checked by `check`, which throws {@link InvalidSettingError} to refuse one. */
export function named<S extends TSchema>(schema: S, check: (name: string) => unknown): S {
  return { ...schema, [CHECK_NAME]: check }
}

/** Checks a name in a map made by {@link named}. @throws InvalidSettingError */
export function checkNameIn(schema: object, name: string): void {
  const { [CHECK_NAME]: check } = schema as { readonly [CHECK_NAME]?: (name: string) => unknown }
  check?.(name)
}

/** The decoder of a schema made by {@link decoded}. */
export function decoderOf(schema: object): ((value: unknown, context: DecodeContext) => unknown) | undefined {
  const decode = (schema as { readonly [DECODE]?: Decode })[DECODE]
  return decode as ((value: unknown, context: DecodeContext) => unknown) | undefined
}
