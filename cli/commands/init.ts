import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createNetworkKey, firstConfig, loadSettings, settingsJsonSchema, type Settings } from '../../config/index.js'
import { checkDiskSpace, checkDiskSpeed } from '../checks/disk.js'
import { ok, renderFindings, warning, type Finding } from '../checks/finding.js'
import { checkClock, checkNodeVersion } from '../checks/machine.js'
import { checkPorts } from '../checks/ports.js'
import type { Call, Command } from '../command.js'
import { MillraceError } from '../../core/index.js'
import { EXIT } from '../exit-codes.js'
import { makeNewFile, UnwritableFileError } from '../new-file.js'
import { write } from '../terminal.js'

export const init: Command = {
  name: 'init',
  summary: 'Make a configuration and an identity for a new node, and check the machine',
  usage: '[--swarm] [DIR]',
  details: [
    'Writes millrace.yml and the schema for editors into DIR (by default the working directory), makes the identity of the node',
    'in DIR/data, with --swarm also swarm.key, and looks whether the machine fits. What is there already is kept as it is.',
    'The key is that of a new swarm: for one that exists, put its swarm.key into DIR first.',
  ].join('\n'),
  examples: ['millrace init', 'millrace init --swarm /etc/millrace', 'millrace init -j ./gateway'],
  options: { swarm: { type: 'boolean', help: 'make the key of a swarm, and have the configuration name it' } },
  exits: {
    [EXIT.failure]: 'failure, or the machine has a problem',
    [EXIT.dataDirectory]: 'the data directory is unusable',
  },
  completes: { files: true },
  mostArguments: 1,
  run: runInit,
}

/** A file that init answers for. */
interface MadeFile {
  readonly path: string
  /** `kept`: it was there before. */
  readonly state: 'made' | 'kept'
}

async function runInit(call: Call): Promise<number> {
  const directory = resolve(call.args[0] ?? '.')
  const isSwarm = call.flag('swarm')
  await mkdir(directory, { recursive: true }).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error)
    throw new UnwritableFileError(`cannot make the directory ${directory}: ${reason}`, { cause: error })
  })
  const file = join(directory, 'millrace.yml')
  const schema = `${JSON.stringify(settingsJsonSchema(), null, 2)}\n`
  const files = [
    ...(isSwarm ? [await makeFile(join(directory, 'swarm.key'), `${createNetworkKey()}\n`, 0o600)] : []),
    await makeFile(file, firstConfig(isSwarm), 0o644),
    await makeFile(join(directory, 'millrace.schema.json'), schema, 0o644),
  ]
  const { settings } = loadSettings({ file, env: call.terminal.env, flags: {} })
  const identity = await makeIdentity(settings)
  const findings = [...(await checkMachine(settings, identity.runs)), ...unnamedKey(isSwarm, settings, file)]
  const next = `millrace run --config ${file}`
  await tell(call, { files, identity, findings, next })
  return findings.some(({ state }) => state === 'problem') ? EXIT.failure : EXIT.ok
}

async function makeFile(path: string, content: string, mode: number): Promise<MadeFile> {
  return { path, state: (await makeNewFile(path, content, mode)) ? 'made' : 'kept' }
}

/** Who the node is. */
interface MadeIdentity {
  /** Unknown while a node runs with the data. */
  readonly nodeId: string | null
  readonly state: 'made' | 'kept'
  readonly runs: boolean
}

async function makeIdentity({ dataDirectory }: Settings): Promise<MadeIdentity> {
  // Loaded only here: it is most of the daemon.
  const { prepareDataDirectory } = await import('../../node/index.js')
  try {
    const { nodeId, isNew } = await prepareDataDirectory(dataDirectory)
    return { nodeId, state: isNew ? 'made' : 'kept', runs: false }
  } catch (error) {
    const isRunning = error instanceof MillraceError && error.code === 'ERR_STORE_LOCKED'
    if (!isRunning) throw error
    return { nodeId: null, state: 'kept', runs: true }
  }
}

async function checkMachine(settings: Settings, runs: boolean): Promise<Finding[]> {
  return [
    checkNodeVersion(),
    await checkClock(),
    await checkDiskSpeed(settings.dataDirectory),
    await checkDiskSpace(settings),
    ...(runs ? [ok('port', 'a node runs with these data already')] : await checkPorts(settings)),
  ]
}

/** A configuration that was there before need not name the key. */
function unnamedKey(isSwarm: boolean, { swarm }: Settings, file: string): Finding[] {
  if (!isSwarm || swarm.key !== undefined) return []
  return [warning('swarm', `${file} was there before and names no key`, 'add to it: swarm: { keyFile: ./swarm.key }')]
}

interface Made {
  readonly files: readonly MadeFile[]
  readonly identity: MadeIdentity
  readonly findings: readonly Finding[]
  readonly next: string
}

async function tell(call: Call, made: Made): Promise<void> {
  const { stdout, env } = call.terminal
  const { files, identity, findings, next } = made
  if (call.json) return write(stdout, `${JSON.stringify({ code: 'OK', result: made })}\n`)
  const lines = files.map(({ path, state }) => `${state}  ${path}\n`).join('')
  const who = identity.nodeId === null ? 'that of the node that runs' : identity.nodeId
  await write(stdout, `${lines}${identity.state}  identity ${who}\n\n`)
  await write(stdout, `${renderFindings(findings, stdout, env)}\nnext: ${identity.runs ? 'millrace reload' : next}\n`)
}
