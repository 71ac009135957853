import { join } from 'node:path'
import { createNetworkKey } from '../../replication/index.js'
import type { ApiClient } from '../support/api-client.js'
import { NodeProcess } from '../support/node-process.js'
import { HOSTILE_ACTS, type HostileAct } from '../swarm/hostile-acts.js'
import { HostilePeer, type Target } from '../swarm/hostile-peer.js'
import { withClient } from './full-disk.js'
import { delay } from './kill.js'
import { check, runTrials, withDirectory, type PartResult, type Tally, type Trials } from './part.js'

export const name = 'hostile'

export const nightlyCount = HOSTILE_ACTS.length

const TOPIC = 'default-topic'
/** How much more memory of a node should be in use than before at most, and what is taken for a fault, bytes. */
const GOOD_GROWTH_BYTES = 64 * 2 ** 20
const MAX_GROWTH_BYTES = 128 * 2 ** 20
const CUT_MS = 5_000
/** On a machine that does much else at the same time, ms. */
const MAX_CUT_MS = 60_000
/** How long honest traffic is looked at, at least, ms. */
const LOOK_MS = 5_000
/** Honest traffic: batches of so many events at this interval, ms. */
const BATCH = 10
const PAUSE_MS = 40
/** Until everything that was published is everywhere, ms. */
const SETTLE_MS = 30_000
/** Warnings that one act may leave in the log of a node. */
const MAX_WARNINGS = 40

export function unavailable(): string | undefined {
  return undefined
}

/**
 * A member of the swarm that keeps no rule, one act a trial, against a node with two honest peers: it is cut off, what it
 * does costs little memory and no honest traffic, nobody else is blamed, and nothing false gets about.
 */
export function run(trials: Trials): Promise<PartResult> {
  return runTrials(trials, (number, tally) => {
    const act = HOSTILE_ACTS[number % HOSTILE_ACTS.length]
    check(act !== undefined, () => 'there are no acts')
    return withDirectory(name, async (work) => {
      await using swarm = await HonestSwarm.open(work)
      await prove(swarm, act, tally)
    })
  })
}

interface PeersAnswer {
  readonly addresses: readonly string[]
  readonly peers: readonly { readonly nodeId: string | null; readonly state: string; readonly failure: unknown }[]
  readonly alarms: readonly { readonly kind: string; readonly peer: string | null }[]
}

/** The victim, who publishes, and a third one: each connected to both others. */
class HonestSwarm implements AsyncDisposable {
  readonly key = createNetworkKey()
  readonly nodes: NodeProcess[] = []
  readonly ids: string[] = []

  static async open(work: string): Promise<HonestSwarm> {
    const swarm = new HonestSwarm()
    for (const at of [0, 1, 2]) await swarm.#start(work, at)
    await swarm.#until('all are connected', 30_000, async () => {
      const reports = await Promise.all(swarm.nodes.map((node) => peersOf(node)))
      return reports.every(({ peers }) => peers.filter(({ state }) => state === 'connected').length === 2)
    })
    return swarm
  }

  get victim(): NodeProcess {
    return this.#node(0)
  }

  get publisher(): NodeProcess {
    return this.#node(1)
  }

  async target(): Promise<Target> {
    const { addresses } = await peersOf(this.victim)
    return { nodeId: this.ids[0] ?? '', addresses, networkKey: this.key, topic: TOPIC }
  }

  /** Until all nodes have the same events of honest ones. */
  async settle(published: number): Promise<void> {
    const stream = `${this.ids[1] ?? ''}-0`
    await this.#until(`all ${String(published)} events are everywhere`, SETTLE_MS, async () => {
      const offsets = await Promise.all(this.nodes.map((node) => withClient(node, (client) => client.offsets())))
      return offsets.every((each) => each[stream] === published - 1)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
  }

  #node(at: number): NodeProcess {
    const node = this.nodes[at]
    check(node !== undefined, () => 'the swarm is not open')
    return node
  }

  async #start(work: string, at: number): Promise<void> {
    const known = await Promise.all(this.nodes.map(peersOf))
    const peers = known.flatMap(({ addresses }) => addresses.slice(0, 1))
    const swarm = {
      key: this.key,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      peers,
      mdns: false,
      headsInterval: '1s',
      maxStreams: 600,
    }
    const node = await NodeProcess.start({
      data: join(work, `data-${String(at)}`),
      work: join(work, `node-${String(at)}`),
      config: JSON.stringify({ swarm, storage: { block: { maxEvents: 256, maxBytes: '64KiB' } } }),
    })
    this.nodes.push(node)
    const info = await withClient(node, (client) => client.get('/api/v2/node/id'))
    this.ids.push(info.body.toString().replaceAll('"', '').trim())
  }

  async #until(what: string, limitMs: number, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + limitMs
    while (!(await holds())) {
      check(performance.now() < deadline, () => `never: ${what}`)
      await delay(100)
    }
  }
}

async function peersOf(node: NodeProcess): Promise<PeersAnswer> {
  const reply = await withClient(node, (client) => client.get('/api/millrace/v1/peers'))
  return JSON.parse(reply.body.toString()) as PeersAnswer
}

