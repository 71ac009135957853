import { resolve } from 'node:path'
import { Type, type TProperties, type TSchema, type TUnsafe } from '@sinclair/typebox'
import { INTERVAL_PATTERN, parseInterval, parseSize, SIZE_PATTERN } from './quantities.js'
import { decoded, InvalidSettingError } from './setting.js'

interface Field {
  readonly description: string
}

interface SizeField extends Field {
  /** As written in a file, such as `32MiB`; so are the bounds. */
  readonly default: string
  readonly min: string
  readonly max: string
}

/** A group of settings. An empty one (`null`) counts as absent. */
export function section<P extends TProperties>(description: string, properties: P) {
  return Type.Object(properties, { description, additionalProperties: false, group: true })
}

/** A number of bytes, written with a unit or as a plain number. */
export function size({ min, max, ...field }: SizeField): TUnsafe<number> {
  const least = parseSize(min)
  const most = parseSize(max)
  const schema = Type.Union([Type.String({ pattern: SIZE_PATTERN }), Type.Integer()], field)
  return decoded(schema, (value: string | bigint) => {
    const bytes = typeof value === 'string' ? parseSize(value) : Number(value)
    if (bytes < least) throw new InvalidSettingError(`at least ${min}`)
    if (bytes > most) throw new InvalidSettingError(`at most ${max}`)
    return bytes
  })
}

/** A time span, written with a unit; yields milliseconds. */
export function interval({ min, max, ...field }: SizeField): TUnsafe<number> {
  return decoded(Type.String({ pattern: INTERVAL_PATTERN, ...field }), (value: string) =>
    withinMs(parseInterval(value), min, max),
  )
}

/** @throws InvalidSettingError */
export function withinMs(milliseconds: number, min: string, max: string): number {
  if (milliseconds < parseInterval(min)) throw new InvalidSettingError(`at least ${min}`)
  if (milliseconds > parseInterval(max)) throw new InvalidSettingError(`at most ${max}`)
  return milliseconds
}

/** A whole number within bounds. */
export function count(value: number, minimum: number, maximum: number, description: string) {
  return Type.Integer({ default: value, minimum, maximum, description })
}

/** One of some words. */
export function oneOf<const W extends string>(words: readonly W[], field: Field & { readonly default: W }): TUnsafe<W> {
  return Type.Unsafe<W>(
    Type.Union(
      words.map((word) => Type.Literal(word)),
      field,
    ),
  )
}

interface TextListField extends Field {
  readonly default?: readonly string[]
  readonly maxItems?: number
}

/** A list of texts, empty by default. */
export function textList(decode: (text: string) => string, field: TextListField): TUnsafe<readonly string[]> {
  const item = decoded(Type.String({ minLength: 1 }), decode)
  return Type.Unsafe<readonly string[]>(Type.Array(item, { default: [], maxItems: 10_000, ...field }))
}

/** A path of the file system; relative ones start where the value stands: at the file, or the working directory. */
export function path<S extends TSchema>(schema: S): TUnsafe<S['static']> {
  return decoded(schema, (value: string | null, { directory }) => (value === null ? null : resolve(directory, value)))
}
