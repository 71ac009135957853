import type { Random } from '../support/random.js'
import type { Kind, Kinds, Operation } from './kinds.js'
import { ALERT } from './models/machine.js'
import type { RegisterEntry } from './models/register.js'

/** What a simulation is of. */
export interface Plan {
  readonly kind: Kind
  readonly clients: number
  /** Of all clients together. */
  readonly operations: number
  readonly keys: number
  /** Probability that no answer comes; such an operation is done, done late, or never done. */
  readonly lost: number
}

type Input<K extends Kind> = Kinds[K]['input']
type Output<K extends Kind> = Kinds[K]['output']

/** What a client has had from one object, newest last: what it asks next follows from that. */
type Memory<K extends Kind> = readonly { readonly input: Input<K>; readonly output: Output<K> }[]

/** A node's object: it does one operation after the other. */
interface SimulatedObject<K extends Kind> {
  /** @param nowMicros never less than before */
  apply(input: Input<K>, nowMicros: number): Output<K>
}

interface Simulation<K extends Kind> {
  open(random: Random): SimulatedObject<K>
  nextInput(random: Random, memory: Memory<K>, serial: number): Input<K>
}

/** Leases are so short that some end while others wait, milliseconds. */
const TTL_MS = [3, 6, 40] as const
/** Operations without answer at most: each may have been done or not, so that nothing fits takes exponential time to show. */
const MOST_LOST = 8
/** Time between two things that happen, µs at most. */
const MAX_GAP_MICROS = 1500

const register: Simulation<'register'> = {
  open(random) {
    let entry: RegisterEntry | null = null
    let revision = 0
    const write = (value: unknown): Output<'register'> => {
      revision += 1 + random.below(3)
      entry = { value, version: String(revision) }
      return { version: entry.version }
    }
    const remove = (): Output<'register'> => {
      const deleted = entry !== null
      entry = null
      return { deleted }
    }
    return {
      apply(input) {
        if (input.op === 'get') return { entry }
        const version = entry?.version ?? '0'
        if (input.op === 'delete') {
          return (input.expected ?? version) === version ? remove() : { deleted: false }
        }
        const expected = input.op === 'create' ? '0' : input.op === 'cas' ? input.expected : version
        return expected === version ? write(input.value) : { entry }
      },
    }
  },
  nextInput(random, memory, serial) {
    const { version, entry } = memory.at(-1)?.output ?? {}
    const expected = version ?? entry?.version ?? '0'
    const op = random.pick(['get', 'set', 'create', 'cas', 'cas', 'cas', 'delete'] as const)
    if (op === 'get') return { op }
    if (op === 'delete') return random.chance(0.5) ? { op } : { op, expected }
    return op === 'cas' ? { op, expected, value: serial } : { op, value: serial }
  },
}

const lock: Simulation<'lock'> = {
  open(random) {
    let holder: string | null = null
    let newest = 0
    let until = 0
    const endOf = (ttlMs: number | undefined, now: number): number => now + (ttlMs ?? Infinity) * 1000
    return {
      apply(input, now) {
        if (now >= until) holder = null
        if (input.op === 'read') return { fence: holder }
        if (input.op === 'acquire') {
          if (holder !== null) return { fence: null }
          newest += 1 + random.below(2)
          holder = String(newest)
          until = endOf(input.ttlMs, now)
          return { fence: holder }
        }
        if (holder !== input.fence) return { done: false }
        if (input.op === 'release') holder = null
        if (input.op === 'extend') until = endOf(input.ttlMs, now)
        return { done: true }
      },
    }
  },
  nextInput(random, memory) {
    const granted = memory.findLast(({ input, output }) => input.op === 'acquire' && typeof output.fence === 'string')
    const fence = granted?.output.fence
    const ttlMs = random.pick(TTL_MS)
    if (typeof fence !== 'string') return random.chance(0.8) ? { op: 'acquire', ttlMs } : { op: 'read' }
    const op = random.pick(['acquire', 'read', 'write', 'write', 'release', 'extend'] as const)
    if (op === 'acquire') return { op, ttlMs }
    if (op === 'extend') return { op, fence, ttlMs }
    return op === 'read' ? { op } : { op, fence }
  },
}

const counter: Simulation<'counter'> = {
  open() {
    let value = 0n
    return {
      apply(input) {
        if (input.op === 'get') return { value: String(value) }
        const sum = value + BigInt(input.delta)
        if (input.max !== undefined && sum > BigInt(input.max)) return { value: null }
        value = sum
        return { value: String(value) }
      },
    }
  },
  nextInput(random) {
    if (random.chance(0.3)) return { op: 'get' }
    const delta = String(1 + random.below(3))
    return random.chance(0.3) ? { op: 'increment', delta, max: '12' } : { op: 'increment', delta }
  },
}

