import { isMap, isScalar, Scalar, type Node } from 'yaml'
import { plainValue } from './plain-value.js'
import { INVALID, isOfKind, SettingReader, type ReaderOptions } from './setting-reader.js'
import { acceptsText, isOnlyForFiles, leavesOf, mayBeEmpty, type Leaf, type SchemaNode } from './schema-node.js'
import type { Problem } from './problem.js'
import { SourceText } from './source-text.js'
import { parseYaml, type YamlText } from './yaml-text.js'

/** What one source, such as the file or an environment variable, says about settings. */
export interface Layer {
  /** By path, such as `storage.block.maxEvents`. */
  readonly values: ReadonlyMap<string, LayerValue>
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
  /** Where the names in maps of named things stand, by path such as `eventRouting.streams.NAME`. */
  readonly names: ReadonlyMap<string, WrittenPlace>
}

export interface LayerValue extends WrittenPlace {
  readonly value: unknown
  /** As it was written, as JSON could say it. */
  readonly written: unknown
}

/** Where something is written, for what turns out wrong only beside other settings. */
export interface WrittenPlace {
  readonly source: SourceText
  readonly start: number
  readonly end: number
}

/** Reads a configuration file. */
export function readFileLayer(schema: SchemaNode, source: SourceText, options: ReaderOptions): Layer {
  const yaml = parseYaml(source)
  const reader = new SettingReader(source, yaml, options)
  const values = new Map<string, LayerValue>()
  const names = new Map<string, WrittenPlace>()
  const root = yaml.root
  if (root !== undefined && !isNull(root)) {
    if (isMap(root)) readSection(schema, root, [])
    else reader.refuseStart(root, 'expected a map of settings', 'write key: value')
  }
  return { ...layerOf(values, yaml, reader, source), names }

  function readSection(section: SchemaNode, written: Node, path: readonly string[]): void {
    const map = yaml.resolve(written)
    if (isNull(map)) return
    if (!isMap(map)) {
      reader.refuseStart(map, `'${path.join('.')}' is a group of settings`, `known here: ${namesOf(section)}`)
      return
    }
    for (const member of reader.members(section, map)) {
      const inner = section.properties?.[member.name]
      if (inner === undefined) continue
      if (inner.group) readSection(inner, member.value, [...path, member.name])
      else readLeaf({ path: [...path, member.name], schema: inner }, member)
    }
  }

  function readLeaf({ path, schema: leaf }: Leaf, { key, value }: { readonly key: Node; readonly value: Node }): void {
    // An empty list or map, as left behind when all entries are commented out.
    if (isNull(yaml.resolve(value)) && mayBeEmpty(leaf)) return
    const read = reader.read(leaf, value)
    const [start, end] = key.range ?? [0, 0]
    if (read !== INVALID) {
      const written = plainValue(value, (node) => yaml.resolve(node))
      values.set(path.join('.'), { value: read, written, source, start, end })
    }
    for (const [name, [from, to]] of reader.takeNames()) {
      names.set([...path, name].join('.'), { source, start: from, end: to })
    }
  }
}

/** Reads the value of one setting given as YAML, or as bare text where the setting takes texts. */
export function readValueLayer({ path, schema }: Leaf, source: SourceText, options: ReaderOptions): Layer {
  if (schema.writeOnly === true) source.hide(0, source.text.length)
  const yaml = parseYaml(source)
  const isText = acceptsText(schema) && (yaml.problems.length > 0 || isOtherWord(yaml.root, schema))
  return isText ? readTextLayer({ path, schema }, source, options) : readNode({ path, schema }, source, yaml, options)
}

/** Reads the value of one setting given as bare text, such as a flag of the command line. */
export function readTextLayer(leaf: Leaf, source: SourceText, options: ReaderOptions): Layer {
  const scalar = new Scalar(source.text)
  const { length } = source.text
  scalar.range = [0, length, length]
  scalar.type = 'PLAIN'
  const yaml = { root: scalar, resolve: (node: Node) => node, problems: [], brokenLines: new Set<number>() }
  return readNode(leaf, source, { ...yaml, soundUntil: Infinity }, options)
}

/** The values that settings have when nobody sets them. */
export function readDefaults(schema: SchemaNode, options: ReaderOptions): Layer {
  const layers = leavesOf(schema).map((leaf) =>
    readNodeOfText(leaf, new SourceText('default', JSON.stringify(leaf.schema.default)), options),
  )
  return joinLayers(layers)
}

/** Says nothing. */
export const EMPTY_LAYER: Layer = { values: new Map(), problems: [], warnings: [], names: new Map() }

/** Later layers win. */
export function joinLayers(layers: readonly Layer[]): Layer {
  return {
    values: new Map(layers.flatMap((layer) => [...layer.values])),
    problems: layers.flatMap((layer) => layer.problems),
    warnings: layers.flatMap((layer) => layer.warnings),
    names: new Map(layers.flatMap((layer) => [...layer.names])),
  }
}

function readNodeOfText(leaf: Leaf, source: SourceText, options: ReaderOptions): Layer {
  return readNode(leaf, source, parseYaml(source), options)
}

function readNode({ path, schema }: Leaf, source: SourceText, yaml: YamlText, options: ReaderOptions): Layer {
  const reader = new SettingReader(source, yaml, options)
  const values = new Map<string, LayerValue>()
  if (isOnlyForFiles(schema) && source.name !== 'default') {
    reader.refuseAt(0, source.text.length, `'${path.join('.')}' can be set only in the file`)
  } else if (yaml.root !== undefined) {
    const value = reader.read(schema, yaml.root)
    const written = plainValue(yaml.root, (node) => yaml.resolve(node))
    const place = { source, start: 0, end: source.text.length }
    if (value !== INVALID) values.set(path.join('.'), { value, written, ...place })
  }
  return layerOf(values, yaml, reader, source)
}

function layerOf(values: Layer['values'], yaml: YamlText, reader: SettingReader, source: SourceText): Layer {
  return {
    values,
    problems: soundProblems(yaml, reader.problems, source),
    warnings: reader.warnings,
    names: new Map(),
  }
}

/**
 * Errors of the text itself, and of those in values the ones that can be trusted: where the text is broken, the values
 * behind and beside it are guesses of the parser.
 */
function soundProblems(yaml: YamlText, inValues: readonly Problem[], source: SourceText): Problem[] {
  const limit = yaml.soundUntil === Infinity ? Infinity : source.placeOf(yaml.soundUntil).line
  const trusted = inValues.filter(({ line }) => line < limit && !yaml.brokenLines.has(line))
  const all = [...yaml.problems, ...trusted]
  return all.sort((a, b) => a.line - b.line || a.column - b.column)
}

function isNull(node: Node): boolean {
  return isScalar(node) && node.value === null
}

/** A bare word that YAML takes for something that the setting does not: `123` as a name. */
function isOtherWord(node: Node | undefined, schema: SchemaNode): boolean {
  return isScalar(node) && node.type === 'PLAIN' && node.value !== null && !isOfKind(schema, node)
}

function namesOf(section: SchemaNode): string {
  return Object.keys(section.properties ?? {}).join(', ')
}
