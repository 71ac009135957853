import { NodeUnreachableError, type RouteReport } from '../../client/index.js'
import type { RouteSetting, Settings } from '../../config/index.js'
import {
  compileSelection,
  parseAppId,
  toTagSet,
  type AppId,
  type SelectableEvent,
  type TagSet,
} from '../../core/index.js'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, OWN_APP, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { renderLimits } from '../limits-text.js'
import { configFileOf, settingsOf } from '../settings-options.js'
import { write } from '../terminal.js'
import { UsageError } from '../usage-error.js'

export const route: Command = {
  name: 'route',
  summary: 'Tell which stream an event would go to, and why',
  usage: '[FLAGS] [TAG …]',
  details: [
    'Asks the node, which answers by the routes that it has in force. With --config the routes of that file decide,',
    'whether a node runs or not; also when no node answers, which is said.',
  ].join('\n'),
  examples: [
    'millrace route -t sensor -t sensor:7',
    'millrace route --app com.example.probe log',
    'millrace route --config millrace.yml sensor',
  ],
  options: {
    tag: { type: 'string', short: 't', multiple: true, value: 'TAG', help: 'a tag of the event; may be repeated' },
    ...CONNECT_OPTIONS,
    config: { type: 'string', short: 'c', value: 'FILE', help: 'explain the routes of this file' },
    app: { type: 'string', value: 'ID', help: `app that publishes it; by default ${OWN_APP}` },
  },
  mostArguments: 1000,
  run: runRoute,
}

/** An explanation, and whose routes it is about. */
interface Explained {
  readonly report: Omit<RouteReport, 'number'> & { readonly number: number | null }
  readonly source: string
}

async function runRoute(call: Call): Promise<number> {
  const tags = toTagSet([...call.list('tag'), ...call.args])
  const appId = parseAppId(call.text('app') ?? OWN_APP)
  const { report, source } = await explain(call, tags, appId)
  const { stdout } = call.terminal
  const text = call.json ? JSON.stringify({ code: 'OK', result: { ...report, source } }) : renderReport(report)
  await write(stdout, `${text}\n`)
  return EXIT.ok
}

async function explain(call: Call, tags: TagSet, appId: AppId): Promise<Explained> {
  const namesNode = call.text('node') !== undefined || call.text('socket') !== undefined
  if (call.text('config') !== undefined) {
    if (namesNode) throw new UsageError('--config explains a file; --node and --socket exclude it')
    return explainFile(call, tags, appId)
  }
  try {
    // The token is that of our own app: the one in question may need a permission that asking should not.
    return await withClient(
      call,
      async (client) => ({ report: await client.route(tags, appId, call.terminal.signal), source: client.target }),
      OWN_APP,
    )
  } catch (error) {
    if (namesNode || !(error instanceof NodeUnreachableError && error.neverSent)) throw error
    const explained = explainFile(call, tags, appId)
    await write(call.terminal.stderr, `no node answers; these are the routes of ${explained.source}\n`)
    return explained
  }
}

function explainFile(call: Call, tags: TagSet, appId: AppId): Explained {
  const { settings } = settingsOf(call)
  return { report: explainSettings(settings, tags, appId), source: configFileOf(call) ?? 'the defaults' }
}

function explainSettings({ routes, retention }: Settings, tags: TagSet, appId: AppId): Explained['report'] {
  const event = { tags, appId, lamport: 0, stream: '', timestamp: 0 }
  const verdicts = routes.map((candidate) => ({
    from: candidate.from,
    into: candidate.into,
    matches: matches(candidate, event),
  }))
  const at = verdicts.findIndex((verdict) => verdict.matches)
  const stream = verdicts[at]?.into ?? 'default'
  const limits = retention.get(stream)
  return {
    stream,
    // The node gives numbers.
    number: null,
    route: at < 0 ? null : at,
    tags,
    appId,
    routes: verdicts,
    retention: limits === undefined ? null : { ...limits },
  }
}

function matches({ selection }: RouteSetting, event: SelectableEvent): boolean {
  return compileSelection(selection, '')(event)
}

function renderReport({ stream, route: at, routes, retention }: Explained['report']): string {
  const lines = [
    `stream ${stream}: ${at === null ? 'no route matches' : `route ${String(at + 1)} is the first that matches`}`,
  ]
  for (const [index, { from, into, matches: hit }] of routes.entries()) {
    const verdict = index === at ? 'matches' : hit ? 'would match, but a route before it decides' : 'does not match'
    lines.push(`  ${String(index + 1)}. ${from} → ${into}: ${verdict}`)
  }
  lines.push(retention === null ? 'no limits: its events stay' : `limits: ${renderLimits(retention)}`)
  return lines.join('\n')
}
