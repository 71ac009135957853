// The bill of materials of a release, as CycloneDX 1.5. Made from the lockfile: `npm sbom` leaves packages out that a
// package for development wants as peers too (ws and yaml, for example).
import { createHash } from 'node:crypto'
import { bundledPackages, productionPackages } from './production-packages.mjs'

/** @returns the same text for the same lockfile and version */
export function createSbom() {
  const [program, ...loaded] = productionPackages()
  const bundled = bundledPackages()
  const packages = [...loaded, ...bundled]
  const project = { ...program, needs: [...program.needs, ...bundled.map(({ path }) => path)] }
  const components = new Map(packages.map((one) => [refOf(one), componentOf(one)]))
  const byPath = new Map([project, ...packages].map((one) => [one.path, refOf(one)]))
  const needs = new Map()
  for (const one of [project, ...packages]) {
    const known = needs.get(refOf(one)) ?? new Set()
    for (const path of one.needs) known.add(byPath.get(path))
    needs.set(refOf(one), known)
  }
  const content = {
    metadata: {
      lifecycles: [{ phase: 'build' }],
      component: { ...componentOf(project), type: 'application', scope: undefined },
    },
    components: sorted([...components]).map(([, component]) => component),
    dependencies: sorted([...needs]).map(([ref, refs]) => ({ ref, dependsOn: [...refs].sort() })),
  }
  const sbom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.5.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(content))}`,
    version: 1,
    ...content,
  }
  return `${JSON.stringify(sbom, null, 2)}\n`
}

function componentOf({ name, version, license, integrity }) {
  const [group, plain] = name.startsWith('@') ? name.split('/') : [undefined, name]
  return {
    'bom-ref': refOf({ name, version }),
    type: 'library',
    group,
    name: plain,
    version,
    scope: 'required',
    hashes: integrity === undefined ? undefined : [hashOf(integrity)],
    licenses: [/ (?:OR|AND|WITH) /.test(license) ? { expression: license } : { license: { id: license } }],
    purl: refOf({ name, version }),
  }
}

/** A package URL; `@` of a scope is escaped in it. */
function refOf({ name, version }) {
  return `pkg:npm/${name.replace('@', '%40')}@${version}`
}

function hashOf(integrity) {
  const [algorithm, base64] = integrity.split('-')
  return { alg: algorithm.replace('sha', 'SHA-'), content: Buffer.from(base64, 'base64').toString('hex') }
}

/** By key, in an order that no locale changes. */
function sorted(entries) {
  return entries.sort(([left], [right]) => (left < right ? -1 : 1))
}

/** A UUID of version 8 (its bits are a hash) that follows from the text. */
function uuidOf(text) {
  const hash = createHash('sha256').update(text).digest()
  hash[6] = (hash[6] & 0x0f) | 0x80
  hash[8] = (hash[8] & 0x3f) | 0x80
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
