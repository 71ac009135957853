import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ConfigError, ConfigUnreadableError } from './config-error.js'
import { crossCheck, findNetworkKey, findStateUrl, unfedStreams } from './cross-checks.js'
import { readEnvironment, variableOf, type Environment } from './environment.js'
import { EMPTY_LAYER, joinLayers, readDefaults, readFileLayer, readTextLayer, type Layer } from './layer.js'
import type { Problem } from './problem.js'
import { DRAFT, ROUTING } from './routing-section.js'
import { leavesOf, type SchemaNode } from './schema-node.js'
import { settingsSchema, type SettingValues } from './settings-schema.js'
import type { ReaderOptions } from './setting-reader.js'
import { toSettings, type Settings } from './settings.js'
import { SourceText } from './source-text.js'
import { reasonOf } from './unreadable.js'

const SCHEMA = settingsSchema as SchemaNode

/** Settings that the command line can set, and their paths. */
const FLAG_PATHS = { data: 'data', api: 'api.listen', socket: 'api.socket' } as const

/** Values of the flags `--data`, `--api` and `--socket`, as typed. */
export type Flags = { readonly [Flag in keyof typeof FLAG_PATHS]?: string | undefined }

/** Where settings come from. */
export interface LoadRequest {
  /** Path of the configuration file; without one there are only defaults below environment and flags. */
  readonly file?: string | undefined
  /** Stands for the content of the file. */
  readonly text?: string | undefined
  readonly env: Environment
  readonly flags: Flags
  /** Where relative paths of environment and flags start; the working directory unless given. */
  readonly directory?: string
  /** Whether the key file of the swarm is read, which only the daemon may be able to; without it there is no key. Default: yes. */
  readonly withSecrets?: boolean
}

/** Which source decided a setting. */
export type SettingSource =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string; readonly line: number }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'flag'; readonly flag: string }

/** Settings, what was odd about them, and where each comes from. */
export interface LoadedSettings {
  readonly settings: Settings
  readonly warnings: readonly Problem[]
  /** By path, such as `storage.block.maxEvents`. */
  readonly sources: ReadonlyMap<string, SettingSource>
  /** In the order of the reference. */
  readonly report: readonly SettingReport[]
}

/** A setting as operators see it. */
export interface SettingReport {
  /** Such as `storage.block.maxEvents`. */
  readonly path: string
  /** As it was written; `undefined` for a secret. */
  readonly value: unknown
  readonly isSecret: boolean
  /** Whether it differs from nothing. */
  readonly isSet: boolean
  readonly source: SettingSource
}

/**
 * Puts the settings together: flags beat the environment, that the file, that the defaults.
 *
 * @throws ConfigError with all that is wrong in any of them; ConfigUnreadableError
 */
export function loadSettings(request: LoadRequest): LoadedSettings {
  const { file, text, env, flags, directory = process.cwd() } = request
  const options = { directory }
  const layers = [
    { kind: 'default', layer: readDefaults(SCHEMA, options) },
    { kind: 'file', layer: file === undefined ? EMPTY_LAYER : readFile(resolve(directory, file), file, text) },
    { kind: 'environment', layer: readEnvironment(SCHEMA, env, options) },
    { kind: 'flag', layer: readFlags(flags, options) },
  ] as const
  const joined = joinLayers(layers.map(({ layer }) => layer))
  if (joined.problems.length > 0) throw new ConfigError(joined.problems)
  const written = joinLayers(layers.slice(1).map(({ layer }) => layer))
  const { settings, problems, warnings } = putTogether(joined, written, request.withSecrets ?? true)
  if (problems.length > 0) throw new ConfigError(problems)
  const sources = new Map(layers.flatMap(({ kind, layer }) => sourcesOf(kind, layer)))
  return { settings, warnings: [...joined.warnings, ...warnings], sources, report: reportOf(joined, sources) }
}

/** What {@link loadSettings} would say about the text of a file alone. */
export interface ConfigCheck {
  /** Absent when there are problems. */
  readonly settings?: Settings
  readonly problems: readonly Problem[]
  readonly warnings: readonly Problem[]
}

/** Checks the text of a configuration file, without environment and flags. */
export function checkConfigText(text: string, fileName: string): ConfigCheck {
  const options = { directory: dirname(resolve(fileName)) }
  const layer = readFileLayer(SCHEMA, new SourceText(fileName, text), options)
  if (layer.problems.length > 0) return { problems: layer.problems, warnings: layer.warnings }
  const joined = joinLayers([readDefaults(SCHEMA, { directory: process.cwd() }), layer])
  const { settings, problems, warnings: found } = putTogether(joined, layer, true)
  const warnings = [...layer.warnings, ...found]
  return problems.length > 0 ? { problems, warnings } : { settings, problems, warnings }
}

