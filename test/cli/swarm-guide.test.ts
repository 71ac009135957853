// Does what docs/swarm.md says, with its own commands and configuration, as an operator would.
import { execFile, spawnSync } from 'node:child_process'
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { DaemonProcess } from '../support/daemon.js'
import { runMillrace, type CommandResult } from '../support/run-millrace.js'
import { until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url))
const guide = await readFile(join(root, 'docs/swarm.md'), 'utf8')

function blocks(language: string): string[] {
  return [...guide.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, found, body]) =>
    found === language ? [body!] : [],
  )
}

const [keygen, ...commands] = blocks('sh')
const [smallest, withPeers, sharing] = blocks('yaml')
const directory = temporaryDirectory(t)
const keyFile = join(directory, 'swarm.key')

const millrace = (...args: readonly string[]) => runMillrace(args)

const ask = (daemon: DaemonProcess, ...args: readonly string[]): Promise<CommandResult> =>
  millrace(...args, '--socket', daemon.socket)

const result = ({ out }: CommandResult): any => JSON.parse(out).result

async function payloads(daemon: DaemonProcess): Promise<unknown[]> {
  const { out } = await ask(daemon, 'query', '-j', 'FROM allEvents')
  const lines = out.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line)).flatMap(({ type, payload }) => (type === 'event' ? [payload] : []))
}

const publish = (daemon: DaemonProcess, tag: string, payload: unknown): Promise<CommandResult> =>
  ask(daemon, 'publish', '-j', '-t', tag, JSON.stringify(payload))

/** A configuration of the guide on this machine: loopback instead of its addresses, any free port. */
function here(text: string | undefined, peers: readonly string[] = []): string {
  if (text === undefined) throw new Error('the guide has fewer configurations than expected')
  const local = text
    .replace('swarm.key', keyFile)
    .replace(/^ {2}mdns: .*\n/m, '')
    .replace(/^ {2}peers:\n(?: {4}- .*\n)*/m, '')
  return `${local}  mdns: false\n  listen: [/ip4/127.0.0.1/tcp/0]\n  peers: ${JSON.stringify(peers)}\n`
}

const routes = ['debug', 'orders', 'telemetry', 'other'].map((name) => `    - { from: "'${name}'", into: ${name} }\n`)
const routing = `eventRouting:\n  routes:\n${routes.join('')}`
const smallBlocks = 'storage: { block: { maxEvents: 10 }, pruneInterval: 1s }\n'

async function start(config: string): Promise<DaemonProcess> {
  const daemon = await DaemonProcess.start({ config })
  t.teardown(() => daemon.close())
  return daemon
}

const hasShell = spawnSync('bash', ['--version']).status === 0

t.before(async () => {
  if (hasShell) {
    const define = `millrace() { '${process.execPath}' '${main}' "$@"; }\n`
    await promisify(execFile)('bash', ['-euc', define + keygen!], { cwd: directory })
  } else await writeFile(keyFile, (await millrace('swarm', 'keygen')).out)
})

t.test('the guide has what is tried here, and all of it is a valid configuration', async (t) => {
  t.match(await readFile(keyFile, 'utf8'), /^[A-Za-z0-9+/]{43}=\n$/)
  t.same(commands, ['millrace peers\n'])
  t.equal(blocks('yaml').length, 3)
  for (const [at, text] of blocks('yaml').entries()) {
    const file = join(directory, `${String(at)}.yml`)
    await writeFile(file, text)
    t.match(await millrace('config', 'check', file), { code: 0 }, text)
  }
})

