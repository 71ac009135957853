// What others have written and a release holds, as the lockfile has it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.mjs'

const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))

/**
 * @returns the project, then what is installed for production: `path` in the checkout, `name`, `version`, `license` (an SPDX
 *   expression), `integrity` as npm writes it, and `needs`, the paths of the packages that it loads
 */
export function productionPackages() {
  const isNeeded = (path) => packages[path].dev !== true && packages[path].devOptional !== true
  return Object.keys(packages)
    .filter(isNeeded)
    .map((path) => describe(path, isNeeded))
}

/** @returns those that are compiled into the page, which needs none of them installed, in the same form */
export function bundledPackages() {
  const wanted = importsOf('console').filter((path) => path in packages)
  // Grows while it is gone through.
  const found = new Set(wanted)
  for (const path of found) for (const needed of describe(path).needs) found.add(needed)
  return [...found].map((path) => describe(path))
}

function describe(path, isWanted = () => true) {
  const { name, version, license, integrity, dependencies, optionalDependencies, peerDependencies } = packages[path]
  return {
    path,
    name: name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
    version,
    license,
    integrity,
    needs: Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })
      .map((needed) => resolve(path, needed))
      .filter((found) => found !== undefined && isWanted(found)),
  }
}

/** Where Node finds a package from another one: in the nearest node_modules above it. */
function resolve(from, name) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`
    if (path in packages) return path
    if (folder === '') return undefined
  }
}

/** Paths of the packages that the sources of a folder name. */
function importsOf(folder) {
  const sources = readdirSync(join(root, folder), { recursive: true }).filter((file) => /\.tsx?$/.test(file))
  const names = sources.flatMap((file) =>
    [...readFileSync(join(root, folder, file), 'utf8').matchAll(/(?:from|import) '((?:@[\w-]+\/)?[\w-]+)/g)].map(
      ([, name]) => `node_modules/${name}`,
    ),
  )
  return [...new Set(names)].sort()
}
