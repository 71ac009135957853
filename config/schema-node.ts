/** The parts of JSON Schema that the settings use, as plain data; TypeBox makes such objects. */
export interface SchemaNode {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'null' | 'boolean'
  readonly const?: string
  readonly anyOf?: readonly SchemaNode[]
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly patternProperties?: Readonly<Record<string, SchemaNode>>
  readonly items?: SchemaNode
  readonly minItems?: number
  readonly maxItems?: number
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly default?: unknown
  readonly description?: string
  /** A secret: messages do not show what was written. */
  readonly writeOnly?: boolean
  /** A group of settings rather than one value; may be left out or empty (`null`). */
  readonly group?: true
  /** Two members that may stand in neighbouring items of a list instead of in one. */
  readonly joinHalves?: readonly [string, string]
}

/** One setting: a value of its own, not a group of others. */
export interface Leaf {
  /** Such as `['storage', 'block', 'maxEvents']`. */
  readonly path: readonly string[]
  readonly schema: SchemaNode
}

/** All settings below a group, in the order of the schema. */
export function leavesOf(schema: SchemaNode, path: readonly string[] = []): Leaf[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, member]) => {
    const below = [...path, key]
    return member.group ? leavesOf(member, below) : [{ path: below, schema: member }]
  })
}

/** Whether a setting can be written as a text. */
export function acceptsText(schema: SchemaNode): boolean {
  return schema.type === 'string' || (schema.anyOf ?? []).some((form) => form.type === 'string')
}

/** Lists and maps of things with members are too much for one environment variable. */
export function isOnlyForFiles(schema: SchemaNode): boolean {
  return schema.patternProperties !== undefined || schema.items?.type === 'object'
}

/** Whether nothing (`null`) may stand for a setting, as it does when all entries of a list are commented out. */
export function mayBeEmpty(schema: SchemaNode): boolean {
  return (
    schema.group === true || (schema.default !== undefined && (schema.type === 'array' || schema.type === 'object'))
  )
}
