// What a browser loads to show the page: below 200 kB gzipped, nothing inline and nothing from elsewhere.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './lib/paths.mjs'

const MOST_BYTES = 200_000

const folder = join(root, 'dist/console/page')
const files = readdirSync(folder, { recursive: true })
const faults = []

const sizes = files.filter((path) => path.endsWith('.gz')).map((path) => [path, statSync(join(folder, path)).size])
const total = sizes.reduce((sum, [, size]) => sum + size, 0)
if (sizes.length < 3) faults.push(`the page has only ${String(sizes.length)} files`)
if (total > MOST_BYTES) {
  const list = sizes.map(([path, size]) => `${path} ${String(size)}`).join(', ')
  faults.push(`all files gzipped have ${String(total)} bytes, more than ${String(MOST_BYTES)}: ${list}`)
}

const html = readFileSync(join(folder, 'index.html'), 'utf8')
if (/<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=/.test(html)) faults.push('index.html has something inline')
for (const [, address] of html.matchAll(/(?:src|href)="([^"]*)"/g)) {
  if (!/^\/ui\/assets\/[\w-]+-[\w-]{8,}\.\w+$/.test(address)) faults.push(`index.html names ${address}`)
}

for (const fault of faults) console.error(fault)
process.exit(faults.length === 0 ? 0 : 1)
