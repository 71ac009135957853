import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MemoryNetwork, VirtualTime, type NetworkConditions } from '../../replication/index.js'
import { KEEP_EVERYTHING } from '../../storage/index.js'
import { Random } from '../support/random.js'
import { judge, obstacle, type LeftBehind, type Swarm } from './judgement.js'
import { diskOf, GOOD_DISK } from './simulated-disk.js'
import { NAMES, SimulatedNode, type NodeSettings } from './simulated-node.js'
import { failFiles, followTime } from './simulated-process.js'

/** Operations of one simulation, faults among them. */
export const OPERATIONS = 1000
/** What they are spread over, and how long all may take to agree afterwards; ms of virtual time. */
const DURATION_MS = 60_000
const AGREEMENT_MS = 60_000

/** Of each thousand operations so many are faults of a kind; the others publish. */
const FAULTS = [
  ...Array<'partition'>(5).fill('partition'),
  ...Array<'kill'>(3).fill('kill'),
  ...Array<'conditions'>(3).fill('conditions'),
  ...Array<'backup'>(3).fill('backup'),
  ...(['power cut', 'stop', 'leave', 'slow disk', 'full disk', 'failing disk', 'clock', 'restore', 'restore'] as const),
]

export interface Outcome {
  readonly seed: number
  /** What must not be; empty when all is well. */
  readonly faults: readonly string[]
  /** Hash over the course of events: the same for the same seed. */
  readonly course: string
  readonly nodes: number
  readonly events: number
  /** How long all took to agree once nothing was in the way, ms of virtual time. */
  readonly agreedMs: number
}

/** Where the files of simulated nodes lie: memory, where the system has such a place. */
const SCRATCH = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()

