#!/usr/bin/env node
import { EXIT } from './exit-codes.js'
import { run } from './run.js'
import { packageVersion } from './version.js'

/** A command takes its arguments and returns the exit code. */
const COMMANDS: Readonly<Record<string, (args: string[]) => Promise<number>>> = { run }

const HELP = `Usage: millrace <command> [options]

Commands:
  run    run a node

'millrace <command> --help' says more.
`

async function main([name, ...args]: string[]): Promise<number> {
  if (name === '--version' || name === '-V') {
    process.stdout.write(`${packageVersion()}\n`)
    return EXIT.ok
  }
  if (name === undefined || name === '--help' || name === '-h') {
    process.stdout.write(HELP)
    return name === undefined ? EXIT.usage : EXIT.ok
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command === undefined) {
    process.stderr.write(`millrace: unknown command '${name}'\n\n${HELP}`)
    return EXIT.usage
  }
  return command(args).catch(usageOrRethrow)
}

/** What `parseArgs` refuses is a mistake of the caller. */
function usageOrRethrow(error: unknown): number {
  if (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')) {
    process.stderr.write(`millrace: ${error.message}\n`)
    return EXIT.usage
  }
  throw error
}

process.exitCode = await main(process.argv.slice(2))
