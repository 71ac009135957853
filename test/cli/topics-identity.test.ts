import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkConfigText } from '../../config/index.js'
import { startDaemon, type DaemonSettings } from '../../node/index.js'
import { daemonSettings, silentLogger } from '../support/daemon-settings.js'
import { runMillrace } from '../support/run-millrace.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

interface Answers {
  /** What the operator types; with it stderr is a terminal. */
  readonly typed?: string
  readonly env?: Record<string, string>
}

const millrace = (argv: readonly string[], { typed, env = {} }: Answers = {}) =>
  runMillrace(argv, { input: typed ?? '', isTerminal: typed !== undefined, env: { NO_COLOR: '1', ...env } })

const result = ({ out }: { readonly out: string }): any => JSON.parse(out).result

function startNode(data: string, topic: string, changes: Partial<DaemonSettings> = {}) {
  const settings = daemonSettings(data, changes)
  const swarm = { ...settings.swarm, topic }
  return startDaemon({ settings: { ...settings, swarm }, logger: silentLogger, version: '0' })
}

/** A directory in which a node has run with each of some topics, one event in each. */
async function nodeWithTopics(data: string, topics: readonly string[]): Promise<void> {
  for (const topic of topics) {
    const daemon = await startNode(data, topic)
    await millrace(['publish', '-d', data, '-t', 'x', JSON.stringify(topic)])
    await daemon.close()
  }
}

t.test('a new key is printed alone, and is a good one', async (t) => {
  const first = await millrace(['swarm', 'keygen'])
  t.match(first, { code: 0, out: /^[A-Za-z0-9+/]{43}=\n$/, err: '' })
  t.same(checkConfigText(`swarm: { key: "${first.out.trim()}" }`, 'x').problems, [])
  t.not((await millrace(['swarm', 'keygen'])).out, first.out)
  t.match(result(await millrace(['swarm', 'keygen', '-j'])), { key: /^.{44}$/ })
  t.match(await millrace(['swarm', 'keygne']), { code: 2, err: /expected keygen, not 'keygne'/ })
})

t.test('each topic has a store of its own, to be seen and deleted while the node runs', async (t) => {
  const data = temporaryDirectory(t)
  await nodeWithTopics(data, ['a/b', 'second'])
  const daemon = await startNode(data, 'second')
  t.teardown(() => daemon.close())
  const own = ['-d', data]
  t.match((await millrace(['query', ...own, 'FROM allEvents'])).out, /"second"\n$/)
  t.notMatch((await millrace(['query', ...own, 'FROM allEvents'])).out, /a\/b/, 'the old topic is left alone')
  const listed = await millrace(['topics', 'ls', '-j', ...own])
  t.match(result(listed), {
    topics: [
      { name: 'a/b', active: false },
      { name: 'second', active: true },
    ],
  })
  t.ok(result(listed).topics[0].bytesOnDisk > 0)
  t.match(
    (await millrace(['topics', 'ls', ...own])).out,
    /^NAME +SIZE +ACTIVE\na\/b +\S+ MiB +no\nsecond +\S+ MiB +yes\n$/,
  )
  t.match(await millrace(['topics', 'delete', 'second', ...own]), { code: 1, out: '', err: /is in use.*swarm\.topic/ })
  t.match(await millrace(['topics', 'delete', 'nothing', ...own]), { code: 1, err: /no topic 'nothing'/ })
  const remote = ['topics', 'delete', 'a/b', '-j', '--node', daemon.addresses.api[0] ?? '']
  t.match(JSON.parse((await millrace(remote)).out), { wireCode: 'ERR_FORBIDDEN' }, 'only over the Unix socket')
  t.match(await millrace(['topics', 'delete', 'a/b', ...own]), {
    code: 0,
    out: /^deleted the topic 'a\/b' and gave .* back\n$/,
  })
  t.equal(result(await millrace(['topics', 'ls', '-j', ...own])).topics.length, 1)
})

t.test('a reload names the settings of the swarm that wait for a restart, not those that hold at once', async (t) => {
  const data = temporaryDirectory(t)
  const daemon = await startNode(data, 'default-topic')
  t.teardown(() => daemon.close())
  const settings = daemonSettings(data)
  const swarm = { ...settings.swarm, headsIntervalMs: 5000, maxStreams: 1 }
  t.same(await daemon.reload({ ...settings, swarm, notReplicated: new Set(['a']) }), {
    applied: ['eventRouting.streams', 'swarm.headsInterval', 'swarm.maxStreams'],
    waiting: [],
  })
  const moved = { ...swarm, topic: 'other', peers: ['/ip4/127.0.0.1/tcp/1'] }
  t.same(await daemon.reload({ ...settings, swarm: moved }), {
    applied: ['eventRouting.streams'],
    waiting: ['swarm.topic', 'swarm.peers'],
  })
})

