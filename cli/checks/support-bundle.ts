import { arch, cpus, freemem, platform, release, totalmem } from 'node:os'
import type { Client } from '../../client/index.js'
import type { LoadedSettings } from '../../config/index.js'
import type { Call } from '../command.js'
import { withClient } from '../connect.js'
import { makeNewFile, UnwritableFileError } from '../new-file.js'
import { packageVersion } from '../version.js'
import type { Finding } from './finding.js'

/** What is known before the node is asked. */
interface Known {
  readonly findings: readonly Finding[]
  /** `undefined` when they are refused. */
  readonly settings: LoadedSettings | undefined
}

/** The last lines of the log that are in it; the node keeps no more, and leaves out secrets. */
const LOG_LINES = 1000

/** One line of the bundle. */
interface Part {
  readonly part: string
  readonly content: unknown
}

/**
 * Writes everything that helps to find out what is wrong, and nothing that is secret: no key, no token, no event.
 *
 * @param path of a file that does not exist
 * @throws UnwritableFileError
 */
export async function writeBundle(call: Call, path: string, { findings, settings }: Known): Promise<void> {
  const parts: Part[] = [
    { part: 'about', content: describeMachine(call) },
    { part: 'findings', content: findings },
    ...(settings === undefined ? [] : [{ part: 'settings', content: describeSettings(settings) }]),
    ...(await askNode(call)),
  ]
  const lines = parts.map((part) => `${JSON.stringify(part)}\n`).join('')
  if (!(await makeNewFile(path, lines, 0o600))) throw new UnwritableFileError(`${path} is there already`)
}

function describeMachine({ terminal }: Call): object {
  const [cpu] = cpus()
  return {
    made: new Date().toISOString(),
    version: packageVersion(),
    node: process.versions.node,
    system: `${platform()} ${release()} ${arch()}`,
    cpu: cpu?.model,
    cores: cpus().length,
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    // Values may be secret.
    variables: Object.keys(terminal.env).filter((name) => name.startsWith('MILLRACE_')),
  }
}

function describeSettings({ settings, sources }: LoadedSettings): object {
  const { swarm } = settings
  const withoutSecrets = { ...settings, swarm: { ...swarm, key: swarm.key === undefined ? null : '***' } }
  return {
    settings: JSON.parse(JSON.stringify(withoutSecrets, plain)) as unknown,
    sources: Object.fromEntries([...sources].filter(([, { kind }]) => kind !== 'default')),
  }
}

/** Maps, sets and infinite limits as JSON can say them. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value)
  if (value instanceof Set) return [...value]
  return value === Infinity ? 'none' : value
}

/** What the node reports; of one that does not run, that it does not. */
async function askNode(call: Call): Promise<Part[]> {
  const { signal } = call.terminal
  const questions: readonly (readonly [string, (client: Client) => Promise<unknown>])[] = [
    ['identity', (client) => client.identity(signal)],
    ['node', (client) => client.nodeInfo(signal)],
    ['readiness', (client) => client.readiness(signal)],
    ['topics', (client) => client.topics(signal)],
    ['streams', (client) => client.streams(signal)],
    ['offsets', (client) => client.offsets(signal)],
    ['peers', (client) => client.peers(signal)],
    ['alarms', (client) => client.alarms(signal)],
    ['log', (client) => client.log('debug', LOG_LINES, signal)],
    ['metrics', (client) => client.metrics(signal)],
  ]
  try {
    return await withClient(call, async (client) => {
      const parts: Part[] = []
      for (const [part, ask] of questions) parts.push({ part, content: await ask(client) })
      return parts
    })
  } catch (error) {
    return [{ part: 'node', content: { error: reasonOf(error) } }]
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
