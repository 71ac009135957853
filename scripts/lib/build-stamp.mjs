// Tells whether dist/ was built from the sources as they are now.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.mjs'

const stampFile = join(root, 'dist/.sources')

/** Top-level folders without source; everything else is looked through. */
const skipped = new Set(['node_modules', 'dist', 'release', 'coverage', 'docs'])

/** Content, not times: a checkout or a copy changes times only. Some 400 files take about 30 ms. */
export function hashSources() {
  const hash = createHash('sha256')
  for (const file of sourceFiles(''))
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0')
  return hash.digest('hex')
}

export function isBuilt() {
  return existsSync(stampFile) && readFileSync(stampFile, 'utf8') === hashSources()
}

export function markBuilt() {
  writeFileSync(stampFile, hashSources())
}

export function ensureBuilt() {
  if (isBuilt()) return
  console.error('building …')
  const { status } = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: ['ignore', 2, 2] })
  if (status !== 0) process.exit(status ?? 1)
}

/** Paths relative to the checkout, sorted; what the build reads. */
export function sourceFiles(folder) {
  const found = []
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) {
      if (entry.name.startsWith('.') || skipped.has(path)) continue
      found.push(...sourceFiles(path))
    } else if (
      /\.(ts|peggy)$/.test(path) ||
      /^console\//.test(path) ||
      [
        'tsconfig.json',
        'package-lock.json',
        'scripts/build.mjs',
        'scripts/build-console.mjs',
        'scripts/generate-parser.mjs',
      ].includes(path)
    ) {
      if (path !== 'aql/grammar.d.ts') found.push(path)
    }
  }
  return found.sort()
}