t.test('topics of a stopped node can be seen and deleted too', async (t) => {
  const data = temporaryDirectory(t)
  await nodeWithTopics(data, ['one', 'two', 'three'])
  const own = { env: { MILLRACE_SWARM_TOPIC: 'two', MILLRACE_DATA: data } }
  t.match(result(await millrace(['topics', 'ls', '-j'], own)).topics, [
    { name: 'one', active: false },
    { name: 'three', active: false },
    { name: 'two', active: true },
  ])
  t.match(await millrace(['topics', 'delete', 'two'], own), { code: 1, err: /ERR_TOPIC_IN_USE/ })
  const gone = await millrace(['topics', 'delete', 'one', '-j'], own)
  t.match(result(gone), { name: 'one', deleted: true })
  t.match(await millrace(['topics', 'delete', 'one'], own), { code: 1, err: /ERR_TOPIC_UNKNOWN/ })
  t.same(readdirSync(join(data, 'topics')).sort(), ['three', 'two'])
  t.notOk(readdirSync(data).includes('lock'))
  t.match(await millrace(['topics', 'ls', '--socket', join(data, 'none')]), { code: 1, err: /ERR_NODE_UNREACHABLE/ })
  t.match(await millrace(['topics', 'ls', '-d', join(data, 'none')]), { code: 73, err: /no node has been run/ })
  t.match(await millrace(['topics', 'delete']), { code: 2, err: /which topic/ })
  t.match(await millrace(['topics']), { code: 2, err: /expected ls or delete/ })
})

t.test('the identity is the same whether the node runs or not', async (t) => {
  const data = temporaryDirectory(t)
  const daemon = await startNode(data, 'default-topic')
  const running = await millrace(['identity', 'show', '-j', '-d', data])
  t.match(result(running), { nodeId: daemon.addresses.nodeId, peerId: /^12D3KooW.{44}$/, epoch: 0 })
  t.match(await millrace(['identity', 'renew', '--yes', '-d', data]), { code: 73, err: /ERR_STORE_LOCKED/ })
  const begun = await millrace(['identity', 'epoch', '--yes', '-d', data])
  t.match(begun, { code: 0, out: /^epoch 1 has begun/ })
  t.match(result(await millrace(['publish', '-j', '-d', data, '-t', 'x', '1'])), { stream: /-65536$/ })
  await daemon.close()
  const stopped = await millrace(['identity', 'show', '-j', '-d', data])
  t.same(result(stopped), { ...result(running), epoch: 1 })
  const { nodeId, peerId } = result(running)
  t.equal(
    (await millrace(['identity', 'show', '-d', data])).out,
    `node id  ${nodeId}\npeer id  ${peerId}\nepoch    1\n`,
  )
  t.match(await millrace(['identity', 'epoch', '--yes', '-d', data]), { code: 1, err: /ERR_NODE_UNREACHABLE/ })
})

t.test('a renewed node is another one that still has what it wrote before', async (t) => {
  const data = temporaryDirectory(t)
  await nodeWithTopics(data, ['other', 'default-topic'])
  const old = result(await millrace(['identity', 'show', '-j', '-d', data]))
  t.match(await millrace(['identity', 'renew', '-d', data]), { code: 2, err: /new identity.*--yes/ })
  t.match(await millrace(['identity', 'renew', '-d', data], { typed: 'no\n' }), { code: 1, err: /nothing was done/ })
  t.equal(result(await millrace(['identity', 'show', '-j', '-d', data])).nodeId, old.nodeId)
  const renewed = await millrace(['identity', 'renew', '-d', data], { typed: 'yes\n' })
  t.match(renewed, { code: 0, out: new RegExp(`^the node ${old.nodeId} is \\S+ from now on\n`) })
  t.notMatch(renewed.out + renewed.err, /[0-9a-f]{64}/, 'no key is shown')
  const again = await millrace(['identity', 'renew', '--yes', '-j', '-d', data])
  const { nodeId, kept } = result(again)
  t.ok(readdirSync(data).includes(kept.slice(data.length + 1)))
  for (const topic of ['default-topic', 'other']) {
    const daemon = await startNode(data, topic)
    t.equal(daemon.addresses.nodeId, nodeId)
    await millrace(['publish', '-d', data, '-t', 'x', '1'])
    const events = (await millrace(['query', '-j', '-d', data, "FROM 'x'"])).out.split('\n').slice(0, 2)
    t.match(
      events.map((line) => JSON.parse(line)),
      [
        { stream: `${old.nodeId}-0`, payload: topic },
        { stream: `${nodeId}-0`, payload: 1 },
      ],
    )
    await daemon.close()
  }
  t.match(await millrace(['identity']), { code: 2, err: /expected show, renew or epoch/ })
})

t.test('commands for a running node need no key file, and checks never show a key', async (t) => {
  const data = temporaryDirectory(t)
  const file = join(data, 'millrace.yml')
  const key = Buffer.alloc(32, 3).toString('base64')
  writeFileSync(file, `swarm: { keyFile: none }\ndata: .\n`)
  const daemon = await startNode(data, 'default-topic')
  t.match(await millrace(['identity', 'show', '-c', file]), { code: 0 })
  await daemon.close()
  t.match(await millrace(['config', 'check', file]), { code: 78, err: /cannot read the key file .*none/ })
  writeFileSync(file, `swarm: { key: "${key.slice(1)}", peers: [x] }\n`)
  for (const flag of [[], ['-j']]) {
    const { code, out, err } = await millrace(['config', 'check', ...flag, file])
    t.equal(code, 78)
    t.notOk((out + err).includes(key.slice(1)))
  }
})
