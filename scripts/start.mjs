// `npm start [-- ARGUMENTS OF millrace run]`: installs and builds when needed, runs a node with the example
// configuration, and prints commands to try as soon as it is ready.
import { spawn } from 'node:child_process'
import { join, relative } from 'node:path'
import { createInterface } from 'node:readline'
import { ensureBuilt } from './lib/build-stamp.mjs'
import { ensureInstalled } from './lib/install.mjs'
import { mainFile, root } from './lib/paths.mjs'
import { welcome } from './lib/welcome.mjs'

ensureInstalled()
ensureBuilt()

const given = process.argv.slice(2)
const hasConfig =
  given.some((argument) => /^--config(=|$)/.test(argument)) || process.env['MILLRACE_CONFIG'] !== undefined
const args = [...(hasConfig ? [] : ['--config', join(root, 'examples/millrace.yml')]), ...given]

// The node logs JSON into our pipe; on a terminal we make it readable, as the node itself would have done there.
// In a group of its own it gets each signal once, from us, and not a second time from the terminal or from npm.
const node = spawn(process.execPath, [mainFile, 'run', ...args], {
  stdio: ['ignore', 'pipe', 'inherit'],
  detached: true,
  env: { ...process.env, MILLRACE_LOG_FORMAT: 'json' },
})

const readable = process.stdout.isTTY ? (await import('pino-pretty')).prettyFactory({ colorize: true }) : undefined
const started = performance.now()

createInterface({ input: node.stdout }).on('line', (line) => {
  const entry = parse(line)
  process.stdout.write(readable === undefined || entry === undefined ? `${line}\n` : readable(entry))
  if (entry?.msg === 'ready') {
    const program = `node ${relative(process.cwd(), mainFile)}`
    process.stdout.write(`${welcome(entry, program, (performance.now() - started) / 1000)}\n`)
  }
})

const lastSent = new Map()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    // A Ctrl-C reaches us from the terminal and once more from npm.
    if (performance.now() - (lastSent.get(signal) ?? -1000) < 500) return
    lastSent.set(signal, performance.now())
    node.kill(signal)
  })
}

// When npm is killed outright nobody passes a signal on; a node that nobody sees must not go on.
const parent = process.ppid
setInterval(() => {
  if (process.ppid !== parent) node.kill('SIGTERM')
}, 1000).unref()

node.on('error', (error) => {
  console.error(`cannot run ${mainFile}: ${error.message}`)
  process.exitCode = 70
})
node.on('close', (code, signal) => {
  process.exitCode = code ?? (signal === 'SIGKILL' ? 137 : 70)
})

function parse(line) {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