const dedup: Simulation<'dedup'> = {
  open() {
    let token: string | undefined
    let result: unknown
    let isDone = false
    let until = 0
    let claims = 0
    return {
      apply(input, now) {
        if (now >= until) {
          token = undefined
          isDone = false
        }
        if (input.op === 'claim') {
          if (isDone) return { claim: 'done', result }
          if (token !== undefined) return { claim: 'inProgress' }
          token = `t${++claims}`
          until = now + input.staleMs * 1000
          return { claim: 'new', token }
        }
        if (token !== input.token) return { done: false }
        token = undefined
        if (input.op === 'done') {
          isDone = true
          result = input.result
          until = now + input.windowMs * 1000
        }
        return { done: true }
      },
    }
  },
  nextInput(random, memory, serial) {
    const token = memory.findLast(({ output }) => output.token !== undefined)?.output.token
    if (token === undefined || random.chance(0.4)) return { op: 'claim', staleMs: random.pick(TTL_MS) }
    return random.chance(0.3) ? { op: 'abandon', token } : { op: 'done', token, result: serial, windowMs: WINDOW_MS }
  },
}

/** A result is remembered for longer than any simulation takes, milliseconds. */
const WINDOW_MS = 3_600_000

const machine: Simulation<'machine'> = {
  open() {
    let state = ALERT.initial
    return {
      apply(input) {
        const from = state
        if (input.op === 'get') return { from }
        const done = (input.from ?? from) === from && (ALERT.transitions[from] ?? []).includes(input.to)
        if (done) state = input.to
        return { from, done }
      },
    }
  },
  nextInput(random, memory) {
    if (random.chance(0.3)) return { op: 'get' }
    const to = random.pick(['acknowledged', 'resolved', 'stale'])
    const from = memory.at(-1)?.output.from
    return from === undefined || random.chance(0.5) ? { op: 'transition', to } : { op: 'transition', to, from }
  },
}

const SIMULATIONS: { readonly [K in Kind]: Simulation<K> } = { register, lock, counter, dedup, machine }

/** What concurrent clients see of objects that are linearizable by construction: each operation happens at one moment. */
export function simulateHistory({ kind, clients, operations, keys, lost }: Plan, random: Random): Operation[] {
  // The inputs and answers of all kinds go the same way here.
  const simulation = SIMULATIONS[kind] as Simulation<any>
  const objects = Array.from({ length: keys }, () => simulation.open(random))
  const memories = Array.from({ length: clients * keys }, (): { input: unknown; output: unknown }[] => [])
  const agenda = new Agenda()
  const history: Operation[] = []
  let lostSoFar = 0
  const gap = (): number => random.below(MAX_GAP_MICROS)

  const invoke = (client: number, at: number): void => {
    const serial = history.length
    if (serial === operations) return
    const place = random.below(keys)
    const memory = memories[client * keys + place]!
    const call = {
      client,
      kind,
      key: `k${place}`,
      input: simulation.nextInput(random, memory, serial),
      invoked: at,
    }
    history.push({ ...call, outcome: 'unknown' })
    const isLost = lostSoFar < MOST_LOST && random.chance(lost)
    if (isLost) lostSoFar++
    const happens = at + gap() * (isLost ? random.below(20) : 1)
    const returned = happens + gap()
    const isNeverDone = isLost && random.chance(0.4)
    if (!isNeverDone) {
      agenda.put(happens, () => {
        const output: unknown = objects[place]!.apply(call.input, happens)
        if (isLost) return
        agenda.put(returned, () => {
          memory.push({ input: call.input, output })
          history[serial] = { ...call, outcome: 'ok', output, returned } as Operation
        })
      })
    }
    const next = (isLost ? at : returned) + gap()
    agenda.put(next, () => invoke(client, next))
  }

  for (let client = 0; client < clients; client++) {
    const at = gap()
    agenda.put(at, () => invoke(client, at))
  }
  agenda.run()
  return history
}

/** What happens when. */
class Agenda {
  readonly #points: { readonly at: number; readonly happen: () => void }[] = []

  put(at: number, happen: () => void): void {
    const place = this.#points.findIndex((point) => point.at > at)
    this.#points.splice(place < 0 ? this.#points.length : place, 0, { at, happen })
  }

  run(): void {
    for (let point = this.#points.shift(); point !== undefined; point = this.#points.shift()) point.happen()
  }
}
