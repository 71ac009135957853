import { RequestRefusedError } from '../client/index.js'
import { ConfigError } from '../config/index.js'
import { nearestWord, MillraceError } from '../core/index.js'
import { COMMANDS } from './all-commands.js'
import type { Command } from './command.js'
import { EXIT, exitCodeOf } from './exit-codes.js'
import { renderHelp, renderOverview } from './help.js'
import { parseCall } from './parse-call.js'
import { paint, write, type Terminal } from './terminal.js'
import { UsageError } from './usage-error.js'
import { packageVersion } from './version.js'

/** Runs one command line (without node and script). Never throws. @returns the exit code */
export async function runCli(argv: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(argv, terminal)
  } catch (error) {
    // Who stopped us, or stopped reading, wants no complaint.
    if (terminal.signal.aborted && !(error instanceof ConfigError)) return EXIT.failure
    await report(error, argv, terminal)
    return exitCodeOf(error)
  }
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = argv
  switch (name) {
    case undefined:
      await write(terminal.stderr, renderOverview(COMMANDS))
      return EXIT.usage
    case '--version':
    case '-V':
      await write(terminal.stdout, `${packageVersion()}\n`)
      return EXIT.ok
    case '--help':
    case '-h':
    case 'help': {
      const about = rest[0]
      await write(terminal.stdout, about === undefined ? renderOverview(COMMANDS) : renderHelp(commandOf(about)))
      return EXIT.ok
    }
    default: {
      const command = commandOf(name)
      const call = parseCall(command, rest, terminal)
      if (!call.flag('help')) return (await command.run(call)) ?? EXIT.ok
      await write(terminal.stdout, renderHelp(command))
      return EXIT.ok
    }
  }
}

/** @throws UsageError */
function commandOf(name: string): Command {
  const command = COMMANDS.find((candidate) => candidate.name === name)
  if (command !== undefined) return command
  if (name.startsWith('-')) {
    const nearest = nearestWord(name, ['--help', '--version'])
    const hint = nearest === undefined ? 'flags stand behind a command' : `did you mean ${nearest}?`
    throw new UsageError(`unknown flag '${name}'; ${hint}`)
  }
  const names = COMMANDS.map((candidate) => candidate.name)
  const nearest = nearestWord(name, names)
  const hint = nearest === undefined ? `there are ${names.join(', ')}` : `did you mean '${nearest}'?`
  throw new UsageError(`unknown command '${name}'; ${hint}`)
}

/** One line of JSON on stdout where JSON was asked for, else a sentence on stderr. */
async function report(error: unknown, argv: readonly string[], terminal: Terminal): Promise<void> {
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof MillraceError ? error.code : 'ERR_INTERNAL'
  if (argv.includes('-j') || argv.includes('--json')) {
    await write(terminal.stdout, `${JSON.stringify({ code, message, ...detailsOf(error) })}\n`)
    return
  }
  const { stderr, env } = terminal
  const prefix = paint(stderr, env, 'red', 'millrace:')
  const isOurs = error instanceof MillraceError
  const text = error instanceof ConfigError ? `the configuration is refused\n${message}` : message
  await write(stderr, `${prefix} ${text}${isOurs ? ` (${code})` : ''}\n`)
  if (!isOurs && error instanceof Error && error.stack !== undefined) await write(stderr, `${error.stack}\n`)
}

/** What programs may want to know besides the code. */
function detailsOf(error: unknown): object {
  if (error instanceof ConfigError) return { problems: error.problems }
  return error instanceof RequestRefusedError ? { status: error.status, wireCode: error.wireCode } : {}
}
