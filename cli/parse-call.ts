import { parseArgs } from 'node:util'
import { nearestWord } from '../core/index.js'
import type { Call, Command, Options } from './command.js'
import type { Terminal } from './terminal.js'
import { UsageError } from './usage-error.js'

/** Flags that every command has. */
export const COMMON_OPTIONS: Options = {
  json: { type: 'boolean', short: 'j', help: 'print JSON' },
  help: { type: 'boolean', short: 'h', help: 'print this' },
}

/** Understands the arguments behind the name of a command. @throws UsageError */
export function parseCall(command: Command, argv: readonly string[], terminal: Terminal): Call {
  const options = { ...command.options, ...COMMON_OPTIONS }
  const { values, positionals } = parse(argv, options)
  if (positionals.length > command.mostArguments && !isTrue(values['help'])) {
    const extra = positionals[command.mostArguments] ?? ''
    throw new UsageError(`unexpected argument '${extra}'; millrace ${command.name} --help tells what it takes`)
  }
  return {
    terminal,
    args: positionals,
    json: isTrue(values['json']),
    text: (option) => {
      const value = values[option]
      return typeof value === 'string' ? value : undefined
    },
    flag: (option) => isTrue(values[option]),
    list: (option) => {
      const value = values[option]
      return Array.isArray(value) ? value.map(String) : []
    },
  }
}

function parse(argv: readonly string[], options: Options) {
  try {
    return parseArgs({ args: [...argv], options: parserOptions(options), allowPositionals: true, strict: true })
  } catch (error) {
    throw new UsageError(explain(error, options), { cause: error })
  }
}

function parserOptions(options: Options) {
  return Object.fromEntries(
    Object.entries(options).map(([name, { type, short, multiple = false }]) => [
      name,
      { type, multiple, ...(short === undefined ? {} : { short }) },
    ]),
  )
}

function explain(error: unknown, options: Options): string {
  if (!(error instanceof Error)) return String(error)
  const [, flag] = /Unknown option '(-{1,2}[^']*)'/.exec(error.message) ?? []
  if (flag === undefined) return error.message.replaceAll('\n', ' ')
  const nearest = flag.startsWith('--') ? nearestWord(flag.slice(2), Object.keys(options)) : undefined
  const hint =
    nearest === undefined ? "an argument that begins with '-' stands behind '--'" : `did you mean --${nearest}?`
  return `unknown flag ${flag}; ${hint}`
}

function isTrue(value: unknown): boolean {
  return value === true
}
