// What lies in /usr/lib/millrace of a package and in the image: the compiled program with everything that it loads.
import { spawnSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { bundledPackages, productionPackages } from './production-packages.mjs'
import { root } from './paths.mjs'

/** Sources and type definitions: nothing loads them at run time. */
const notLoaded = /\.(?:[cm]?ts|map|cc?|h|gyp)$/

/** Tests of packages, and settings of the tools of their authors. */
const aside = /^(?:test|benchmarks?|\.[^/]+)(?:\/|$)/

/**
 * @param target a directory, made if need be
 * @param architecture as Node names it: x64, arm64, arm
 * @param nodePath what runs the command
 */
export function makeProgramTree(target, { architecture, nodePath }) {
  for (const file of packedFiles()) if (!notLoaded.test(file)) copy(join(root, file), join(target, file))
  for (const { path } of productionPackages().slice(1)) {
    // Packages inside of packages come in their own turn.
    for (const file of filesOf(join(root, path), (folder) => folder !== 'node_modules')) {
      if (notLoaded.test(file) || aside.test(file) || isForeign(file, architecture)) continue
      copy(join(root, path, file), join(target, path, file))
    }
  }
  // What is compiled into the page has no folder of its own.
  for (const { path, name } of bundledPackages()) {
    const licence = readdirSync(join(root, path)).find((file) => /^licen[cs]e/i.test(file))
    if (licence !== undefined)
      copy(join(root, path, licence), join(target, 'licences', `${name.replace('/', '-')}.txt`))
  }
  const main = join(target, 'dist/cli/main.js')
  writeFileSync(main, readFileSync(main, 'utf8').replace(/^#!.*/, `#!${nodePath}`))
  chmodSync(main, 0o755)
}

/** Paths relative to a folder, sorted. */
export function filesOf(folder, enter = () => true, at = folder) {
  return readdirSync(at, { withFileTypes: true })
    .sort((left, right) => (left.name < right.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(at, entry.name)
      if (!entry.isDirectory()) return [relative(folder, path)]
      return enter(entry.name) ? filesOf(folder, enter, path) : []
    })
}

/** What npm would publish, so that all packages hold the same program. */
function packedFiles() {
  const args = ['pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error']
  const { status, stdout, stderr, error } = spawnSync('npm', args, { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm pack failed: ${error?.message ?? stderr}`)
  return JSON.parse(stdout)[0].files.map(({ path }) => path)
}

/** Native parts are built for several systems, and for musl beside glibc. */
function isForeign(file, architecture) {
  const [, system] = /^prebuilds\/([^/]+)\//.exec(file) ?? []
  return system !== undefined && (system !== `linux-${architecture}` || file.endsWith('.musl.node'))
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true })
  cpSync(from, to, { dereference: true })
  chmodSync(to, (statSync(from).mode & 0o111) === 0 ? 0o644 : 0o755)
}
