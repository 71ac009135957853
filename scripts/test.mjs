// `npm test [-- TAP ARGUMENTS]`: installs and builds when needed, then runs the compiled tests with tap. Prints one line
// per file, everything about files that fail, and closes with "N passed, N failed". A test file may be named by its
// source: test/core/tags.test.ts.
import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { ensureBuilt } from './lib/build-stamp.mjs'
import { ensureInstalled } from './lib/install.mjs'
import { root } from './lib/paths.mjs'
import { createSummary } from './lib/tap-summary.mjs'

ensureInstalled()
ensureBuilt()

const args = process.argv.slice(2).map((argument) => argument.replace(/^(?:\.\/)?(test\/.*)\.ts$/, 'dist/$1.js'))
const ownReporter = args.some((argument) => /^(-R|--reporter)/.test(argument))
const tap = ['node_modules/tap/dist/esm/run.mjs', ...args]

if (ownReporter) {
  spawn(process.execPath, tap, { cwd: root, stdio: 'inherit' }).on('close', (code) => {
    process.exitCode = code ?? 1
  })
} else {
  const child = spawn(process.execPath, [...tap, '--reporter=tap'], {
    cwd: root,
    stdio: ['inherit', 'pipe', 'inherit'],
  })
  mkdirSync(join(root, '.cache'), { recursive: true })
  const log = createWriteStream(join(root, '.cache/test.tap'))
  const summary = createSummary((line) => {
    console.log(line)
  })
  createInterface({ input: child.stdout }).on('line', (line) => {
    log.write(`${line}\n`)
    summary.add(line)
  })
  child.on('close', (code) => {
    log.end()
    const { passed, failed } = summary.end()
    const broken = code !== 0 || failed > 0 || passed === 0
    // A run that ended badly without a failed assertion (a file that did not load, a crash) counts as one failure.
    console.log(`${String(passed)} passed, ${String(broken && failed === 0 ? 1 : failed)} failed`)
    process.exitCode = broken ? 1 : 0
  })
}
