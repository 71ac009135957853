import type { RouteSetting } from '../../config/index.js'
import { compileSelection, parseAppId, toTagSet, type SelectableEvent } from '../../core/index.js'
import type { Call, Command } from '../command.js'
import { EXIT } from '../exit-codes.js'
import { renderLimits } from '../limits-text.js'
import { SETTINGS_OPTIONS, settingsOf } from '../settings-options.js'
import { write } from '../terminal.js'

export const route: Command = {
  name: 'route',
  summary: 'Tell which stream an event would go to, and why',
  usage: '[FLAGS] [TAG …]',
  details: 'Decides by the routes of the configuration; no node needs to run.',
  examples: [
    'millrace route --config millrace.yml -t sensor -t sensor:7',
    'millrace route --config millrace.yml --app com.example.probe log',
  ],
  options: {
    tag: { type: 'string', short: 't', multiple: true, value: 'TAG', help: 'a tag of the event; may be repeated' },
    app: { type: 'string', value: 'ID', help: 'app that publishes it; by default com.example.millrace' },
    ...SETTINGS_OPTIONS,
  },
  mostArguments: 1000,
  run: runRoute,
}

async function runRoute(call: Call): Promise<number> {
  const { settings } = settingsOf(call)
  const tags = toTagSet([...call.list('tag'), ...call.args])
  const appId = parseAppId(call.text('app') ?? 'com.example.millrace')
  const event = { tags, appId, lamport: 0, stream: '', timestamp: 0 }
  const verdicts = settings.routes.map((candidate) => ({ ...candidate, matches: matches(candidate, event) }))
  const at = verdicts.findIndex((verdict) => verdict.matches)
  const into = verdicts[at]?.into ?? 'default'
  const limits = settings.retention.get(into)
  const { stdout } = call.terminal
  if (call.json) {
    const routes = verdicts.map(({ from, into: target, matches: hit }) => ({ from, into: target, matches: hit }))
    const result = { stream: into, route: at < 0 ? null : at, tags, appId, routes }
    await write(stdout, `${JSON.stringify({ code: 'OK', result })}\n`)
    return EXIT.ok
  }
  const lines = [`stream ${into}: ${at < 0 ? 'no route matches' : `route ${String(at + 1)} is the first that matches`}`]
  for (const [index, { from, into: target, matches: hit }] of verdicts.entries()) {
    const verdict = index === at ? 'matches' : hit ? 'would match, but a route before it decides' : 'does not match'
    lines.push(`  ${String(index + 1)}. ${from} → ${target}: ${verdict}`)
  }
  lines.push(limits === undefined ? 'no limits: its events stay' : `limits: ${renderLimits(limits)}`)
  await write(stdout, `${lines.join('\n')}\n`)
  return EXIT.ok
}

function matches({ selection }: RouteSetting, event: SelectableEvent): boolean {
  return compileSelection(selection, '')(event)
}
