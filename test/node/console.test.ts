import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { streamIdOf } from '../../core/index.js'
import { Client, RequestRefusedError, type BlocksReport, type StreamReport } from '../../client/index.js'
import { nodeTransport } from '../../client/node.js'
import { alarmsOfNode, LowDiskWatch } from '../../node/alarms.js'
import type { SwarmAlarm, SwarmLink, SwarmReport } from '../../node/api/index.js'
import { LastKnown } from '../../node/swarm/last-known.js'
import { pictureOf } from '../../node/swarm/picture.js'
import type { StoreMetrics, StoreProblem } from '../../storage/index.js'
import { openDaemonPair } from '../support/daemon-pair.js'
import { DaemonProcess } from '../support/daemon.js'
import { event, openTestStore, publish as publishTo, until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const MANIFEST = { appId: 'com.example.test', displayName: 'test', version: '1' }

const CONFIG = `# A node for tests.
storage: { block: { maxEvents: 4 }, pruneInterval: 1h }
eventRouting:
  # The first that matches.
  routes:
    - { from: "'a' & 'b'", into: both }
    - { from: "'a'", into: some }
  streams:
    some: { maxEvents: 6 } # enough
# What is logged.
log: { level: info }
`

function clientOf(t: Test, daemon: DaemonProcess, over: 'tcp' | 'socket'): Client {
  const transport = nodeTransport(over === 'tcp' ? { url: daemon.url } : { socketPath: daemon.socket })
  const client = new Client(transport, MANIFEST)
  t.teardown(() => client.close())
  return client
}

async function publish(client: Client, count: number, tags: readonly string[]): Promise<void> {
  await client.publish(Array.from({ length: count }, (_, at) => ({ tags, payload: at })))
}

/** What the node says to a request that it refuses. */
async function refusalOf(answer: Promise<unknown>): Promise<string> {
  const error: unknown = await answer.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  return error instanceof RequestRefusedError ? error.wireCode : String(error)
}

async function streamOf(client: Client, name: string): Promise<StreamReport> {
  const stream = (await client.streams()).find((each) => each.name === name)
  if (stream === undefined) throw new Error(`there is no stream ${name}`)
  return stream
}

async function blocksOf(client: Client, name: string): Promise<BlocksReport> {
  const { stream } = await streamOf(client, name)
  const report = await client.blocks(stream)
  if (report === undefined) throw new Error(`there is nothing of ${name}`)
  return report
}

t.test('alarms of the node and of its swarm are one list, in which nothing stands twice', (t) => {
  const stream = `${'A'.repeat(43)}-0`
  const problem = (kind: StoreProblem['kind'], sinceMicros: number, of?: string): StoreProblem => {
    return { kind, stream: of, text: `something about ${kind}`, sinceMicros }
  }
  const fork: SwarmAlarm = {
    kind: 'fork',
    stream,
    peer: 'A'.repeat(43),
    sinceMicros: 3,
    message: 'two histories',
    advice: 'run something',
  }
  const problems = [problem('corrupt', 9, stream), problem('clock', 5), problem('fork', 3, stream), problem('disk', 1)]
  const full = { freeBytes: 1e9, sizeBytes: 100e9, bytesOnDisk: 7e8, largest: 'logs', sinceMicros: 4 }
  const all = alarmsOfNode({ problems, swarm: [{ ...fork, kind: 'network-key' }, fork], disk: full })
  t.same(
    all.map(({ kind, reason, sinceMicros }) => [kind, reason, sinceMicros]),
    [
      ['fork', 'fork', 3],
      ['gap', 'corrupt', 9],
      ['clock', 'clock', 5],
      ['disk', 'disk', 1],
      ['key', 'network-key', 3],
    ],
  )
  t.match(all[0], { message: 'two histories', advice: 'run something' }, 'in the words of the swarm')
  t.match(all[1], { stream, peer: 'A'.repeat(43), message: 'something about corrupt', advice: /millrace verify/ })
  const alone = alarmsOfNode({ problems: [problem('fork', 3, stream)], swarm: undefined, disk: full })
  t.match(alone, [
    { kind: 'fork', advice: /millrace identity/ },
    { kind: 'disk', reason: 'low' },
  ])
  t.match(alone[1], {
    message: /1\.0 GB of 100\.0 GB/,
    advice: /free 4\.0 GB there, or lower the limits of the stream 'logs'/,
  })
  t.end()
})

t.test('a disk that is nearly full is told with since when it is', (t) => {
  const totals = { streams: 1, events: 1, tailEvents: 0, blocks: 1, storedBytes: 5 }
  const figures = (diskFreeBytes: number, diskSizeBytes: number) => {
    const ownStreams = [
      { stream: 's-0', name: 'default', totals },
      { stream: 's-1', name: 'logs', totals: { ...totals, storedBytes: 50 } },
    ]
    return { diskFreeBytes, diskSizeBytes, bytesOnDisk: 9, ownStreams } as unknown as StoreMetrics
  }
  const watch = new LowDiskWatch()
  t.equal(watch.look(figures(NaN, NaN), 1), undefined, 'not while it is unknown')
  t.equal(watch.look(figures(6e9, 100e9), 2), undefined)
  t.match(watch.look(figures(4e9, 100e9), 3), { largest: 'logs', sinceMicros: 3 })
  t.match(watch.look(figures(3e9, 100e9), 4), { freeBytes: 3e9, sinceMicros: 3 })
  t.equal(watch.look(figures(11e9, 4000e9), 5), undefined, 'ten gigabytes are enough on a big one')
  t.match(watch.look(figures(9e9, 4000e9), 6), { sinceMicros: 6 })
  t.end()
})

t.test('what a node lacks is told with its age, and for a day after it has left', async (t) => {
  const opened = await openTestStore(temporaryDirectory(t))
  t.teardown(() => opened.close())
  const { store } = opened
  const start = 1_000_000_000_000
  for (let at = 0; at < 5; at++) await publishTo(store, [event(at)], start + at)
  const stream = streamIdOf(store.nodeId, 0)
  const nodeId = 'B'.repeat(43)
  const sync = {
    nodeId,
    quality: 'HighLatency',
    comparedMicros: start,
    lacks: new Map([[stream, 3]]),
    held: new Map([[stream, 2]]),
  } as const
  const link: SwarmLink = {
    nodeId,
    source: 'incoming',
    state: 'connected',
    addresses: ['/ip4/127.0.0.1/tcp/1'],
    direction: 'inbound',
    sinceMicros: start,
    nextDialMicros: undefined,
    failures: 0,
    failure: undefined,
    roundTripMs: 1,
  }
  const lastKnown = new LastKnown()
  const report = { topic: 'x', addresses: [], alarms: [] }
  const picture = (peers: SwarmReport['peers'], nowMicros: number) =>
    pictureOf({ store, topic: 'x', report: { ...report, peers }, lastKnown, nowMicros })
  const missing = [{ stream, nextOffset: 2, missing: 3, sinceMicros: start + 2 }]
  t.match(await picture([{ status: link, sync }], start), {
    streams: [{ stream, isOwn: true, nextOffset: 5, knownOffset: 5 }],
    missing: [],
    nodes: [{ quality: 'HighLatency', comparedMicros: start, missing }],
  })
  lastKnown.note([sync])
  lastKnown.left(nodeId, { reason: 'broken-off', message: 'the connection ended', atMicros: start + 10 })
  const day = 86_400 * 1_000_000
  t.match((await picture([], start + day)).nodes, [
    { link: { nodeId, state: 'waiting', sinceMicros: start + 10 }, quality: undefined, comparedMicros: start, missing },
  ])
  t.same((await picture([], start + day + 11)).nodes, [], 'then it is forgotten')
  const dialled = { ...link, state: 'connecting' } as const
  const { nodes } = await picture([{ status: dialled, sync: undefined }], start + 20)
  t.match(nodes, [{ link: { state: 'connecting' }, comparedMicros: start, missing }])
  t.equal(nodes.length, 1, 'nobody stands there twice')
})

t.test('the console sees what is held, and what goes', async (t) => {
  const daemon = await DaemonProcess.start({ config: CONFIG })
  t.teardown(() => daemon.close())
  const client = clientOf(t, daemon, 'tcp')
  await publish(client, 5, ['a', 'b'])
  for (let at = 0; at < 3; at++) await publish(client, 3, ['a', 'c:1'])
  await until(async () => (await streamOf(client, 'some')).tailEvents < 4)

  const some = await streamOf(client, 'some')
  t.equal(some.decidedBy, 'maxEvents')
  t.equal(some.cuts.maxEvents?.offset, 3)
  t.ok((some.nextPruneAt ?? 0) > Date.now() * 1000)
  const { blocks, open, more } = await blocksOf(client, 'some')
  t.match(blocks, [
    { number: 0, firstOffset: 0, events: 4, sealed: true, state: 'ok', fate: { heldBy: 'inside', old: true } },
    { number: 1, firstOffset: 4, events: 4, fate: { heldBy: 'inside', limit: 'maxEvents', until: null, old: false } },
    { number: 2, firstOffset: 8, events: 1, sealed: false },
  ])
  t.match(open, { firstOffset: 8, events: 1, maxEvents: 4, endsAt: null })
  t.equal(more, false)
  t.match((await blocksOf(client, 'both')).blocks[0]?.fate, { heldBy: 'noLimit', limit: null })
  const newest = await client.blocks(some.stream, { order: 'desc', limit: 1 })
  t.match(newest, { more: true, blocks: [{ firstOffset: 8 }] })
  t.equal(await client.blocks(some.stream.replace(/.$/, '9')), undefined)

  t.same(await client.tags(''), { tags: ['a', 'b', 'c:1'], complete: true })
  t.same(await client.tags('c'), { tags: ['c:1'], complete: true })
  t.match(await client.swarm(), { swarm: false, nodeId: daemon.ready.nodeId, nodes: [], missing: [] })
  t.match(await client.route(['a', 'x'], 'com.example.test'), {
    stream: 'some',
    routes: [
      {
        matches: false,
        atoms: [
          { atom: "'a'", holds: true },
          { atom: "'b'", holds: false },
        ],
      },
      { matches: true, atoms: [{ atom: "'a'", holds: true }] },
    ],
  })
})

t.test('a draft says what it would change, and an operator applies it', async (t) => {
  const daemon = await DaemonProcess.start({ config: CONFIG })
  t.teardown(() => daemon.close())
  const app = clientOf(t, daemon, 'tcp')
  const socket = clientOf(t, daemon, 'socket')
  await publish(app, 5, ['a', 'b'])
  await publish(app, 9, ['a'])
  await until(async () => (await streamOf(app, 'some')).tailEvents === 1)

  const settings = await app.config()
  const of = (path: string) => settings.find((each) => each.path === path)
  t.match(of('storage.pruneInterval'), { value: '1h', waiting: false, source: { kind: 'file', line: 2 } })
  t.match(of('api.listen'), { source: { kind: 'flag', flag: '--api' } })
  t.match(of('swarm.key'), { secret: true, set: false, value: null, source: { kind: 'default' } })
  const routing = await app.routing()
  t.match(routing, { file: daemon.configFile, fixed: null, mayApply: false })
  t.match(routing.text, /^# The first that matches\.\nroutes:/)

  const draft = `routes:\n  - { from: "'a'", into: all } # one for all\nstreams:\n  all: { maxEvents: 5 }\n  some: { maxEvents: 1 }\n`
  const report = await app.checkDraft(draft)
  t.same(report.errors, [])
  t.match(report.warnings, [{ source: 'draft', line: 5, reason: /no route leads to the stream 'some'/ }])
  t.same(report.changes, {
    settings: ['eventRouting.routes', 'eventRouting.streams'],
    looked: 14,
    elsewhere: 14,
    moves: [
      { from: 'some', into: 'all', events: 9 },
      { from: 'both', into: 'all', events: 5 },
    ],
    dropped: 8,
    drops: [{ ...report.changes?.drops[0], stream: 'some', blocks: 2, events: 8 }],
    newStreams: ['all'],
  })
  t.match(await app.checkDraft('routes:\n  - { from: a, into: x }'), {
    errors: [{ line: 2, column: 13 }],
    changes: null,
  })
  t.match(await app.route(['a'], MANIFEST.appId, undefined, draft), {
    stream: 'all',
    number: null,
    retention: { maxEvents: 5 },
  })
  t.equal(await refusalOf(app.route(['a'], MANIFEST.appId, undefined, 'routes: 1')), 'ERR_CONFIG_INVALID')

  const { version } = routing
  t.equal(await refusalOf(app.applyRouting({ draft, version })), 'ERR_FORBIDDEN')
  const { token, appId } = await socket.operatorToken()
  t.equal(appId, 'com.example.console')
  const operator = new Client(nodeTransport({ url: daemon.url }), { token })
  t.teardown(() => operator.close())
  t.equal((await operator.routing()).mayApply, true)
  t.equal(await refusalOf(operator.operatorToken()), 'ERR_FORBIDDEN', 'a token makes no other one')
  t.equal(await refusalOf(operator.reload()), 'ERR_FORBIDDEN')
  t.equal(await refusalOf(operator.applyRouting({ draft: 'routes: 1', version })), 'ERR_CONFIG_INVALID')
  t.equal(await refusalOf(operator.applyRouting({ draft, version: 'x', mayDrop: true })), 'ERR_CONFIG_CHANGED')
  t.equal(await refusalOf(operator.applyRouting({ draft, version })), 'ERR_CONFIG_DROPS_EVENTS')
  t.equal(readFileSync(daemon.configFile, 'utf8'), CONFIG, 'until here the file is as it was')

  const applied = await operator.applyRouting({ draft, version, mayDrop: true })
  t.match(applied, { applied: ['eventRouting.routes', 'eventRouting.streams'], waiting: [] })
  t.equal((await app.routing()).version, applied.version)
  t.match(readFileSync(daemon.configFile, 'utf8'), /^# A node for tests\.\n[^]*one for all\n[^]*# What is logged\.\n/)
  t.match(await app.route(['a', 'b'], MANIFEST.appId), { stream: 'all', number: 3 })
  await until(async () => (await streamOf(app, 'some')).events === 1)
  await publish(app, 1, ['a'])
  t.equal((await streamOf(app, 'all')).events, 1)
  const again = await socket.applyRouting({ draft: routing.text, version: applied.version })
  t.same(again.applied, ['eventRouting.routes', 'eventRouting.streams'], 'over the Unix socket without such a token')
  t.equal(readFileSync(daemon.configFile, 'utf8'), CONFIG)
})

t.test('a node without a file can be looked at, and says why it cannot be changed', async (t) => {
  const daemon = await DaemonProcess.start()
  t.teardown(() => daemon.close())
  const socket = clientOf(t, daemon, 'socket')
  const routing = await socket.routing()
  t.match(routing, { file: null, text: '', fixed: /without a configuration file/, mayApply: true })
  t.match(await socket.checkDraft('routes: [{ from: "\'a\'", into: x }]'), {
    errors: [],
    changes: { newStreams: ['x'] },
  })
  const change = { draft: 'routes: []', version: routing.version }
  t.equal(await refusalOf(socket.applyRouting(change)), 'ERR_CONFIG_FIXED')
})

t.test('the swarm is shown with who lacks what, and keeps the last known of those that are off', async (t) => {
  const pair = await openDaemonPair(t)
  const [first, second] = pair.daemons
  const [one, other] = [clientOf(t, first, 'tcp'), clientOf(t, second, 'tcp')]
  await publish(one, 3, ['a'])
  const { nodeId } = second.ready
  const seen = async () => (await one.swarm()).nodes.find((node) => node.nodeId === nodeId)
  await until(async () => {
    const node = await seen()
    return node?.state === 'connected' && node.comparedAt !== null && node.missing.length === 0
  })
  await until(async () => (await other.swarm()).streams.some(({ own, nextOffset }) => !own && nextOffset === 3))
  const picture = await one.swarm()
  t.match(picture, {
    swarm: true,
    nodeId: first.ready.nodeId,
    streams: [{ owner: first.ready.nodeId, name: 'default', own: true, nextOffset: 3, knownOffset: 3 }],
    missing: [],
    nodes: [{ nodeId, error: null }],
  })
  t.same(await one.alarms(), (await one.peers()).alarms.length === 0 ? [] : await one.alarms())

  pair.stall()
  await publish(one, 4, ['a'])
  pair.cut()
  await until(async () => (await seen())?.state !== 'connected')
  const off = await seen()
  t.ok((off?.comparedAt ?? 0) > 0, 'what was known last is kept')
  t.ok(off?.error)
  pair.heal()
  await until(async () => (await seen())?.state === 'connected')
  await until(async () => (await other.swarm()).streams.some(({ own, nextOffset }) => !own && nextOffset === 7))
})
