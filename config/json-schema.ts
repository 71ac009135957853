import { mayBeEmpty, type SchemaNode } from './schema-node.js'
import { settingsSchema } from './settings-schema.js'

/** The JSON Schema (draft-07) of the configuration file, for editors and other tools. */
export function settingsJsonSchema(): Record<string, unknown> {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'millrace configuration',
    ...toJson(settingsSchema),
  }
}

/** The definition without what only the daemon needs. What has a default may be left out. */
function toJson(schema: SchemaNode): Record<string, unknown> {
  const { properties, patternProperties, items, anyOf, joinHalves, group, ...plain } = schema
  const json: Record<string, unknown> = { ...plain }
  if (mayBeEmpty(schema)) json['type'] = [schema.type, 'null']
  if (anyOf !== undefined) json['anyOf'] = anyOf.map(toJson)
  if (patternProperties !== undefined) json['patternProperties'] = mapValues(patternProperties, toJson)
  if (items !== undefined)
    json['items'] = joinHalves === undefined ? toJson(items) : orHalves(toJson(items), joinHalves)
  if (properties !== undefined) {
    json['properties'] = mapValues(properties, toJson)
    const required = group ? [] : Object.keys(properties).filter((key) => properties[key]?.default === undefined)
    delete json['required']
    if (required.length > 0) json['required'] = required
  }
  return json
}

/** A whole item, or one with just either half. */
function orHalves(whole: Record<string, unknown>, halves: readonly [string, string]): Record<string, unknown> {
  const { required, ...item } = whole
  const only = (key: string) => ({ required: [key], maxProperties: 1 })
  return { ...item, anyOf: [{ required }, ...halves.map(only)] }
}

function mapValues(
  record: Readonly<Record<string, SchemaNode>>,
  change: (schema: SchemaNode) => unknown,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(record).map(([key, schema]) => [key, change(schema)]))
}
