#!/usr/bin/env node
import { runCli } from './run-cli.js'
import type { Output } from './terminal.js'

const stop = new AbortController()

function outputOf(stream: NodeJS.WriteStream): Output {
  // The reader of a pipe may leave at any time (head, less): then there is nothing more to do.
  stream.on('error', () => {
    stop.abort()
  })
  return { stream, isTerminal: stream.isTTY, columns: stream.columns }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    stop.abort(signal)
  })
}

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: outputOf(process.stdout),
  stderr: outputOf(process.stderr),
  stdin: process.stdin,
  env: process.env,
  signal: stop.signal,
})
