import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createNetworkKey } from '../../replication/index.js'
import type { ApiClient } from '../support/api-client.js'
import { testLevel } from '../support/level.js'
import { NodeProcess } from '../support/node-process.js'
import { HOSTILE_ACTS, type HostileAct } from '../swarm/hostile-acts.js'
import type { Target } from '../swarm/hostile-peer.js'
import { HostileProcess } from '../swarm/hostile-process.js'
import { withClient } from './full-disk.js'
import { delay } from './kill.js'
import { check, runTrials, withDirectory, type PartResult, type Tally, type Trials } from './part.js'

export const name = 'hostile'

export const nightlyCount = HOSTILE_ACTS.length

const TOPIC = 'default-topic'
/** How much more memory of a node may be in use than before all acts on it; in CI, where other tests run beside, bytes. */
const MAX_GROWTH_BYTES = 64 * 2 ** 20
const MAX_CI_GROWTH_BYTES = 128 * 2 ** 20
/** The same for acts that move single messages of 16 MiB. */
const MAX_LARGE_GROWTH_BYTES = 160 * 2 ** 20
/** How long an offender may go on; in CI, where other tests run beside, as long as is waited for it, ms. */
const MAX_CUT_MS = 5_000
const PATIENCE_MS = 30_000
/** How much of honest traffic must go on; in CI, where other tests run beside, it is only told. */
const MIN_RATE = 0.8
/** How often an act is looked at whose figures are no good: a machine that does other things too has other figures. */
const ATTEMPTS = 3
/** Acts on one swarm, one after the other: what each of them leaves behind counts for those after it. */
const ACTS_PER_SWARM = 4
/** How long honest traffic is looked at, at least, ms. */
const LOOK_MS = 3_000
/** How long before anybody is hostile, ms. */
const HONEST_MS = 4_000
/** What honest members do before: a large event if one is needed, then requests of so many events. */
const LARGE_EVENT_BYTES = 8 * 1024 * 1024
const WORK_REQUESTS = 100
const WORK_EVENTS = 250
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
  return withDirectory(name, async (work) => {
    await using series = new Series(work)
    return await runTrials(trials, async (number, tally) => {
      const at = number % HOSTILE_ACTS.length
      const act = HOSTILE_ACTS[at]
      check(act !== undefined, () => 'there are no acts')
      await series.during(act.isLarge === true, (swarm) => prove(swarm, at, act, tally))
    })
  })
}

/** Several acts in a row meet the same swarm, as long as they do no harm. */
class Series implements AsyncDisposable {
  readonly #work: string
  #swarm: HonestSwarm | undefined
  #swarms = 0
  #acts = 0

  constructor(work: string) {
    this.#work = work
  }