t.test('two nodes, what they share, and how that is changed', async (t) => {
  const one = await start(here(smallest) + routing + smallBlocks)
  const { nodeId, swarm } = one.ready
  const policy = sharing!
    .replace(/node: \S+,/, `node: ${nodeId},`)
    .replace('eventRouting:\n', routing)
    .replace('telemetry: { maxAge: 2d }', 'telemetry: { maxEvents: 5 }')
  const config = here(withPeers, swarm ?? []) + policy
  const two = await start(config + smallBlocks)
  for (const daemon of [one, two]) {
    await until(async () => / connected .* LowLatency /.test((await ask(daemon, 'peers')).out))
    t.match(await ask(daemon, 'peers'), { code: 0, out: /^topic default-topic/ })
  }

  for (const tag of ['orders', 'telemetry', 'other', 'debug']) {
    await publish(one, tag, `one ${tag}`)
    await publish(two, tag, `two ${tag}`)
  }
  const ofTwo = ['two orders', 'two telemetry', 'two other']
  const ofOne = ['one orders', 'one telemetry', 'one other', 'one debug']
  await until(async () => (await payloads(one)).length === 7)
  t.same((await payloads(one)).sort(), [...ofOne, ...ofTwo].sort(), 'replicate: false stays where it is')
  await until(async () => (await payloads(two)).length === 6)
  t.same((await payloads(two)).sort(), ['one orders', 'one telemetry', 'two debug', ...ofTwo].sort(), 'what it wants')
  t.match(await ask(two, 'offsets'), { code: 0, out: new RegExp(`${nodeId.replaceAll('.', '\\.')}-\\d`) })

  await writeFile(two.configFile, config.replace(/^ {2}streams: # what is[^]*?(?=^ {2}keep:)/m, '') + smallBlocks)
  two.signal('SIGHUP')
  await until(async () => (await payloads(two)).length === 8)
  t.pass('after SIGHUP it fetches the others too')

  // Each is a commit of its own: blocks end between commits.
  for (let at = 0; at < 40; at++) await publish(one, 'telemetry', at)
  const firstOffset = async (daemon: DaemonProcess): Promise<number> => {
    const { streams } = result(await ask(daemon, 'streams', '-j'))
    return streams.find((each: any) => each.stream.startsWith(nodeId) && each.name === 'telemetry').firstOffset
  }
  await until(async () => (await firstOffset(two)) >= 20)
  t.equal(await firstOffset(one), 0, 'replication.keep drops replicas earlier than their owner does')
})

t.test('another topic begins empty, and the old one stays', async (t) => {
  const config = here(smallest)
  const daemon = await start(config)
  await publish(daemon, 'a', 'old')
  await daemon.stop()
  await writeFile(daemon.configFile, config.replace('swarm:\n', 'swarm:\n  topic: second\n'))
  await daemon.startAgain()
  t.same(await payloads(daemon), [])
  t.match(result(await ask(daemon, 'topics', 'ls', '-j')).topics, [
    { name: 'default-topic', active: false },
    { name: 'second', active: true },
  ])
  await daemon.stop()
  await writeFile(daemon.configFile, config)
  await daemon.startAgain()
  t.same(await payloads(daemon), ['old'])
})

t.test('a node restored from an old backup says so, and loses nothing that others hold', async (t) => {
  const one = await start(here(smallest))
  const two = await start(here(withPeers, one.ready.swarm ?? []))
  await publish(two, 'a', 'before')
  await until(async () => (await payloads(one)).length === 1)
  await two.stop()
  const backup = join(directory, 'backup')
  await cp(two.data, backup, { recursive: true })
  await two.startAgain()
  await publish(two, 'a', 'after')
  await until(async () => (await payloads(one)).length === 2)
  await two.stop()
  await rm(two.data, { recursive: true })
  await cp(backup, two.data, { recursive: true })
  await two.startAgain()

  await until(async () => (await ask(two, 'peers')).code === 1)
  t.match((await ask(two, 'peers')).out, /alarm own-history .*\n.*millrace identity epoch/)
  t.match(await publish(two, 'a', 'refused'), { code: 1 })
  t.match(await ask(two, 'query', '--order', 'desc', 'FROM allEvents'), { code: 0, out: /"before"/ }, 'reads go on')
  t.match(await ask(two, 'identity', 'epoch', '--yes'), { code: 0, out: /epoch 1/ })
  await until(async () => (await payloads(two)).length === 2)
  t.match(await publish(two, 'a', 'again'), { code: 0 })
  await until(async () => (await payloads(one)).length === 3)
  for (const daemon of [one, two]) t.same(await payloads(daemon), ['before', 'after', 'again'])
  await until(async () => (await ask(two, 'peers')).code === 0)
})