async function prove(swarm: HonestSwarm, act: HostileAct, tally: Tally): Promise<void> {
  const traffic = new Traffic(swarm)
  const before = await traffic.during(() => delay(LOOK_MS))
  const residentBefore = swarm.victim.residentBytes()
  const linesBefore = swarm.victim.output.length
  let cutMs = NaN
  const peer = await HostilePeer.connect(await swarm.target())
  try {
    const meanwhile = await traffic.during(async () => {
      const whole = delay(LOOK_MS)
      cutMs = await perform(swarm, act, peer)
      await whole
    })
    const rate = meanwhile.arrived / before.arrived
    const growth = Math.max(meanwhile.residentBytes, swarm.victim.residentBytes()) - residentBefore
    tally.note(`${act.name}: ${describe(cutMs, growth, rate)}`)
    check(growth < MAX_GROWTH_BYTES, () => `${act.name}: memory grew by ${megabytes(growth)}`)
    await swarm.settle(traffic.published)
    await judge(swarm, act, swarm.victim.output.slice(linesBefore))
  } finally {
    await peer.close()
  }
}

/** @returns how long it took to be cut, ms */
async function perform(swarm: HonestSwarm, act: HostileAct, peer: HostilePeer): Promise<number> {
  const began = performance.now()
  let offender: string | undefined = peer.nodeId
  const acting = act.run(peer, swarm.ids[1] ?? '').then((other) => (offender = other ?? peer.nodeId))
  // It is waited for below; when something else goes wrong before, that is told.
  acting.catch(() => undefined)
  if (!act.cuts) {
    await acting
    return NaN
  }
  const isCut = async (): Promise<boolean> => {
    const { alarms } = await peersOf(swarm.victim)
    return alarms.some(({ kind, peer: who }) => kind === 'misbehaved' && who === offender)
  }
  while (!(await isCut())) {
    check(performance.now() - began < MAX_CUT_MS, () => `${act.name}: nobody was cut off`)
    await delay(50)
  }
  const tookMs = performance.now() - began
  await acting
  return tookMs
}

async function judge(swarm: HonestSwarm, act: HostileAct, log: string): Promise<void> {
  for (const [at, node] of swarm.nodes.entries()) {
    check(node.running, () => `${act.name}: node ${String(at)} died: ${node.output.slice(-400)}`)
    const { peers, alarms } = await peersOf(node)
    const others = swarm.ids.filter((_, other) => other !== at)
    for (const other of others) {
      const peer = peers.find(({ nodeId }) => nodeId === other)
      check(peer?.state === 'connected', () => `${act.name}: honest nodes lost each other: ${JSON.stringify(peers)}`)
      check(!alarms.some((alarm) => alarm.peer === other), () => `${act.name}: an honest node is blamed`)
    }
  }
  const answers = await Promise.all(
    swarm.nodes.map((node) => withClient(node, (client) => honestEvents(client, swarm))),
  )
  const [one, ...rest] = answers
  check(
    rest.every((other) => other === one),
    () => `${act.name}: honest events differ`,
  )
  const warnings = log.split('\n').filter((line) => /"level":(40|50|60)/.test(line))
  check(warnings.length <= MAX_WARNINGS, () => `${act.name}: ${String(warnings.length)} warnings: ${warnings[0] ?? ''}`)
}

/** What a node answers of the one who publishes. */
async function honestEvents(client: ApiClient, swarm: HonestSwarm): Promise<string> {
  const { lines } = await client.query("FROM 'honest'")
  const stream = `"stream":"${swarm.ids[1] ?? ''}-0"`
  check(
    lines.every((line) => line.includes(stream)),
    () => 'somebody else is among them',
  )
  return lines.join('\n')
}

/** Publishes at a steady pace and looks how much of it arrives. */
class Traffic {
  readonly #swarm: HonestSwarm
  published = 0

  constructor(swarm: HonestSwarm) {
    this.#swarm = swarm
  }

  /** @returns events a second that arrived at the victim meanwhile, and its greatest size */
  async during(work: () => Promise<unknown>): Promise<{ readonly arrived: number; readonly residentBytes: number }> {
    const { publisher, victim, ids } = this.#swarm
    const stream = `${ids[1] ?? ''}-0`
    let residentBytes = 0
    let over = false
    return withClient(publisher, (client) =>
      withClient(victim, async (reader) => {
        const began = performance.now()
        const from = (await reader.offsets())[stream] ?? -1
        const publishing = (async () => {
          for (let round = 0; !over; round++) {
            await client.publish(
              Array.from({ length: BATCH }, () => ({ tags: ['honest'], payload: `{"n":${String(this.published++)}}` })),
            )
            residentBytes = Math.max(residentBytes, victim.residentBytes())
            await delay(Math.max(0, began + (round + 1) * PAUSE_MS - performance.now()))
          }
        })()
        try {
          await work()
        } finally {
          over = true
          await publishing
        }
        const arrived = ((await reader.offsets())[stream] ?? -1) - from
        return { arrived: (arrived * 1000) / (performance.now() - began), residentBytes }
      }),
    )
  }
}

function describe(cutMs: number, growth: number, rate: number): string {
  const cut = Number.isNaN(cutMs)
    ? 'harmless'
    : `cut after ${(cutMs / 1000).toFixed(1)} s${cutMs > CUT_MS ? ' (late)' : ''}`
  const much = growth > GOOD_GROWTH_BYTES ? ' (too much)' : ''
  return `${cut}, ${megabytes(growth)} more${much}, ${(100 * rate).toFixed(0)} % of the honest rate`
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}
