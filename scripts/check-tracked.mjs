// Looks through all tracked files for what must not leave the machine it was written on: absolute paths of a workplace,
// registry hosts, keys, conflict marks. Exits with 1 and the places found.
import { spawnSync } from 'node:child_process'
import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './lib/paths.mjs'

const rules = [
  { what: 'path of one machine', pattern: /(?<![\w.@~-])\/(?:work|root|home\/(?!user\b)\w+)\/[\w.-]/ },
  { what: 'temporary file of one machine', pattern: /\/tmp\/(?:bash_jobs|briefs|claude|tmp\.)/ },
  // The lockfile names packages by version and hash; the host they come from is everyone's own setting.
  { what: 'registry host', pattern: /https?:\/\/[\w.-]*(?:registry|artifactory|nexus|verdaccio|proxy)[\w.-]*[:/]/i },
  { what: 'resolved URL in the lockfile', pattern: /"resolved": "https?:/, only: /(^|\/)package-lock\.json$/ },
  { what: 'private key', pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----/ },
  { what: 'conflict mark', pattern: /^(?:<{7}|>{7}) /m },
]

const listed = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 64 * 1024 * 1024,
})
if (listed.status !== 0) {
  console.log('not a git checkout: nothing to look at')
  process.exit(0)
}

let found = 0
for (const file of listed.stdout.split('\0')) {
  if (file === '' || !lstatSync(join(root, file), { throwIfNoEntry: false })?.isFile()) continue
  const text = readFileSync(join(root, file), 'latin1')
  for (const { what, pattern, only } of rules) {
    if (only !== undefined && !only.test(file)) continue
    const match = pattern.exec(text)
    if (match === null) continue
    const line = text.slice(0, match.index).split('\n').length
    console.error(`${file}:${String(line)}: ${what}: ${match[0]}`)
    found += 1
  }
}
process.exit(found === 0 ? 0 : 1)