  /** @param large whether one of the honest events is to be a large one */
  async during(large: boolean, act: (swarm: HonestSwarm) => Promise<void>): Promise<void> {
    if (this.#swarm?.large !== large) await this[Symbol.asyncDispose]()
    const swarm = (this.#swarm ??= await HonestSwarm.open(join(this.#work, String(this.#swarms++)), large))
    try {
      await act(swarm)
      if (++this.#acts % ACTS_PER_SWARM === 0) await this[Symbol.asyncDispose]()
    } catch (error) {
      await this[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#acts = 0
    await this.#swarm?.[Symbol.asyncDispose]()
    this.#swarm = undefined
  }
}

interface PeersAnswer {
  readonly addresses: readonly string[]
  readonly peers: readonly { readonly nodeId: string | null; readonly state: string; readonly failure: unknown }[]
  readonly alarms: readonly { readonly kind: string; readonly peer: string | null }[]
}

/** The victim, who publishes, and a third one: each connected to both others. */
class HonestSwarm implements AsyncDisposable {
  /** Whether the first event is a large one. */
  readonly large: boolean
  readonly key = createNetworkKey()
  readonly nodes: NodeProcess[] = []
  readonly ids: string[] = []
  readonly traffic = new Traffic(this)
  /** Events a second that arrive at the victim, and its size, while everybody is honest. */
  honestRate = 0
  residentBytes = 0

  private constructor(large: boolean) {
    this.large = large
  }

  static async open(work: string, large: boolean): Promise<HonestSwarm> {
    const swarm = new HonestSwarm(large)
    for (const at of [0, 1, 2]) await swarm.#start(work, at)
    await swarm.#until('all are connected', 30_000, async () => {
      const reports = await Promise.all(swarm.nodes.map((node) => peersOf(node)))
      return reports.every(({ peers }) => peers.filter(({ state }) => state === 'connected').length === 2)
    })
    await swarm.#work()
    await swarm.look()
    return swarm
  }

  /** What honest traffic is and costs while nobody is hostile. */
  async look(): Promise<void> {
    const { arrived, residentBytes } = await this.traffic.during(() => delay(HONEST_MS))
    this.honestRate = arrived
    // What it takes once somebody has been hostile is no measure of anything.
    if (this.residentBytes === 0) this.residentBytes = residentBytes
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
  async settle(): Promise<void> {
    const { published } = this.traffic
    const stream = `${this.ids[1] ?? ''}-0`
    await this.#until(`all ${String(published)} events are everywhere`, SETTLE_MS, async () => {
      const offsets = await Promise.all(this.nodes.map((node) => withClient(node, (client) => client.offsets())))
      return offsets.every((each) => each[stream] === published - 1)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
  }

  /**
   * Some work as honest members make it. Before it a node has not used the room yet that it leaves for garbage whatever
   * it does (40 MiB), and would be found to grow by it during any act.
   */
  async #work(): Promise<void> {
    if (this.large) await this.traffic.large()
    await this.traffic.burst(WORK_REQUESTS, WORK_EVENTS)
    await this.settle()
    for (const node of this.nodes) await withClient(node, (client) => honestEvents(client, this))
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

async function prove(swarm: HonestSwarm, at: number, act: HostileAct, tally: Tally): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const linesBefore = swarm.victim.output.length
    const { cutMs, rate, growth } = await measure(swarm, at, act)
    tally.note(`${act.name}: ${describe(cutMs, growth, rate)}`)
    check(growth < maxGrowthOf(act), () => `${act.name}: memory grew by ${megabytes(growth)}`)
    await swarm.settle()
    await judge(swarm, act, swarm.victim.output.slice(linesBefore))
    // A machine that does something else meanwhile does so once or twice.
    // What single messages of 16 MiB cost others for a moment is only told.
    const isStrict = testLevel() === 'nightly' && act.isLarge !== true
    if (isStrict ? rate >= MIN_RATE && !(cutMs > MAX_CUT_MS) : cutMs !== Infinity) return
    check(attempt < ATTEMPTS, () => `${act.name}: ${describe(cutMs, growth, rate)}`)
    await swarm.look()
  }
}

function maxGrowthOf({ isLarge }: HostileAct): number {
  if (isLarge === true) return MAX_LARGE_GROWTH_BYTES
  return testLevel() === 'nightly' ? MAX_GROWTH_BYTES : MAX_CI_GROWTH_BYTES
}

interface Cost {
  /** Until it was cut, `NaN` when it was not to be. */
  readonly cutMs: number
  /** Of honest traffic, as a part of what it was without anybody hostile. */
  readonly rate: number
  /** Memory since there was nobody hostile yet, bytes. */
  readonly growth: number
}

async function measure(swarm: HonestSwarm, at: number, act: HostileAct): Promise<Cost> {
  const setup = { target: await swarm.target(), act: at, honest: swarm.ids[1] ?? '' }
  await using peer = await HostileProcess.start(setup)
  let cutMs = NaN
  const { arrived, residentBytes } = await swarm.traffic.during(async () => {
    const whole = delay(LOOK_MS)
    cutMs = await perform(swarm, act, peer)
    await whole
  })
  return { cutMs, rate: arrived / swarm.honestRate, growth: residentBytes - swarm.residentBytes }
}

/** @returns how long it took to be cut, ms; `NaN` when it was not to be, `Infinity` when it was not cut in time */
async function perform(swarm: HonestSwarm, act: HostileAct, peer: HostileProcess): Promise<number> {
  const began = performance.now()
  const acting = peer.act()
  // It is waited for below; when something else goes wrong before, that is told.
  acting.catch(() => undefined)
  if (!act.cuts) {
    await acting
    return NaN
  }
  const isCut = async (): Promise<boolean> => {
    const { alarms } = await peersOf(swarm.victim)
    return alarms.some(({ kind, peer: who }) => kind === 'misbehaved' && who === peer.nodeId)
  }
  while (!(await isCut())) {
    if (performance.now() - began > PATIENCE_MS) return Infinity
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

  async #publish(client: ApiClient, events: number): Promise<void> {
    await client.publish(
      Array.from({ length: events }, () => ({ tags: ['honest'], payload: `{"n":${String(this.published++)}}` })),
    )
  }

  /** One event of the size that takes most memory: it does not shrink. */
  large(): Promise<void> {
    return withClient(this.#swarm.publisher, async (client) => {
      const payload = JSON.stringify(randomBytes(LARGE_EVENT_BYTES).toString('base64'))
      await client.publish([{ tags: ['honest'], payload }])
      this.published++
    })
  }

  burst(requests: number, events: number): Promise<void> {
    return withClient(this.#swarm.publisher, async (client) => {
      for (let request = 0; request < requests; request++) await this.#publish(client, events)
    })
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
            await this.#publish(client, BATCH)
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
  const cut = Number.isNaN(cutMs) ? 'harmless' : `cut after ${(cutMs / 1000).toFixed(1)} s`
  return `${cut}, ${megabytes(growth)} more, ${(100 * rate).toFixed(0)} % of the honest rate`
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`
}
