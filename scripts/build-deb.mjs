// `npm run deb [-- --architecture amd64|arm64|armhf] [--version VERSION] [--out DIR]`: the Debian package, from what is
// built and installed here. The same sources give the same bytes: times are those of the last commit, or SOURCE_DATE_EPOCH.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { ensureBuilt } from './lib/build-stamp.mjs'
import { ensureInstalled } from './lib/install.mjs'
import { mainFile, root } from './lib/paths.mjs'
import { filesOf, makeProgramTree } from './lib/program-tree.mjs'
import { sourceDate } from './lib/source-date.mjs'
import { createSbom } from './lib/sbom.mjs'

/** By Debian's name: Node's name, and the libc that the native part of LevelDB was built for. */
const architectures = {
  amd64: { node: 'x64', libc: '2.28' },
  arm64: { node: 'arm64', libc: '2.17' },
  armhf: { node: 'arm', libc: '2.34' },
}

const { values } = parseArgs({
  options: {
    architecture: { type: 'string', default: ownArchitecture() },
    version: { type: 'string', default: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version },
    out: { type: 'string', default: join(root, 'release') },
  },
})
const target = architectures[values.architecture]
if (target === undefined) {
  console.error(`no such architecture: ${values.architecture}. There are: ${Object.keys(architectures).join(', ')}`)
  process.exit(2)
}

ensureInstalled()
ensureBuilt()
const epoch = sourceDate()
// Folders are open to all in a package, whoever builds it.
process.umask(0o022)
const tree = mkdtempSync(join(tmpdir(), 'millrace-deb-'))
chmodSync(tree, 0o755)
process.on('exit', () => {
  rmSync(tree, { recursive: true, force: true })
})

// A prerelease comes before the release in Debian's order with a tilde.
const version = values.version.replace('-', '~')
addProgram()
addService()
addConfiguration()
addDocumentation()
addControl()
mkdirSync(values.out, { recursive: true })
const file = join(values.out, `millrace_${version}_${values.architecture}.deb`)
// One thread: with more, where the compressed blocks end could depend on the machine.
execFileSync('dpkg-deb', ['--root-owner-group', '--threads-max=1', '-Zxz', '-z3', '--build', tree, file], {
  stdio: ['ignore', 'ignore', 'inherit'],
  env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch) },
})
console.log(file)

function addProgram() {
  makeProgramTree(join(tree, 'usr/lib/millrace'), { architecture: target.node, nodePath: '/usr/bin/node' })
  mkdirSync(join(tree, 'usr/bin'), { recursive: true })
  symlinkSync('../lib/millrace/dist/cli/main.js', join(tree, 'usr/bin/millrace'))
  for (const [shell, path] of [
    ['bash', 'usr/share/bash-completion/completions/millrace'],
    ['zsh', 'usr/share/zsh/vendor-completions/_millrace'],
    ['fish', 'usr/share/fish/vendor_completions.d/millrace.fish'],
  ]) {
    add(path, execFileSync(process.execPath, [mainFile, 'completion', shell]))
  }
}

function addService() {
  for (const [from, path] of [
    ['millrace.service', 'usr/lib/systemd/system/millrace.service'],
    ['millrace.sysusers', 'usr/lib/sysusers.d/millrace.conf'],
    ['millrace.tmpfiles', 'usr/lib/tmpfiles.d/millrace.conf'],
  ]) {
    add(path, readFileSync(join(root, 'packaging', from)))
  }
}

/** The example with everything commented out but where the service keeps its data and its socket. */
function addConfiguration() {
  const example = readFileSync(join(root, 'examples/millrace.yml'), 'utf8')
  const quiet = example.replaceAll(/^(?=[^#\n])/gm, '# ')
  const placed = quiet
    .replace(/^# data: \S+.*$/m, 'data: /var/lib/millrace')
    .replace(/^# api:$/m, 'api:\n  socket: /run/millrace/api.sock # for members of the group millrace')
    .replace('./millrace.schema.json', '/usr/share/millrace/millrace.schema.json')
  add('etc/millrace/millrace.yml', placed, 0o640)
  chmodSync(join(tree, 'etc/millrace'), 0o750)
  add('usr/share/millrace/millrace.schema.json', execFileSync(process.execPath, [mainFile, 'config', 'schema']))
}

function addDocumentation() {
  const folder = 'usr/share/doc/millrace'
  add(`${folder}/copyright`, readFileSync(join(root, 'packaging/debian/copyright')))
  add(`${folder}/changelog.gz`, gzipSync(debianChangelog(), { level: 9 }))
  add(`${folder}/NEWS.gz`, gzipSync(readFileSync(join(root, 'CHANGELOG.md')), { level: 9 }))
  add(`${folder}/sbom.cdx.json`, createSbom())
  for (const name of ['prometheus-alerts.yml', 'grafana-dashboard.json']) {
    add(`${folder}/${name}`, readFileSync(join(root, 'packaging', name)))
  }
}

function debianChangelog() {
  const date = new Date(epoch * 1000).toUTCString().replace('GMT', '+0000')
  return `millrace (${version}) stable; urgency=medium\n\n  * See NEWS.gz.\n\n -- ${maintainer()}  ${date}\n`
}

function addControl() {
  const files = filesOf(tree)
  const kibibytes = files.reduce((sum, path) => sum + Math.ceil(statSync(join(tree, path)).size / 1024), 0)
  const control = {
    Package: 'millrace',
    Version: version,
    Architecture: values.architecture,
    Maintainer: maintainer(),
    'Installed-Size': kibibytes,
    Depends: `nodejs (>= 20.19), libc6 (>= ${target.libc}), libstdc++6, adduser`,
    Section: 'database',
    Priority: 'optional',
    Description: [
      'event streams for the edge: one daemon per device',
      ' Takes tagged events from local apps, makes them durable, routes them into permanent and ephemeral streams,',
      ' serves queries and live subscriptions, and shares events with the nodes that have the same key. No broker,',
      ' no leader, no cloud.',
    ].join('\n'),
  }
  const fields = Object.entries(control).map(([name, value]) => `${name}: ${String(value)}\n`)
  add('DEBIAN/control', fields.join(''))
  add('DEBIAN/conffiles', '/etc/millrace/millrace.yml\n')
  const sums = files.map((path) => `${md5Of(join(tree, path))}  ${path}\n`)
  add('DEBIAN/md5sums', sums.join(''))
  for (const name of ['postinst', 'prerm', 'postrm']) {
    add(`DEBIAN/${name}`, readFileSync(join(root, 'packaging/debian', name)), 0o755)
  }
}

function maintainer() {
  const { DEBFULLNAME = 'the contributors of millrace', DEBEMAIL = 'millrace@localhost' } = process.env
  return `${DEBFULLNAME} <${DEBEMAIL}>`
}

function add(path, content, mode = 0o644) {
  mkdirSync(join(tree, dirname(path)), { recursive: true })
  writeFileSync(join(tree, path), content)
  chmodSync(join(tree, path), mode)
}

function md5Of(path) {
  return createHash('md5').update(readFileSync(path)).digest('hex')
}

function ownArchitecture() {
  return Object.keys(architectures).find((name) => architectures[name].node === process.arch)
}
