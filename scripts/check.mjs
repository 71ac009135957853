// `npm run check [-- JOB …]`: every static check, one job each. All run, whatever fails; the exit code tells.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root } from './lib/paths.mjs'
import { ensureBuilt } from './lib/build-stamp.mjs'

const bin = (path) => ['node', join('node_modules', path)]
const eslint = bin('eslint/bin/eslint.js')

/** In the order of the seconds they take, so that the common faults show first. */
const jobs = {
  format: [...bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'],
  tracked: ['node', 'scripts/check-tracked.mjs'],
  types: [...bin('typescript/bin/tsc'), '-p', '.', '--noEmit', '--incremental', 'false'],
  page: [...bin('typescript/bin/tsc'), '-p', 'console', '--incremental', 'false'],
  'page-size': ['node', 'scripts/check-page.mjs'],
  arrows: [
    ...bin('dependency-cruiser/bin/dependency-cruise.mjs'),
    '--config',
    '.dependency-cruiser.cjs',
    '--output-type',
    'err',
    '.',
  ],
  'dead-code': [...bin('knip/bin/knip.js'), '--no-config-hints'],
  'api-docs': bin('typedoc/bin/typedoc'),
  package: [...bin('publint/src/cli.js'), '--strict', '.'],
  exports: [...bin('@arethetypeswrong/cli/dist/index.js'), '--pack', '.', '--profile', 'esm-only', '--no-emoji'],
  tarball: ['node', 'scripts/check-tarball.mjs'],
  lint: [...eslint, '--max-warnings', '0', '.'],
}

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => !(name in jobs))
if (unknown.length > 0) {
  console.error(`no such check: ${unknown.join(', ')}. There are: ${Object.keys(jobs).join(', ')}`)
  process.exit(2)
}

ensureBuilt()
const failed = []
for (const [name, [command, ...args]] of Object.entries(jobs)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const started = performance.now()
  const { status, stdout, stderr } = spawnSync(command === 'node' ? process.execPath : command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, FORCE_COLOR: undefined },
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(10)} ${seconds.padStart(6)} s`)
  if (status === 0) continue
  failed.push(name)
  console.log(`${stdout ?? ''}${stderr ?? ''}`.trimEnd())
}

if (failed.length > 0) {
  console.log(`\n${String(failed.length)} checks failed: ${failed.join(', ')}`)
  process.exit(1)
}
console.log('\nall checks passed')
