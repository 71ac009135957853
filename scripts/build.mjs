// Generates the AQL parser, compiles everything to dist/, builds the page, puts files beside it that tsc does not copy, and
// removes what was compiled from sources that are gone (a deleted test must not go on running).
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { markBuilt } from './lib/build-stamp.mjs'
import { mainFile, root } from './lib/paths.mjs'

const run = (args) => {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

const dist = join(root, 'dist')
/** Compiled files, by extension, and where each comes from. */
const sourceOf = (path) => path.replace(/\.(d\.ts|js|js\.map)$/, '.ts')

const outputs = () =>
  existsSync(dist)
    ? readdirSync(dist, { recursive: true }).filter(
        (path) => /\.(d\.ts|js|js\.map)$/.test(path) && !/grammar\.|^console[\\/]page/.test(path),
      )
    : []

// tsc believes its record of the last build and would not notice that outputs were deleted by hand.
const expectedMain = existsSync(join(root, 'cli/main.ts'))
if (expectedMain && !existsSync(mainFile)) rmSync(join(dist, '.tsbuildinfo'), { force: true })
rmSync(join(dist, '.sources'), { force: true })

if (existsSync(join(root, 'aql/grammar.peggy'))) run(['scripts/generate-parser.mjs'])
run(['node_modules/typescript/bin/tsc', '-p', '.'])
if (existsSync(join(root, 'aql/grammar.js'))) {
  mkdirSync(join(dist, 'aql'), { recursive: true })
  copyFileSync(join(root, 'aql/grammar.js'), join(dist, 'aql/grammar.js'))
}
for (const path of outputs()) if (!existsSync(join(root, sourceOf(path)))) rmSync(join(dist, path), { force: true })
run(['scripts/build-console.mjs'])
if (existsSync(mainFile)) chmodSync(mainFile, 0o755)
markBuilt()
