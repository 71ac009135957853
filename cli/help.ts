import type { Command, Options } from './command.js'
import { EXIT } from './exit-codes.js'
import { COMMON_OPTIONS } from './parse-call.js'

/** What every command can end with. */
const COMMON_EXITS: Readonly<Record<number, string>> = {
  [EXIT.ok]: 'done',
  [EXIT.failure]: 'failure: refused, not to be reached, interrupted',
  [EXIT.usage]: 'wrong usage',
  [EXIT.internal]: 'internal error',
  [EXIT.config]: 'the configuration is refused',
}

/** The list of commands. */
export function renderOverview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map(({ name }) => name.length))
  return [
    'millrace: event streams for the edge',
    '',
    'usage: millrace COMMAND [ARGUMENTS]',
    '',
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'millrace COMMAND --help tells about one of them, millrace version about the version.',
    'Commands talk to the node whose data directory is that of the configuration, over its Unix socket,',
    'unless --node or --socket names another.',
    '',
  ].join('\n')
}

/** The help of one command. */
export function renderHelp(command: Command): string {
  const json = { ...COMMON_OPTIONS['json'], help: command.jsonHelp ?? 'print one line of JSON' }
  const options = { ...command.options, ...COMMON_OPTIONS, json } as Options
  const lines = [`usage: millrace ${command.name} ${command.usage}`, '', `${command.summary}.`]
  if (command.details !== undefined) lines.push('', command.details)
  lines.push('', ...renderOptions(options))
  lines.push('', ...renderExits({ ...COMMON_EXITS, ...command.exits }))
  if (command.examples.length > 0) lines.push('', 'examples:', ...command.examples.map((example) => `  ${example}`))
  return `${lines.join('\n')}\n`
}

function renderExits(exits: Readonly<Record<number, string>>): string[] {
  return ['exit codes:', ...Object.entries(exits).map(([code, meaning]) => `  ${code.padStart(2)}  ${meaning}`)]
}

function renderOptions(options: Options): string[] {
  const rows = Object.entries(options).map(([name, { short, value, help }]) => {
    const flag = `${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`
    return { flag, help }
  })
  const width = Math.max(...rows.map(({ flag }) => flag.length))
  return rows.map(({ flag, help }) => `  ${flag.padEnd(width)}  ${help}`)
}
