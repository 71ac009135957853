// Generates the AQL parser, compiles everything to dist/, and puts files beside it that tsc does not copy.
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const run = (args) => {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

if (existsSync(join(root, 'aql/grammar.peggy'))) run(['scripts/generate-parser.mjs'])
run(['node_modules/typescript/bin/tsc', '-p', '.'])
if (existsSync(join(root, 'aql/grammar.js'))) {
  mkdirSync(join(root, 'dist/aql'), { recursive: true })
  copyFileSync(join(root, 'aql/grammar.js'), join(root, 'dist/aql/grammar.js'))
}
const main = join(root, 'dist/cli/main.js')
if (existsSync(main)) chmodSync(main, 0o755)
