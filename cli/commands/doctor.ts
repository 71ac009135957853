import { NodeUnreachableError } from '../../client/index.js'
import { MillraceError } from '../../core/index.js'
import { renderProblem, type LoadedSettings, type Settings } from '../../config/index.js'
import { checkDiskSpace, checkDiskSpeed } from '../checks/disk.js'
import { checkPermissions } from '../checks/files.js'
import { ok, problem, renderFindings, warning, type Finding } from '../checks/finding.js'
import { checkClock, checkNodeVersion } from '../checks/machine.js'
import { checkMdns } from '../checks/mdns.js'
import { checkPorts } from '../checks/ports.js'
import { checkRunningNode } from '../checks/running-node.js'
import { writeBundle } from '../checks/support-bundle.js'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, isNodeNamed, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { withStopped } from '../running-or-stopped.js'
import { configFileOf, settingsOf } from '../settings-options.js'
import { write } from '../terminal.js'

export const doctor: Command = {
  name: 'doctor',
  summary: 'Look for what is wrong with a node and its machine, and say what to do',
  usage: '[FLAGS] [--bundle FILE]',
  details: [
    'Checks the configuration, the data directory and who may read its secrets, clock, speed and space of the disk, ports, and',
    'mDNS; of a node that runs also its store, its peers and alarms. Changes nothing. Run it as the user of the node.',
    '--bundle writes what was found, the settings in force, the figures of the node and the end of its log into a new file, as',
    'lines of JSON, to be sent to whoever helps: without keys, tokens and payloads of events.',
  ].join('\n'),
  examples: [
    'millrace doctor',
    'millrace doctor --config /etc/millrace/millrace.yml',
    'millrace doctor --bundle support.ndjson',
  ],
  options: {
    ...CONNECT_OPTIONS,
    bundle: {
      type: 'string',
      short: 'b',
      value: 'FILE',
      help: 'write a support bundle without secrets; FILE must not exist',
    },
  },
  exits: { [EXIT.ok]: 'no problem; there may be warnings', [EXIT.failure]: 'failure, or there is a problem' },
  mostArguments: 0,
  run: runDoctor,
}

async function runDoctor(call: Call): Promise<number> {
  const { stdout, stderr, env } = call.terminal
  const loaded = loadAll(call)
  const findings = [checkNodeVersion(), await checkClock(), ...(await checkNode(call, loaded))]
  const problems = findings.filter(({ state }) => state === 'problem').length
  const warnings = findings.filter(({ state }) => state === 'warning').length
  if (call.json) {
    await write(stdout, `${JSON.stringify({ code: 'OK', result: { problems, warnings, findings } })}\n`)
  } else {
    const summary = `${count(problems, 'problem')}, ${count(warnings, 'warning')}`
    await write(stdout, `${renderFindings(findings, stdout, env)}\n${summary}\n`)
  }
  const bundle = call.text('bundle')
  if (bundle !== undefined) {
    await writeBundle(call, bundle, { findings, settings: 'settings' in loaded ? loaded : undefined })
    if (!call.json) await write(stderr, `wrote ${bundle}: no keys, tokens or payloads are in it\n`)
  }
  return problems > 0 ? EXIT.failure : EXIT.ok
}

function count(number: number, noun: string): string {
  return `${String(number)} ${noun}${number === 1 ? '' : 's'}`
}

type Loaded = LoadedSettings | { readonly finding: Finding }

/** The settings with their secrets, or what is wrong with them. */
function loadAll(call: Call): Loaded {
  try {
    return settingsOf(call, true)
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    const advice = 'mend the places that are named; millrace config check FILE tells when all is well'
    return { finding: problem('configuration', error.message, advice) }
  }
}

async function checkNode(call: Call, loaded: Loaded): Promise<Finding[]> {
  if ('finding' in loaded) return [loaded.finding]
  const { settings, warnings } = loaded
  const file = configFileOf(call)
  const node = await checkRunningOrStopped(call, settings)
  return [
    ok('configuration', file === undefined ? 'no file is named: the defaults hold' : `${file} is fine`),
    ...warnings.map((odd) => warning('configuration', renderProblem(odd), 'correct the place that is named')),
    await checkPermissions(settings, keyIsInFile(loaded) ? file : undefined),
    await checkDiskSpeed(settings.dataDirectory),
    ...node.findings,
    ...(await checkMdns(settings, node.runsHere)),
  ]
}

/** Whether the configuration file holds the network key itself. */
function keyIsInFile({ settings, sources }: LoadedSettings): boolean {
  return settings.swarm.key !== undefined && sources.get('swarm.key')?.kind === 'file'
}

/** What is wrong with the node, and whether it is the one of these settings and runs on this machine. */
interface NodeCheck {
  readonly findings: readonly Finding[]
  readonly runsHere: boolean
}

async function checkRunningOrStopped(call: Call, settings: Settings): Promise<NodeCheck> {
  const { signal } = call.terminal
  try {
    const findings = await withClient(call, async (client) => {
      const streams = await client.streams(signal)
      const stored = streams.reduce((sum, { own, storedBytes }) => sum + (own ? storedBytes : 0), 0)
      return [...(await checkRunningNode(client, signal)), await checkDiskSpace(settings, stored)]
    })
    return { findings, runsHere: !isNodeNamed(call) }
  } catch (error) {
    if (!(error instanceof NodeUnreachableError)) throw error
    const findings = [
      await checkStopped(call, error),
      await checkDiskSpace(settings),
      ...(isNodeNamed(call) ? [] : await checkPorts(settings)),
    ]
    return { findings, runsHere: false }
  }
}

/** A node that does not answer: whether it does not run, cannot run, or hangs. */
async function checkStopped(call: Call, unreachable: NodeUnreachableError): Promise<Finding> {
  if (isNodeNamed(call)) return problem('node', unreachable.message, 'start the node, or correct --node or --socket')
  const file = configFileOf(call)
  try {
    const { nodeId } = await withStopped(call, (node) => node.identity())
    return warning(
      'node',
      `${nodeId} does not run; its data directory is in order`,
      `start it: millrace run${file === undefined ? '' : ` --config ${file}`}`,
    )
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    if (error.code !== 'ERR_STORE_LOCKED') return problem('node', error.message, `see ${error.code} in docs/errors.md`)
    const found = `${error.message}, but nothing answers at its socket: ${unreachable.message}`
    return problem(
      'node',
      found,
      'name the socket by --socket if it is another one; otherwise restart the node, and keep its log',
    )
  }
}
