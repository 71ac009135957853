import { nearestWord } from '../core/index.js'
import { EMPTY_LAYER, joinLayers, readValueLayer, type Layer } from './layer.js'
import { problemAt } from './problem.js'
import { leavesOf, type SchemaNode } from './schema-node.js'
import type { ReaderOptions } from './setting-reader.js'
import { SourceText } from './source-text.js'

const PREFIX = 'MILLRACE_'

/** Variables that are read elsewhere: the file to use, and what the command line talks to. */
const OTHER_VARIABLES = new Set(['MILLRACE_CONFIG', 'MILLRACE_NODE', 'MILLRACE_TOKEN'])

/** The environment as Node shows it. */
export type Environment = Readonly<Record<string, string | undefined>>

/** `['storage', 'block', 'maxEvents']` → `MILLRACE_STORAGE_BLOCK_MAX_EVENTS`. */
export function variableOf(path: readonly string[]): string {
  return PREFIX + path.map((key) => key.replaceAll(/[A-Z]/g, '_$&').toUpperCase()).join('_')
}

/**
 * Reads the settings in the environment. An empty variable counts as unset. One that looks like a setting and is none
 * is an error, any other with our prefix a warning: it may belong to a script around the daemon.
 */
export function readEnvironment(schema: SchemaNode, environment: Environment, options: ReaderOptions): Layer {
  const leaves = new Map(leavesOf(schema).map((leaf) => [variableOf(leaf.path), leaf]))
  const layers: Layer[] = []
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || text === undefined || text === '' || OTHER_VARIABLES.has(name)) continue
    const leaf = leaves.get(name)
    const source = new SourceText(name, text)
    layers.push(
      leaf === undefined ? unknownVariable(source, schema, [...leaves.keys()]) : readValueLayer(leaf, source, options),
    )
  }
  return joinLayers(layers)
}

function unknownVariable(source: SourceText, schema: SchemaNode, known: readonly string[]): Layer {
  // Compared without the prefix, which is long and always equal.
  const nearest = nearestWord(
    source.name.slice(PREFIX.length),
    known.map((name) => name.slice(PREFIX.length)),
  )
  const mend = nearest === undefined ? undefined : `did you mean ${PREFIX}${nearest}?`
  const problem = problemAt(source, 0, source.text.length, `there is no setting ${source.name}`, mend)
  const isOfGroup = Object.keys(schema.properties ?? {}).some(
    (key) => source.name === variableOf([key]) || source.name.startsWith(`${variableOf([key])}_`),
  )
  return isOfGroup || nearest !== undefined
    ? { ...EMPTY_LAYER, problems: [problem] }
    : { ...EMPTY_LAYER, warnings: [problem] }
}