/** Runs what one seed decides. @param log told the course of events */
export async function simulate(seed: number, log?: (line: string) => void): Promise<Outcome> {
  const path = mkdtempSync(join(SCRATCH, 'millrace-sim-'))
  try {
    return await new Simulation(seed, path, log).run()
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}

class Simulation {
  readonly #seed: number
  readonly #path: string
  readonly #log: ((line: string) => void) | undefined
  readonly #random: Random
  readonly #time = new VirtualTime()
  readonly #network: MemoryNetwork
  readonly #nodes: SimulatedNode[] = []
  /** Whose machines are gone for good. */
  readonly #gone = new Set<SimulatedNode>()
  readonly #leftBehind: LeftBehind[] = []
  readonly #faults: string[] = []
  readonly #course = createHash('sha256')
  #published = 0

  constructor(seed: number, path: string, log: ((line: string) => void) | undefined) {
    this.#seed = seed
    this.#path = path
    this.#log = log
    this.#random = new Random(seed)
    this.#network = new MemoryNetwork(this.#random.uint32(), {}, this.#time)
    followTime(this.#time)
    failFiles((path) => diskOf(path)?.fault())
  }

  async run(): Promise<Outcome> {
    await this.#prepare()
    this.#plan()
    this.#decideEpochs()
    await this.#time.advance(DURATION_MS)
    const agreedMs = await this.#agree()
    try {
      this.#faults.push(...(await judge(this.#swarm())))
    } catch (error) {
      this.#faults.push(`not readable: ${error instanceof Error ? error.message : String(error)}`)
    }
    for (const node of this.#nodes) await this.#during(node.close())
    return {
      seed: this.#seed,
      faults: [...new Set(this.#faults)],
      course: this.#course.digest('hex').slice(0, 16),
      nodes: this.#nodes.length,
      events: this.#published,
      agreedMs,
    }
  }

  async #prepare(): Promise<void> {
    const random = this.#random
    const count = 3 + random.below(5)
    this.#network.change(randomConditions(random))
    for (let at = 0; at < count; at++) {
      const name = String.fromCharCode(97 + at)
      const observer = {
        note: (text: string) => this.#note(text),
        fault: (text: string) => {
          this.#note(`FAULT ${text}`)
          this.#faults.push(text)
        },
        mayHaveForks: () => this.#nodes.some(({ restored }) => restored),
      }
      this.#nodes.push(
        await SimulatedNode.create({
          name,
          path: join(this.#path, name),
          settings: randomSettings(random),
          network: this.#network,
          random: new Random(random.uint32()),
          observer,
        }),
      )
    }
    // Some come late.
    this.#nodes.forEach((node, at) => {
      const lateMs = at > 1 && random.chance(0.2) ? random.below(DURATION_MS / 2) : 0
      this.#at(lateMs, () => void node.start(this.#neighbours(node)))
    })
  }

  #plan(): void {
    const random = this.#random
    for (let operation = 0; operation < OPERATIONS; operation++) {
      const atMs = random.below(DURATION_MS)
      const choice = random.below(1000)
      const inner = new Random(random.uint32())
      this.#at(atMs, () => {
        this.#do(choice, inner)
      })
    }
  }

  /** Now and then an operator looks whether a node asks for a decision. */
  #decideEpochs(): void {
    this.#at(3_000, () => {
      for (const node of this.#nodes) void node.decide()
      this.#decideEpochs()
    })
  }

  #do(choice: number, random: Random): void {
    const node = random.pick(this.#nodes)
    const forMs = 1 + random.below(random.pick([100, 2_000, 20_000]))
    const fault = FAULTS[choice]
    switch (fault) {
      case undefined:
        void this.#publish(node, random)
        break
      case 'partition':
        this.#partition(random, forMs)
        break
      case 'conditions':
        this.#network.change(randomConditions(random))
        break
      case 'kill':
        node.kill(false)
        this.#startIn(forMs, node)
        break
      case 'power cut':
        node.kill(true)
        this.#startIn(forMs, node)
        break
      case 'stop':
        void node.stop()
        this.#startIn(forMs, node)
        break
      case 'leave':
        this.#leave(node)
        break
      case 'slow disk':
      case 'full disk':
      case 'failing disk':
        this.#harmDisk(node, fault, random, forMs)
        break
      case 'clock':
        this.#note(`the clock of ${node.name} jumps`)
        node.skewMicros = (random.below(2_000) - 1_000) * random.pick([1_000, 1_000_000, 3_600_000_000])
        break
      case 'backup':
        void node.backUp().then(() => this.#start(node))
        break
      case 'restore':
        void this.#restore(node, random, forMs)
        break
    }
  }

  #startIn(inMs: number, node: SimulatedNode): void {
    this.#at(inMs, () => {
      this.#start(node)
    })
  }

  /** For good; at least two remain. */
  #leave(node: SimulatedNode): void {
    if (this.#nodes.length - this.#gone.size <= 2 || this.#gone.has(node)) return
    this.#note(`${node.name} is gone for good`)
    this.#gone.add(node)
    this.#heldByOthers(node)
    node.kill(false)
  }

  /** What others hold of a node that leaves has to be everywhere in the end. */
  #heldByOthers(left: SimulatedNode): void {
    for (const holder of this.#nodes) {
      if (holder === left) continue
      for (const { stream, nextOffset } of holder.replicasOf()) {
        if (stream.startsWith(left.nodeId)) this.#leftBehind.push({ stream, nextOffset, holder })
      }
    }
  }

  #harmDisk(
    node: SimulatedNode,
    fault: 'slow disk' | 'full disk' | 'failing disk',
    random: Random,
    forMs: number,
  ): void {
    this.#note(`${node.name} has a ${fault}`)
    const { disk } = node
    if (fault === 'slow disk') disk.conditions = { ...GOOD_DISK, accessMs: 5, syncMs: random.pick([10, 100]) }
    else if (fault === 'full disk') disk.conditions = { ...GOOD_DISK, isFull: true }
    else disk.conditions = { ...GOOD_DISK, failing: random.pick([0.01, 0.2, 1]) }
    this.#at(forMs, () => {
      disk.conditions = GOOD_DISK
    })
  }

  /** Goes back to an older copy for good, or only for a while: then there are two histories. */
  async #restore(node: SimulatedNode, random: Random, forMs: number): Promise<void> {
    if (!node.hasBackup || this.#gone.has(node)) return
    const isCopiedKey = random.chance(0.3)
    this.#heldByOthers(node)
    await node.restore(isCopiedKey)
    this.#start(node)
    if (!isCopiedKey) return
    this.#at(forMs, () => {
      void node.comeBack().then(() => {
        this.#start(node)
      })
    })
  }

  async #publish(node: SimulatedNode, random: Random): Promise<void> {
    const count = random.pick([1, 1, 1, 2, 3, 10])
    const payloads = Array.from(
      { length: count },
      () => `${node.name}${this.#published++}${'.'.repeat(random.below(40))}`,
    )
    await node.publish(payloads, random.below(NAMES.length))
  }

  #partition(random: Random, forMs: number): void {
    const groups: string[][] = [[], [], []]
    for (const { nodeId } of this.#nodes) groups[random.below(3)]?.push(nodeId)
    this.#note(`partition ${groups.map(({ length }) => length).join(' ')}`)
    this.#network.partition(...groups)
    this.#at(forMs, () => {
      this.#note('heal')
      this.#network.heal()
    })
  }

  /** As the operator does. */
  #start(node: SimulatedNode): void {
    if (!this.#gone.has(node)) void node.start(this.#neighbours(node))
  }

  #neighbours(node: SimulatedNode): readonly string[] {
    return this.#nodes.filter((other) => other !== node).map(({ nodeId }) => nodeId)
  }

  /** Takes away all that is in the way, and waits until all are the same. */
  async #agree(): Promise<number> {
    this.#note('the end')
    this.#network.heal()
    this.#network.change({ loss: 0, duplicate: 0, reorder: 0, delayMs: [0.2, 0.5], bytesPerMs: Infinity })
    for (const node of this.#nodes) node.disk.conditions = GOOD_DISK
    const endMs = DURATION_MS
    let found: string | undefined
    for (let passedMs = 0; passedMs < AGREEMENT_MS; passedMs += 1_000) {
      for (const node of this.#nodes) if (!node.isUp) this.#start(node)
      await this.#time.advance(1_000)
      found = obstacle(this.#swarm())
      if (found === undefined) return this.#time.monotonicMs() - endMs
    }
    this.#faults.push(`no agreement: ${found ?? ''}`)
    return AGREEMENT_MS
  }

  #swarm(): Swarm {
    return { nodes: this.#nodes, gone: this.#gone, leftBehind: this.#leftBehind }
  }

  /** Lets time pass until something is done. */
  async #during(work: Promise<void>): Promise<void> {
    const state = { isDone: false }
    void work.finally(() => (state.isDone = true))
    if (!(await this.#time.advanceUntil(() => state.isDone, 60_000))) throw new Error('something never ends')
    await work
  }

  #at(inMs: number, run: () => void): void {
    this.#time.after(inMs, run)
  }

  #note(text: string): void {
    const line = `${this.#time.monotonicMs().toFixed(3)} ${text}`
    this.#course.update(`${line}\n`)
    this.#log?.(line)
  }
}

function randomConditions(random: Random): Partial<NetworkConditions> {
  const delayMs = random.pick([0.5, 5, 100, 500])
  return {
    delayMs: [delayMs / 5, delayMs],
    loss: random.pick([0, 0, 0.02, 0.1, 0.3]),
    duplicate: random.pick([0, 0.05]),
    reorder: random.pick([0, 0.1]),
    bytesPerMs: random.pick([Infinity, Infinity, 1000, 50]),
    detectMs: random.pick([2_000, 15_000]),
  }
}

function randomSettings(random: Random): NodeSettings {
  const keep = { ...KEEP_EVERYTHING, maxEvents: 20 + random.below(60) }
  return {
    sync: 'always',
    block: { maxEvents: random.pick([3, 8, 32]), maxBytes: random.pick([500, 4096]) },
    keep: random.chance(0.2) ? new Map([['orders', keep]]) : new Map(),
  }
}
