// The packages that a node needs to run, as the lockfile has them.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.mjs'

/**
 * @returns what is installed for production: `path` in the checkout, `name`, `version`, `license` (an SPDX expression),
 *   `integrity` as npm writes it, and `needs`, the paths of the packages that it loads. The first one is the project.
 */
export function productionPackages() {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  const isNeeded = (path) => packages[path].dev !== true && packages[path].devOptional !== true
  return Object.entries(packages)
    .filter(([path]) => isNeeded(path))
    .map(([path, { name, version, license, integrity, dependencies, optionalDependencies, peerDependencies }]) => ({
      path,
      name: name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version,
      license,
      integrity,
      needs: Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })
        .map((needed) => resolve(packages, path, needed))
        .filter((found) => found !== undefined && isNeeded(found)),
    }))
}

/** Where Node finds a package from another one: in the nearest node_modules above it. */
function resolve(packages, from, name) {
  for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const path = `${folder === '' ? '' : `${folder}/`}node_modules/${name}`
    if (path in packages) return path
    if (folder === '') return undefined
  }
}