/** Checks the text of the section `eventRouting` alone. */
export function checkDraftText(text: string): ConfigCheck {
  const section = SCHEMA.properties?.[ROUTING]
  if (section === undefined) throw new TypeError(`there is no section ${ROUTING}`)
  const { problems, warnings } = readFileLayer(section, new SourceText(DRAFT, text), { directory: process.cwd() })
  return { problems, warnings }
}

/** The settings of a layer that sets everything, and what is wrong or odd about them together. */
function putTogether(joined: Layer, written: Layer, withSecrets: boolean) {
  const values = assemble(SCHEMA, joined, []) as SettingValues
  const placeOf = (path: string) => written.values.get(path)
  const key = withSecrets ? findNetworkKey(values, placeOf) : undefined
  const url = withSecrets ? findStateUrl(values, placeOf) : undefined
  const settings = toSettings(values, textOf(key), textOf(url))
  const problems = [...crossCheck(settings, placeOf), ...[key, url].filter((found) => typeof found === 'object')]
  const warnings = unfedStreams(settings, (stream) => written.names.get(`eventRouting.streams.${stream}`))
  return { settings, problems, warnings }
}

function textOf(found: string | Problem | undefined): string | undefined {
  return typeof found === 'string' ? found : undefined
}

/** Bytes of a file that are looked at: beyond, the text is refused by its length anyway. */
const MOST_BYTES = 4 * 1024 ** 2

function readFile(path: string, name: string, text = readText(path, name)): Layer {
  return readFileLayer(SCHEMA, new SourceText(name, text), { directory: dirname(path) })
}

function reportOf({ values }: Layer, sources: ReadonlyMap<string, SettingSource>): SettingReport[] {
  return leavesOf(SCHEMA).map(({ path, schema }) => {
    const name = path.join('.')
    const written = values.get(name)?.written ?? null
    const isSecret = schema.writeOnly === true
    const isSet = written !== null
    return {
      path: name,
      value: isSecret ? undefined : written,
      isSecret,
      isSet,
      source: sources.get(name) ?? { kind: 'default' },
    }
  })
}

/** The text of a configuration file. @throws ConfigUnreadableError */
export function readText(path: string, name: string): string {
  let bytes: Uint8Array
  try {
    bytes = readFileSync(path)
  } catch (error) {
    throw new ConfigUnreadableError(`cannot read the configuration file ${name}: ${reasonOf(error)}`, { cause: error })
  }
  if (bytes.length > MOST_BYTES) throw new ConfigUnreadableError(`${name} is too large for a configuration file`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new ConfigUnreadableError(`the configuration file ${name} is not UTF-8`, { cause: error })
  }
}

function readFlags(flags: Flags, options: ReaderOptions): Layer {
  const leaves = new Map(leavesOf(SCHEMA).map((leaf) => [leaf.path.join('.'), leaf]))
  const layers = (Object.keys(FLAG_PATHS) as (keyof Flags)[]).map((flag) => {
    const leaf = leaves.get(FLAG_PATHS[flag])
    const text = flags[flag]
    return leaf === undefined || text === undefined
      ? EMPTY_LAYER
      : readTextLayer(leaf, new SourceText(`--${flag}`, text), options)
  })
  return joinLayers(layers)
}

/** The values of a layer that sets everything, nested as in the file. */
function assemble(section: SchemaNode, { values }: Layer, path: readonly string[]): unknown {
  const nested: Record<string, unknown> = {}
  for (const { path: leafPath } of leavesOf(section, path)) {
    let inner = nested
    for (const key of leafPath.slice(0, -1)) inner = (inner[key] ??= {}) as Record<string, unknown>
    inner[leafPath.at(-1) ?? ''] = values.get(leafPath.join('.'))?.value
  }
  return nested
}

function sourcesOf(kind: SettingSource['kind'], layer: Layer): [string, SettingSource][] {
  return [...layer.values].map(([path, { source, start }]) => {
    switch (kind) {
      case 'default':
        return [path, { kind }]
      case 'file':
        return [path, { kind, file: source.name, line: source.placeOf(start).line }]
      case 'environment':
        return [path, { kind, variable: variableOf(path.split('.')) }]
      case 'flag':
        return [path, { kind, flag: source.name }]
    }
  })
}
