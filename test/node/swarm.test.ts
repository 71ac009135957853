import { writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Client, fetchTransport, type PeersReport } from '../../client/index.js'
import { startDaemon, type Daemon, type DaemonSettings } from '../../node/index.js'
import { createNetworkKey } from '../../replication/index.js'
import { daemonSettings, silentLogger } from '../support/daemon-settings.js'
import { until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const key = createNetworkKey()

interface Node {
  readonly daemon: Daemon
  readonly client: Client
  readonly settings: DaemonSettings
  /** Messages that it logged as warnings. */
  readonly warnings: readonly string[]
}

/** A daemon of the swarm; closed with the test. */
async function openNode(t: Test, peers: readonly string[] = [], changes: Partial<DaemonSettings> = {}): Promise<Node> {
  const defaults = daemonSettings(temporaryDirectory(t))
  const swarm = { ...defaults.swarm, key, peers, headsIntervalMs: 300, ...changes.swarm }
  const settings = { ...defaults, ...changes, swarm }
  const warnings: string[] = []
  const warn = (_details: object, message: string) => {
    warnings.push(message)
  }
  const daemon = await startDaemon({ settings, logger: { ...silentLogger, warn }, version: '0.1.0' })
  t.teardown(() => daemon.close())
  const manifest = { appId: 'com.example.test', displayName: 'test', version: '1' }
  const client = new Client(fetchTransport(daemon.addresses.api[0] ?? ''), manifest)
  t.teardown(() => {
    client.close()
  })
  return { daemon, client, settings, warnings }
}

async function events(node: Node): Promise<unknown[]> {
  const found: unknown[] = []
  for await (const line of node.client.queryTexts('FROM allEvents')) {
    const value = JSON.parse(line) as { type: string; payload: unknown }
    if (value.type === 'event') found.push(value.payload)
  }
  return found
}

function event(payload: unknown, tag = 'a'): string {
  return JSON.stringify({ tags: [tag], payload })
}

async function peersOf({ client }: Node): Promise<PeersReport> {
  return client.peers()
}

for (const sync of ['always', 'os', { intervalMs: 50 }] as const) {
  t.test(`what is on disk goes to others with sync ${JSON.stringify(sync)}`, async (t) => {
    const { storage } = daemonSettings('')
    const first = await openNode(t, [], { storage: { ...storage, sync } })
    const second = await openNode(t, first.daemon.addresses.swarm, { storage: { ...storage, sync } })
    for (const node of [first, second, first]) await node.client.publish([event(1)])
    for (const node of [first, second]) await until(async () => (await events(node)).length === 3)
  })
}

t.test('daemons with the same key answer for each other, and say so', async (t) => {
  const first = await openNode(t)
  const second = await openNode(t, first.daemon.addresses.swarm)
  await until(async () => (await first.client.nodeInfo()).connectedNodes === 1)
  await first.client.publish([event(1)])
  await until(async () => (await events(second)).length === 1)
  await second.client.publish([event(2)])
  await until(async () => (await events(first)).length === 2)
  t.same(await events(second), [1, 2])

  await until(async () => {
    const { peers } = await peersOf(first)
    return peers[0]?.status === 'LowLatency' && peers[0].lacks === 0
  })
  const report = await peersOf(first)
  t.match(report, { swarm: true, topic: 'default-topic', alarms: [], peers: [{ state: 'connected', failure: null }] })
  t.equal(report.peers[0]?.nodeId, second.daemon.addresses.nodeId)
  const info = (await first.client.nodeInfo()) as unknown as { swarmState: { peersStatus: object } }
  t.same(info.swarmState.peersStatus, { [second.daemon.addresses.nodeId]: 'LowLatency' })
  const metrics = await (await fetch(`${first.daemon.addresses.api[0] ?? ''}/metrics`)).text()
  t.match(metrics, /^millrace_peers_connected 1$/m)
  t.match(metrics, /^millrace_replication_applied_total [1-9]/m)
})

t.test('a node that nobody is configured with finds those again that it met', async (t) => {
  const first = await openNode(t)
  const second = await openNode(t, first.daemon.addresses.swarm)
  const listen = second.daemon.addresses.swarm?.map((address) => address.replace(/\/p2p\/.*/, '')) ?? []
  await until(async () => (await first.client.nodeInfo()).connectedNodes === 1)
  await second.daemon.close()
  await first.daemon.close()

  // The first one never dialled, so it knows only by what the second said where that is; neither is told of the other now.
  const again = await openNode(t, [], { dataDirectory: first.settings.dataDirectory })
  const { dataDirectory, swarm } = second.settings
  const secondAgain = await openNode(t, [], { dataDirectory, swarm: { ...swarm, peers: [], listen } })
  await until(async () => (await again.client.nodeInfo()).connectedNodes === 1)
  await secondAgain.client.publish([event(1)])
  await until(async () => (await events(again)).length === 1)
})

t.test('what was written down of peers is nothing to rely on', async (t) => {
  const data = temporaryDirectory(t)
  const stranger = { nodeId: 'x', addresses: ['nowhere', 4] }
  for (const text of ['', '{"peers":7}', JSON.stringify({ peers: [null, 3, stranger, { addresses: [] }] })]) {
    await writeFile(join(data, 'peers.json'), text)
    const node = await openNode(t, [], { dataDirectory: data })
    t.same((await peersOf(node)).peers, [])
    await node.daemon.close()
  }
})

t.test('a node with another key is refused, and the operator is told on both sides', async (t) => {
  const first = await openNode(t)
  const stranger = await openNode(t, first.daemon.addresses.swarm, {
    swarm: { ...daemonSettings('').swarm, key: createNetworkKey(), peers: first.daemon.addresses.swarm ?? [] },
  })
  for (const node of [first, stranger]) {
    await until(async () => (await peersOf(node)).alarms.some(({ kind }) => kind === 'network-key'))
    const mismatches = async () => {
      const metrics = await (await fetch(`${node.daemon.addresses.api[0] ?? ''}/metrics`)).text()
      return Number(/^millrace_swarm_key_mismatches_total (\d+)$/m.exec(metrics)?.[1])
    }
    await until(async () => (await mismatches()) > 2)
    t.equal(node.warnings.filter((text) => text === 'a connection was refused').length, 1, 'the log says it once')
    t.equal((await node.client.nodeInfo()).connectedNodes, 0)
  }
})

t.test('a connection that broke off while keys were exchanged is no alarm any more once one stands', async (t) => {
  const first = await openNode(t)
  const alarms = async (): Promise<string[]> => (await peersOf(first)).alarms.map(({ kind }) => kind)
  const port = Number(/\/tcp\/(\d+)/.exec(first.daemon.addresses.swarm?.[0] ?? '')?.[1])
  const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.alloc(32, 1)))
  // Its nonce and its proof, with ours still to come.
  let received = 0
  socket
    .on('error', () => undefined)
    .on('data', ({ length }) => {
      received += length
      if (received >= 48) socket.destroy()
    })
  await until(async () => (await alarms()).includes('network-key'))
  const second = await openNode(t, first.daemon.addresses.swarm)
  await until(async () => (await second.client.nodeInfo()).connectedNodes === 1)
  await until(async () => (await alarms()).length === 0)
  t.pass('the operator need not look for a wrong key')
})

t.test('a node without key is alone', async (t) => {
  const settings = daemonSettings(temporaryDirectory(t))
  const daemon = await startDaemon({ settings, logger: silentLogger, version: '0.1.0' })
  t.teardown(() => daemon.close())
  t.equal(daemon.addresses.swarm, undefined)
  const reply = await fetch(`${daemon.addresses.api[0] ?? ''}/api/millrace/v1/peers`)
  t.same(await reply.json(), { swarm: false, topic: 'default-topic', addresses: [], peers: [], alarms: [] })
})

t.test('a reload changes what is shared and what is wanted', async (t) => {
  const first = await openNode(t)
  const second = await openNode(t, first.daemon.addresses.swarm, {
    replication: { keep: new Map(), streams: [] },
  })
  await until(async () => (await first.client.nodeInfo()).connectedNodes === 1)
  await first.client.publish([event(1)])
  await second.client.publish([event(2)])
  await until(async () => (await events(first)).length === 2)
  t.same(await events(second), [2], 'it wants nothing of others')
  await second.daemon.reload({ ...second.settings, replication: { keep: new Map(), streams: undefined } })
  await until(async () => (await events(second)).length === 2)
  t.same(await events(second), await events(first))
})
