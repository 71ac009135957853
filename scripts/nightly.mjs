// `npm run nightly -- PART --from N --count M`: one part of the robustness tests with counts that are too big for CI.
// Rounds are numbered, and a round's number is its seed, so that runs can be split (--from) and repeated. The outcome is
// appended to docs/robustness.md.
import { execFileSync } from 'node:child_process'
import { appendFileSync, existsSync, readdirSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { ensureBuilt } from './lib/build-stamp.mjs'
import { ensureInstalled } from './lib/install.mjs'
import { root } from './lib/paths.mjs'

ensureInstalled()
ensureBuilt()

process.env.MILLRACE_TEST_LEVEL = 'nightly'
const folders = ['faults', 'swarm'].map((name) => join(root, 'dist/test', name))
const parts = await findParts()
const { values, positionals } = readArguments()
const [wanted] = positionals
if (wanted === undefined || !parts.has(wanted) || positionals.length > 1) {
  usage(wanted === undefined ? 'name a part' : `no such part: ${positionals.join(' ')}`)
}
const part = parts.get(wanted)
const from = countOf('from', values.from, 0)
const count = countOf('count', values.count, part.nightlyCount ?? 100)

const started = performance.now()
console.log(`${part.name}: ${String(count)} rounds from ${String(from)}`)
const { passed, failed, details } = await part.run({ from, count, log: console.log })
const minutes = ((performance.now() - started) / 60_000).toFixed(1)
appendFileSync(join(root, 'docs/robustness.md'), record())
console.log(`${String(passed)} passed, ${String(failed)} failed`)
process.exit(failed === 0 ? 0 : 1)

function record() {
  const date = new Date().toISOString().slice(0, 10)
  const machine = `${String(cpus().length)} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}, ${String(Math.round(totalmem() / 2 ** 30))} GiB, Node ${process.versions.node}`
  const text = typeof details === 'string' ? details : JSON.stringify(details)
  return `\n- ${date}, ${commit()}: **${part.name}** from ${String(from)} count ${String(count)}: ${String(passed)} passed, ${String(failed)} failed, ${minutes} min (${machine}). ${text ?? ''}\n`
}

function commit() {
  const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
  try {
    return `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain', '--untracked-files=no', '--', ':!docs/robustness.md') === '' ? '' : ' with changes'}`
  } catch {
    return 'no commit'
  }
}

/** Modules that export `name` and `run`; the rest of the folders is their support. */
async function findParts() {
  const found = new Map()
  for (const folder of folders.filter((path) => existsSync(path))) {
    for (const file of readdirSync(folder).filter((name) => name.endsWith('.js') && !name.endsWith('.test.js'))) {
      const module = await import(pathToFileURL(join(folder, file)).href)
      if (typeof module.run === 'function' && typeof module.name === 'string') found.set(module.name, module)
    }
  }
  return found
}

function readArguments() {
  try {
    return parseArgs({ allowPositionals: true, options: { from: { type: 'string' }, count: { type: 'string' } } })
  } catch (error) {
    return usage(error.message)
  }
}

function countOf(name, text, standard) {
  if (text === undefined) return standard
  if (/^\d{1,9}$/.test(text)) return Number(text)
  return usage(`--${name} wants a whole number, got ${text}`)
}

function usage(problem) {
  console.error(
    `${problem}\nusage: npm run nightly -- PART [--from N] [--count M]\nparts: ${[...parts.keys()].join(', ') || 'none built'}`,
  )
  process.exit(2)
}
