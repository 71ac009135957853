// `npm run release [-- --out DIR]`: everything that a release consists of: the package for npm, one for each architecture of
// Debian, the bill of materials, and the hashes of them all. The same commit gives the same bytes.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureBuilt } from './lib/build-stamp.mjs'
import { ensureInstalled } from './lib/install.mjs'
import { root } from './lib/paths.mjs'
import { createSbom } from './lib/sbom.mjs'
import { filesOf } from './lib/program-tree.mjs'

const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'release') } } })
const { out } = values
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const run = (command, ...args) => {
  execFileSync(command, args, { cwd: root, stdio: 'inherit' })
}

ensureInstalled()
ensureBuilt()
rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
run('npm', 'pack', '--ignore-scripts', '--loglevel=error', '--pack-destination', out)
for (const architecture of ['amd64', 'arm64', 'armhf']) {
  run(process.execPath, 'scripts/build-deb.mjs', '--architecture', architecture, '--out', out)
}
writeFileSync(join(out, `millrace-${version}.cdx.json`), createSbom())
const hashes = filesOf(out).map((name) => {
  const hash = createHash('sha256').update(readFileSync(join(out, name)))
  return `${hash.digest('hex')}  ${name}\n`
})
writeFileSync(join(out, 'SHA256SUMS'), hashes.join(''))
