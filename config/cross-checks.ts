import { nearestWord } from '../core/index.js'
import type { WrittenPlace } from './layer.js'
import { readKeyFile } from './network-key.js'
import { MOST_PROBLEMS, problemAt, type Problem } from './problem.js'
import { InvalidSettingError } from './setting.js'
import type { SettingValues } from './settings-schema.js'
import type { Settings } from './settings.js'
import { readUrlFile, STATE_SCHEMES } from './state-url.js'

/** Where a setting, given by its path, was written; `undefined` for defaults. */
export type Written = (path: string) => WrittenPlace | undefined

/** What is wrong only with several settings together. */
export function crossCheck(settings: Settings, written: Written): Problem[] {
  return [...checkMemory(settings, written), ...checkVolatile(settings, written), ...checkAudit(settings, written)]
}

/** State in memory is lost at exit, which nobody should find out by that. */
function checkVolatile({ state }: Settings, written: Written): Problem[] {
  const place = written('state.backend')
  if (state.backend !== 'memory' || state.allowVolatile || place === undefined) return []
  const reason = 'the state backend "memory" loses everything when the node ends'
  return [
    problemAt(place.source, place.start, place.end, reason, 'allow it by state.allowVolatile: true, or take embedded'),
  ]
}

function checkAudit({ audit }: Settings, written: Written): Problem[] {
  const { sink } = audit
  const problem = (path: string, reason: string, mend: string): Problem[] => {
    const place = written(path)
    return place === undefined ? [] : [problemAt(place.source, place.start, place.end, reason, mend)]
  }
  const problems: Problem[] = []
  if ((sink === 'http' || sink === 'clickhouse') && audit[sink].url === undefined) {
    problems.push(...problem('audit.sink', `the audit sink "${sink}" has no address`, `set audit.${sink}.url`))
  }
  if (audit.hashChain && (sink === 'http' || sink === 'clickhouse')) {
    const reason = `the audit sink "${sink}" does not keep the order of records, so they cannot be chained`
    problems.push(...problem('audit.hashChain', reason, 'leave audit.hashChain out, or take the sink file or stream'))
  }
  if (sink === 'none' && (audit.hashChain || audit.mode === 'intent')) {
    const path = audit.hashChain ? 'audit.hashChain' : 'audit.mode'
    problems.push(...problem(path, `${path} acts on nothing, since there is no audit sink`, 'set audit.sink'))
  }
  return problems
}

function checkMemory({ api }: Settings, written: Written): Problem[] {
  const { bodyBytes, messageBytes, memoryBytes } = api.limits
  if (memoryBytes >= Math.max(bodyBytes, messageBytes)) return []
  const place = ['memory', 'message', 'body'].map((key) => written(`api.limits.${key}`)).find((at) => at !== undefined)
  if (place === undefined) return []
  const reason = 'api.limits.memory is less than the largest single request, which could never be let in'
  return [problemAt(place.source, place.start, place.end, reason, 'raise memory, or lower body and message')]
}

/** The network key, wherever it is to be found, or what keeps it from being had. */
export function findNetworkKey({ swarm }: SettingValues, written: Written): string | Problem | undefined {
  const { key, keyFile } = swarm
  if (keyFile === null) return key ?? undefined
  const place = written('swarm.keyFile')
  if (place === undefined) return undefined
  const problem = (reason: string, mend?: string) => problemAt(place.source, place.start, place.end, reason, mend)
  if (key !== null) {
    return problem('swarm.key and swarm.keyFile are both set', 'leave out one of them; null unsets what the file sets')
  }
  try {
    return readKeyFile(keyFile)
  } catch (error) {
    if (!(error instanceof InvalidSettingError)) throw error
    return problem(error.message, error.mend)
  }
}

/** The URL of the server, wherever it is to be found, or what keeps the state from being there. */
export function findStateUrl({ state }: SettingValues, written: Written): string | Problem | undefined {
  const { backend, acceptFailoverLoss } = state
  const schemes = STATE_SCHEMES[backend]
  if (schemes === undefined) return undefined
  const problem = (setting: string, reason: string, mend: string): Problem | undefined => {
    const place = written(setting) ?? written('state.backend')
    return place === undefined ? undefined : problemAt(place.source, place.start, place.end, reason, mend)
  }
  if (backend === 'redis' && !acceptFailoverLoss) {
    return problem(
      'state.backend',
      'the state backend "redis" loses locks and other acknowledged changes at a failover',
      'accept it by state.acceptFailoverLoss: true, or take postgres or embedded',
    )
  }
  if (state.url !== null && state.urlFile !== null) {
    return problem('state.urlFile', 'state.url and state.urlFile are both set', 'leave out one of them')
  }
  try {
    const url = state.urlFile === null ? state.url : readUrlFile(state.urlFile)
    if (url === null) {
      throw new InvalidSettingError(
        `the state backend "${backend}" needs to know its server`,
        'set state.url or state.urlFile',
      )
    }
    if (schemes.some((scheme) => url.startsWith(scheme))) return url
    throw new InvalidSettingError(`the URL is not one of ${backend}`, `it begins with ${schemes.join('// or ')}//`)
  } catch (error) {
    if (!(error instanceof InvalidSettingError)) throw error
    return problem(state.urlFile === null ? 'state.url' : 'state.urlFile', error.message, error.mend ?? 'correct it')
  }
}

/** Pairs of names that are compared for "did you mean": about a tenth of a second. */
const MOST_COMPARED = 50_000

/** Limits that act on nothing, since no route leads to their stream. */
export function unfedStreams(
  { routes, retention }: Settings,
  placeOf: (stream: string) => WrittenPlace | undefined,
): Problem[] {
  const fed = new Set(routes.map(({ into }) => into))
  const warnings: Problem[] = []
  for (const stream of retention.keys()) {
    const place = placeOf(stream)
    if (fed.has(stream) || place === undefined) continue
    if (warnings.length >= MOST_PROBLEMS) break
    const nearest = warnings.length * fed.size < MOST_COMPARED ? nearestWord(stream, fed) : undefined
    const mend = nearest === undefined ? 'add a route, or remove the limits' : `did you mean '${nearest}'?`
    warnings.push(problemAt(place.source, place.start, place.end, `no route leads to the stream '${stream}'`, mend))
  }
  return warnings
}
