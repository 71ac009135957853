#!/usr/bin/env node
import { performance } from 'node:perf_hooks'
import { takeHangups } from './hangup.js'
import type { Output } from './terminal.js'

const argv = process.argv.slice(2)
// Before anything else is loaded: a reload that comes while the node starts must not end it.
if (argv[0] === 'run') takeHangups()
const { EXIT } = await import('./exit-codes.js')
const { runCli } = await import('./run-cli.js')

/** A second signal after so many milliseconds ends the process at once. What is acknowledged is safe. */
const IMPATIENT_MS = 500

const stop = new AbortController()
let stoppedAt: number | undefined

function outputOf(stream: NodeJS.WriteStream): Output {
  // The reader of a pipe may leave at any time (head, less): then there is nothing more to do.
  stream.on('error', () => {
    stop.abort()
  })
  return {
    stream,
    isTerminal: stream.isTTY,
    get columns() {
      return stream.columns
    },
    get rows() {
      return stream.rows
    },
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // npm passes a Ctrl-C on that the terminal has sent already: only a later one means impatience.
    if (performance.now() - (stoppedAt ?? Infinity) > IMPATIENT_MS) process.exit(EXIT.failure)
    stoppedAt ??= performance.now()
    stop.abort(signal)
  })
}

process.exitCode = await runCli(argv, {
  stdout: outputOf(process.stdout),
  stderr: outputOf(process.stderr),
  stdin: process.stdin,
  env: process.env,
  signal: stop.signal,
})
// A pipe that nobody closes must not keep the process.
process.stdin.destroy()
