// The files for containers: their steps, settings and commands with real nodes, without the container around them.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { DaemonProcess } from '../support/daemon.js'
import { plainNode } from '../support/plain-node.js'
import { runMillrace } from '../support/run-millrace.js'
import { until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const checkout = fileURLToPath(new URL('../../..', import.meta.url))

interface Service {
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly volumes: readonly string[]
  readonly ports?: readonly string[]
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, null>>
}

const instructions = (await readFile(join(checkout, 'Dockerfile'), 'utf8'))
  .replaceAll(/^#.*\n/gm, '')
  .replaceAll(/\s*\\\n\s*/g, ' ')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => ({ name: line.split(' ', 1)[0], text: line.slice(line.indexOf(' ') + 1) }))
const all = (name: string) => instructions.filter((one) => one.name === name).map(({ text }) => text)

/** The environment that the image gives to a node. */
const imageEnvironment = Object.fromEntries(
  all('ENV').flatMap((text) => text.split(' ').map((pair) => pair.split('=') as [string, string])),
)
const compose = parse(await readFile(join(checkout, 'packaging/compose.yaml'), 'utf8'), { merge: true }) as Compose
const nodes = Object.entries(compose.services).filter(([name]) => name !== 'key')

/** Runs a step of a stage; the directories of the container are those named. */
function run(t: Test, command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: checkout, env, encoding: 'utf8' })
  t.equal(status, 0, `${command} ${args.join(' ')}: ${stderr}`)
  return stdout
}

t.test('the image is built from files that are there, and its program is complete', async (t) => {
  const ignored = (await readFile(join(checkout, '.dockerignore'), 'utf8')).split('\n')
  const sources = all('COPY').filter((text) => !text.startsWith('--from'))
  for (const source of sources.flatMap((text) => text.split(' ').slice(0, -1))) {
    t.ok(existsSync(join(checkout, source)), `${source} is there`)
    t.notOk(ignored.includes(source), `${source} gets to the builder`)
  }
  const [, script = ''] =
    /^node (\S+) \/program$/.exec(all('RUN').find((text) => text.endsWith('/program')) ?? '') ?? []
  const program = join(temporaryDirectory(t), 'program')
  run(t, ...plainNode([join(checkout, script), program]))
  t.match(run(t, join(program, 'dist/cli/main.js'), ['--version']), /^\d+\.\d+\.\d+/)
  t.notOk(existsSync(join(program, 'node_modules/typescript')), 'what only developers need stays behind')
  t.match(all('RUN').join('\n'), 'ln -s /usr/lib/millrace/dist/cli/main.js /usr/local/bin/millrace')
  t.same(all('USER'), ['node'])
  t.same(all('CMD'), ['["millrace", "run"]'])
})

t.test('the check of health says whether the node is ready', async (t) => {
  const [check = ''] = all('HEALTHCHECK')
  const [, ...args] = JSON.parse(check.slice(check.indexOf('['))) as string[]
  const node = await DaemonProcess.start()
  t.teardown(() => node.close())
  const [command, all_] = plainNode(args)
  const ask = () =>
    spawnSync(command, all_, { env: { ...process.env, ...imageEnvironment, MILLRACE_API_SOCKET: node.socket } }).status
  t.equal(ask(), 0)
  await node.stop()
  t.equal(ask(), 1)
})

t.test('the services of the swarm have ports, volumes and names of their own', (t) => {
  t.equal(nodes.length, 3)
  for (const list of ['ports', 'volumes'] as const) {
    t.equal(new Set(nodes.map(([, service]) => service[list]?.[0])).size, nodes.length, list)
  }
  for (const [name, { environment, volumes, ports }] of nodes) {
    t.equal(environment?.['MILLRACE_ADMIN_DISPLAY_NAME'], name)
    t.match(ports?.[0], /^127\.0\.0\.1:445\d:4454$/)
    t.equal(volumes[0], `${name}:${String(imageEnvironment['MILLRACE_DATA'])}`)
    for (const volume of volumes) t.ok(volume.split(':')[0]! in compose.volumes, volume)
  }
  t.end()
})

t.test('the key is made once, and the three nodes become a swarm', async (t) => {
  const folder = temporaryDirectory(t)
  const bin = join(folder, 'bin')
  await mkdir(bin)
  await symlink(join(checkout, 'dist/cli/main.js'), join(bin, 'millrace'))
  const [shell = '', ...args] = compose.services['key']?.command ?? []
  const makeKey = async () => {
    const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` }
    run(
      t,
      shell,
      args.map((text) => text.replaceAll('/etc/millrace', folder)),
      env,
    )
    return readFile(join(folder, 'swarm.key'), 'utf8')
  }
  const key = await makeKey()
  t.match(key, /^\S{44}\n$/)
  t.equal(await makeKey(), key)

  const started = new Map<string, DaemonProcess>()
  for (const [name, { environment = {} }] of nodes) {
    // Its own address among the peers is one that it cannot reach: nobody listens at port 1.
    const place = (text: string) =>
      text
        .replace('/etc/millrace', folder)
        .replaceAll(
          /\/dns\/(node-\d)\/tcp\/4001/g,
          (_, peer: string) => started.get(peer)?.ready.swarm?.[0] ?? '/ip4/127.0.0.1/tcp/1',
        )
    const settings = Object.entries(environment).map(([key, value]) => [key, place(value)] as const)
    const listen = { MILLRACE_SWARM_LISTEN: '[/ip4/127.0.0.1/tcp/0]' }
    const node = await DaemonProcess.start({ env: { ...imageEnvironment, ...Object.fromEntries(settings), ...listen } })
    t.teardown(() => node.close())
    started.set(name, node)
  }
  const [first, , third] = [...started.values()]
  t.equal((await runMillrace(['publish', '-s', first!.socket, '-t', 'shared', '{"from":"node-1"}'])).code, 0)
  await until(async () =>
    (await runMillrace(['query', '-j', '-s', third!.socket, "FROM 'shared'"])).out.includes('node-1'),
  )
})
