// Builds the page to dist/console/page, each file once as it is and once gzipped, as the daemon serves it. Skips the work when
// nothing that goes in has changed: most builds are of other folders.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { root } from './lib/paths.mjs'

const output = join(root, 'dist/console/page')
const stampFile = join(root, 'dist/.console-sources')

const stamp = hashOf([
  ...filesIn('console'),
  ...filesIn('client'),
  ...filesIn('core'),
  'package-lock.json',
  'scripts/build-console.mjs',
])
if (!existsSync(join(output, 'index.html')) || !existsSync(stampFile) || readFileSync(stampFile, 'utf8') !== stamp) {
  await buildPage()
  for (const path of readdirSync(output, { recursive: true })) {
    if (/\.(html|js|css|svg)$/.test(path))
      writeFileSync(join(output, `${path}.gz`), gzipSync(readFileSync(join(output, path)), { level: 9 }))
  }
  writeFileSync(stampFile, stamp)
}

/** Names with hashes, so that browsers keep files for good; nothing inline, which the policy of the page forbids. */
async function buildPage() {
  const { build } = await import('vite')
  await build({
    configFile: false,
    root: join(root, 'console'),
    base: '/ui/',
    logLevel: 'warn',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: output,
      emptyOutDir: true,
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      target: 'es2022',
      reportCompressedSize: false,
    },
  })
}

function filesIn(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort()
}

function hashOf(paths) {
  const hash = createHash('sha256')
  for (const path of paths)
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update('\0')
  return hash.digest('hex')
}
