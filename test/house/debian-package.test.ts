// The Debian package as an operator meets it, on a copy of this machine with systemd that the test throws away.
import { execFile, spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { parseDocument } from 'yaml'
import { checkConfigText } from '../../config/index.js'
import { GuestSystem } from '../support/guest-system.js'
import { testLevel } from '../support/level.js'
import { plainNode } from '../support/plain-node.js'
import { until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const execute = promisify(execFile)

const CONFIGURATION = '/etc/millrace/millrace.yml'

const missing = ['dpkg-deb', 'curl'].find((tool) => spawnSync(tool, ['--version']).status !== 0)
const lacksTool = missing === undefined ? undefined : `${missing} is not installed`
const takesLong = testLevel() === 'quick' ? 'needs a MILLRACE_TEST_LEVEL other than quick' : undefined

/** @returns the path of the package */
async function build(t: { teardown: (work: () => unknown) => void }, out = temporaryDirectory(t)): Promise<string> {
  const [command, args] = plainNode([join(root, 'scripts/build-deb.mjs'), '--out', out])
  const { stdout } = await execute(command, args, {
    cwd: root,
    env: { ...process.env, SOURCE_DATE_EPOCH: '1700000000' },
  })
  return stdout.trim()
}

t.test('the package', { skip: lacksTool ?? takesLong ?? false }, async (t) => {
  const shared = temporaryDirectory(t)
  const [file, again] = await Promise.all([build(t, shared), build(t)])

  await t.test('has the same bytes whenever it is built of the same sources', async (t) => {
    t.ok((await readFile(file)).equals(await readFile(again)))
  })

  await t.test(
    'has a configuration that changes nothing, and one that is valid once all of it is switched on',
    async (t) => {
      const unpacked = temporaryDirectory(t)
      await execute('dpkg-deb', ['--extract', file, unpacked])
      const text = await readFile(join(unpacked, CONFIGURATION), 'utf8')
      t.same(parseDocument(text).toJS(), { data: '/var/lib/millrace', api: { socket: '/run/millrace/api.sock' } })
      const everything = text.replaceAll(/^# (?=[a-zA-Z]+:(?: #|$)| )/gm, '')
      t.equal(Object.keys(parseDocument(everything).toJS() as object).length, 8)
      t.same(
        checkConfigText(everything, CONFIGURATION).problems.filter(({ reason }) => !/swarm\.key/.test(reason)),
        [],
      )
    },
  )

  await t.test('keeps licences of what it brings along, and leaves sources out', async (t) => {
    const { stdout } = await execute('dpkg-deb', ['--contents', file], { maxBuffer: 2 ** 24 })
    t.match(stdout, /\.\/usr\/lib\/millrace\/node_modules\/classic-level\/deps\/leveldb\/\S+\/LICENSE$/m)
    t.match(stdout, /\.\/usr\/lib\/millrace\/node_modules\/classic-level\/prebuilds\/linux-\S+\.node$/m)
    t.notMatch(stdout, /\.(?:map|cc|[cm]?ts)$/m)
    t.notMatch(stdout, /prebuilds\/(?:win32|darwin|android)/)
  })

  await t.test(
    'is installed, upgraded, removed and purged',
    { skip: GuestSystem.unavailable() ?? false },
    async (t) => {
      const system = await GuestSystem.boot(shared)
      t.teardown(() => system.close())
      const must = async (...command: string[]): Promise<string> => {
        const { code, out, err } = await system.run(...command)
        if (code !== 0) throw new Error(`${command.join(' ')}: ${String(code)}\n${out}${err}`)
        return out.trim()
      }
      const shell = (script: string) => must('sh', '-ec', script)
      const fails = async (...command: string[]) => (await system.run(...command)).code !== 0
      const ask = (command: string, ...args: string[]) =>
        must('millrace', command, '-s', '/run/millrace/api.sock', ...args)
      const show = (property: string) => must('systemctl', 'show', '--value', '--property', property, 'millrace')
      // Node may be here without its package.
      const install = (path: string) => must('dpkg', '--force-depends', '--force-confold', '-i', path)
      // One process that asks each second, so that a slow machine is not kept busy by asking.
      const patience = ['--retry', '120', '--retry-delay', '1', '--retry-all-errors']
      const whenReady = () => must('curl', '-sf', ...patience, 'http://127.0.0.1:4454/ready')
      const path = `/srv/${basename(file)}`

      t.comment('installed: it runs as a user of its own')
      await install(path)
      await whenReady()
      t.equal(await must('systemctl', 'is-enabled', 'millrace'), 'enabled')
      const started = await show('MainPID')
      t.equal(await must('stat', '-c', '%U:%G', `/proc/${started}`), 'millrace:millrace')
      t.equal(await must('stat', '-c', '%U:%G %a', CONFIGURATION), 'root:millrace 640')
      t.equal(await must('stat', '-c', '%U:%G %a', '/var/lib/millrace'), 'millrace:millrace 700')
      const before = await ask('identity', 'show')
      await ask('publish', '-t', 'kept', '{"celsius":21.5}')
      t.match(await must('millrace', 'doctor', '-c', CONFIGURATION), /^0 problems/m)

      t.comment('its configuration changed and reloaded: it goes on running')
      const routes = 'eventRouting: { routes: [{ from: "\'hot\'", into: hot }] }'
      await must('sh', '-ec', 'echo "$1" >>"$2"', 'sh', routes, CONFIGURATION)
      await must('systemctl', 'reload', 'millrace')
      await until(async () => (await ask('route', '-t', 'hot')).includes('hot'))
      t.equal(await show('MainPID'), started)

      t.comment('upgraded to a version with another configuration: data, identity and what the operator wrote stay')
      const newer = '/tmp/newer'
      await shell(`dpkg-deb -R ${path} ${newer}; sed -i 's/^Version: .*/Version: 99.0/' ${newer}/DEBIAN/control`)
      await shell(`echo '# newer' >>${newer}${CONFIGURATION}; dpkg-deb -Znone -b ${newer} ${newer}.deb`)
      await install(`${newer}.deb`)
      await whenReady()
      t.not(await show('MainPID'), started, 'the new program runs')
      t.equal(await must('dpkg-query', '-W', '-f', '${Version}', 'millrace'), '99.0')
      t.equal(await ask('identity', 'show'), before)
      t.match(await ask('query', '-j', "FROM 'kept'"), /21\.5/)
      t.match(await must('cat', CONFIGURATION), /into: hot/)

      t.comment('removed: it is stopped in order, and all but the program stays')
      await must('dpkg', '--remove', 'millrace')
      t.match(await must('journalctl', '--no-pager'), /millrace\.service: Deactivated successfully/)
      t.notOk(await fails('ls', '/var/lib/millrace/identity.key', CONFIGURATION))
      t.ok(await fails('ls', '/usr/lib/millrace'))
      t.ok(await fails('ls', '-L', '/usr/bin/millrace'))

      t.comment('installed where no systemd runs, and started by hand as the unit says: the data are there')
      const apart = `mount -t tmpfs none /run/systemd; dpkg --force-depends --force-confold -i ${path}`
      t.match(await must('unshare', '--mount', 'sh', '-ec', apart), /nothing was started/)
      const command = await shell("sed -n 's/^ExecStart=//p' /usr/lib/systemd/system/millrace.service")
      const rights = '--reuid millrace --regid millrace --init-groups --no-new-privs --bounding-set -all'
      const pid = await shell(`install -d -o millrace -g millrace /run/millrace
      setpriv ${rights} ${command} >/tmp/log 2>&1 & echo $!`)
      await whenReady()
      t.equal(await ask('identity', 'show'), before)
      t.match(await ask('query', '-j', "FROM 'kept'"), /21\.5/)
      await must('kill', pid)
      await until(() => fails('test', '-d', `/proc/${pid}`))

      t.comment('purged: nothing is left')
      await must('dpkg', '--purge', 'millrace')
      t.ok(await fails('id', 'millrace'))
      t.equal(await shell('find /etc /usr /var/lib -xdev -newer /srv -name "*millrace*"'), '')
    },
  )
})
