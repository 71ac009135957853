// Conformance kit: what every backend of the state has to do. For authors of backends; needs no test framework.
import { deepStrictEqual, equal, ok, rejects } from 'node:assert/strict'
import type { Clock } from '../core/index.js'
import type { StateBackend } from './backend.js'
import type { Ttl } from './draft.js'
import { COUNTER_MAX, COUNTER_MIN, MAX_VALUE_BYTES, REMEMBERED_MS } from './limits.js'
import { State } from './state.js'
import type { Condition, Entry, Operation, TxnRequest, TxnResult } from './txn.js'

/** A backend that the kit looks at. */
export interface StateTckOptions {
  /** Registers a case; that of tap, node:test and others has this form. Cases must run one after the other. */
  readonly test: (name: string, run: () => Promise<void>) => unknown
  /** Opens the backend: the first time without any records, later with those that it has, unless `isVolatile`. */
  readonly open: () => Promise<{ readonly backend: StateBackend; readonly close: () => Promise<void> }>
  /** Whether it forgets everything when it is closed. */
  readonly isVolatile?: boolean
}

/** Opens the backend, runs the cases, and closes it in the last one. */
export function runStateTck(options: StateTckOptions): void {
  const bench = new Bench(options)
  const all = { ...ENTRIES, ...SWAPS, ...TIMES, ...COUNTERS, ...KEYS, ...SCANS, ...TXNS, ...WATCHES }
  for (const [name, run] of Object.entries(all)) {
    options.test(name, async () => {
      await run(bench.next(await bench.state()), bench)
    })
  }
  if (options.isVolatile !== true) {
    for (const [name, run] of Object.entries(RESTARTS)) {
      options.test(name, async () => {
        await run(bench.next(await bench.state()), bench)
      })
    }
  }
  options.test('it closes, twice too', async () => {
    await bench.close()
    await bench.close()
  })
}

type Case = (room: Room, bench: Bench) => Promise<void>
type Cases = Readonly<Record<string, Case>>

/** Time that goes on only when a case says so. */
class BenchClock implements Clock {
  wallMs = 1_800_000_000_000
  ms = 5000

  nowMicros(): number {
    return this.wallMs * 1000
  }

  monotonicMs(): number {
    return this.ms
  }

  pass(ms: number): void {
    this.ms += ms
    this.wallMs += ms
  }
}

/** Bytes of all entries; above the largest value that there is. */
const QUOTA = 4 * MAX_VALUE_BYTES

class Bench {
  readonly clock = new BenchClock()
  readonly #options: StateTckOptions
  #opened: { readonly state: State; close(): Promise<void> } | undefined
  #rooms = 0

  constructor(options: StateTckOptions) {
    this.#options = options
  }

  async state(): Promise<State> {
    return (this.#opened ??= await this.#open()).state
  }

  /** Room for a case, with keys that no other one uses. */
  next(state: State): Room {
    return new Room(state, `tck/${String(++this.#rooms).padStart(3, '0')}/`)
  }

  /** The room with what the backend has after it was closed and opened again. */
  async restart(room: Room): Promise<Room> {
    await this.close()
    return new Room(await this.state(), room.prefix)
  }

  async close(): Promise<void> {
    const opened = this.#opened
    this.#opened = undefined
    await opened?.close()
  }

  async #open(): Promise<{ readonly state: State; close(): Promise<void> }> {
    const { backend, close } = await this.#options.open()
    const logger = { warn: () => undefined }
    const state = await State.open({ backend, clock: this.clock, logger, maxBytes: QUOTA })
    return {
      state,
      close: async () => {
        await state.close()
        await close()
      },
    }
  }
}

/** Keys of one case. */
class Room {
  readonly state: State
  readonly prefix: string

  constructor(state: State, prefix: string) {
    this.state = state
    this.prefix = prefix
  }

  key(name: string): string {
    return this.prefix + name
  }

  get(name: string): Promise<Entry | undefined> {
    return this.state.get(this.key(name))
  }

  async value(name: string): Promise<unknown> {
    const entry = await this.get(name)
    return entry === undefined ? undefined : JSON.parse(entry.value)
  }

  async version(name: string): Promise<number> {
    return (await this.get(name))?.version ?? 0
  }

  txn(request: Partial<TxnRequest>): Promise<TxnResult> {
    return this.state.txn({
      app: 'org.example.tck',
      if: [],
      then: [],
      else: [],
      append: [],
      requestId: undefined,
      ...request,
    })
  }

  set(name: string, value: unknown, ttl: Ttl = null): Promise<TxnResult> {
    return this.txn({ then: [this.setting(name, value, ttl)] })
  }

  setting(name: string, value: unknown, ttl: Ttl = null): Operation {
    return { kind: 'set', key: this.key(name), value: JSON.stringify(value), ttl }
  }

  deleting(name: string): Operation {
    return { kind: 'delete', key: this.key(name) }
  }

  reading(name: string): Operation {
    return { kind: 'get', key: this.key(name) }
  }

  adding(name: string, delta = 1n, min = COUNTER_MIN, max = COUNTER_MAX, ttl: Ttl = null): Operation {
    return { kind: 'increment', key: this.key(name), delta, min, max, ttl }
  }

  if(name: string, what: Partial<Omit<Extract<Condition, { kind: 'entry' }>, 'kind' | 'key'>>): Condition {
    return { kind: 'entry', key: this.key(name), version: undefined, value: undefined, exists: undefined, ...what }
  }

  /** Whether it was swapped. */
  async cas(name: string, version: number, value: unknown, ttl: Ttl = null): Promise<boolean> {
    const { succeeded } = await this.txn({ if: [this.if(name, { version })], then: [this.setting(name, value, ttl)] })
    return succeeded
  }

  async delete(name: string): Promise<boolean> {
    const [result] = (await this.txn({ then: [this.deleting(name)] })).results
    return result?.kind === 'delete' && result.deleted
  }

  async count(name: string, delta = 1n): Promise<string> {
    const [result] = (await this.txn({ then: [this.adding(name, delta)] })).results
    return result?.kind === 'increment' ? result.value : ''
  }

  /** Names behind the prefix. */
  async names(limit = 1000): Promise<string[]> {
    const { entries } = await this.state.scan({ prefix: this.prefix, after: undefined, limit, atRevision: undefined })
    return entries.map(({ key }) => key.slice(this.prefix.length))
  }
}

const ENTRIES: Cases = {
  'what was never written is absent': async (room) => {
    equal(await room.get('k'), undefined)
  },
  'what is written is read, with the version of its commit': async (room) => {
    const { revision } = await room.set('k', { a: [1, null, 'x'] })
    deepStrictEqual(await room.get('k'), { key: room.key('k'), value: '{"a":[1,null,"x"]}', version: revision })
  },
  'values keep their text, digit for digit': async (room) => {
    const value = '{"n":1.0,"big":12345678901234567890,"e":1e2}'
    await room.txn({ then: [{ kind: 'set', key: room.key('k'), value, ttl: null }] })
    equal((await room.get('k'))?.value, value)
  },
  'null, false, zero and empty text are values': async (room) => {
    for (const value of [null, false, 0, '', [], {}]) {
      await room.set('k', value)
      deepStrictEqual(await room.value('k'), value)
    }
  },
  'the largest value is kept': async (room) => {
    const value = 'x'.repeat(MAX_VALUE_BYTES - 2)
    await room.set('k', value)
    equal(await room.value('k'), value)
    await room.delete('k')
  },
  'an overwrite gives a greater version': async (room) => {
    await room.set('k', 1)
    const before = await room.version('k')
    await room.set('k', 1)
    ok((await room.version('k')) > before)
  },
  'a delete says whether there was anything': async (room) => {
    await room.set('k', 1)
    equal(await room.delete('k'), true)
    equal(await room.delete('k'), false)
    equal(await room.get('k'), undefined)
  },
  'versions go on over a delete': async (room) => {
    await room.set('k', 1)
    const before = await room.version('k')
    await room.delete('k')
    await room.set('k', 1)
    ok((await room.version('k')) > before + 1)
  },
  'a read behind an acknowledged write finds it, a hundred times': async (room) => {
    for (let at = 0; at < 100; at++) {
      await room.set('k', at)
      equal(await room.value('k'), at)
    }
  },
  'keys do not touch each other': async (room) => {
    await Promise.all(Array.from({ length: 50 }, (_, at) => room.set(`k${String(at)}`, at)))
    for (let at = 0; at < 50; at++) equal(await room.value(`k${String(at)}`), at)
  },
  'the quota refuses what goes beyond it, and takes what makes it smaller': async (room) => {
    const big = 'x'.repeat(MAX_VALUE_BYTES - 2)
    const filled: string[] = []
    await rejects(
      (async () => {
        for (let at = 0; at < 8; at++) {
          await room.set(`k${String(at)}`, big)
          filled.push(`k${String(at)}`)
        }
      })(),
      { code: 'ERR_STATE_FULL' },
    )
    ok(filled.length >= 2)
    equal(await room.get(`k${String(filled.length)}`), undefined)
    for (const name of filled) equal(await room.delete(name), true)
    await room.set('k', 1)
  },
}

const SWAPS: Cases = {
  'a compare-and-swap with version 0 creates what is absent': async (room) => {
    equal(await room.cas('k', 0, 1), true)
    equal(await room.value('k'), 1)
  },
  'a compare-and-swap with version 0 leaves what is there': async (room) => {
    await room.set('k', 1)
    equal(await room.cas('k', 0, 2), false)
    equal(await room.value('k'), 1)
  },
  'a compare-and-swap with the current version swaps, once': async (room) => {
    await room.set('k', 1)
    const version = await room.version('k')
    equal(await room.cas('k', version, 2), true)
    equal(await room.cas('k', version, 3), false)
    equal(await room.value('k'), 2)
  },
  'a compare-and-swap with a version above the current one fails': async (room) => {
    await room.set('k', 1)
    equal(await room.cas('k', (await room.version('k')) + 1, 2), false)
  },
  'a compare-and-swap with a version of what is absent fails': async (room) => {
    equal(await room.cas('k', 7, 1), false)
    equal(await room.get('k'), undefined)
  },
  'delete and create do not bring an old version back': async (room) => {
    await room.set('k', 1)
    const old = await room.version('k')
    await room.delete('k')
    await room.set('k', 1)
    equal(await room.cas('k', old, 2), false)
  },
  'of 64 compare-and-swaps at once one wins': async (room) => {
    const done = await Promise.all(Array.from({ length: 64 }, (_, at) => room.cas('k', 0, at)))
    equal(done.filter(Boolean).length, 1)
    equal(await room.value('k'), done.indexOf(true))
  },
  'counting by compare-and-swap loses nothing': async (room) => {
    const countOne = async (): Promise<void> => {
      for (;;) {
        const entry = await room.get('k')
        const value = entry === undefined ? 0 : Number(entry.value)
        if (await room.cas('k', entry?.version ?? 0, value + 1)) return
      }
    }
    await Promise.all(Array.from({ length: 8 }, countOne))
    equal(await room.value('k'), 8)
  },
  'a delete with a version deletes that version only': async (room) => {
    await room.set('k', 1)
    const old = await room.version('k')
    await room.set('k', 2)
    const deleteAt = (version: number): Promise<TxnResult> =>
      room.txn({ if: [room.if('k', { version })], then: [room.deleting('k')] })
    equal((await deleteAt(old)).succeeded, false)
    equal(await room.value('k'), 2)
    equal((await deleteAt(await room.version('k'))).succeeded, true)
    equal(await room.get('k'), undefined)
  },
}

const TIMES: Cases = {
  'a time to live ends to the millisecond': async (room, { clock }) => {
    await room.set('k', 1, { ttlMs: 100 })
    clock.pass(99)
    equal(await room.value('k'), 1)
    clock.pass(1)
    equal(await room.get('k'), undefined)
  },
  'times to live below a second, and below a millisecond of difference, are kept apart': async (room, { clock }) => {
    await room.set('a', 1, { ttlMs: 1 })
    await room.set('b', 1, { ttlMs: 2 })
    clock.pass(1)
    deepStrictEqual(await room.names(), ['b'])
    clock.pass(1)
    deepStrictEqual(await room.names(), [])
  },
  'an entry says when it expires': async (room, { clock }) => {
    await room.set('k', 1, { ttlMs: 1000 })
    equal((await room.get('k'))?.expiresAt, clock.wallMs + 1000)
  },
  'what is expired is absent for a compare-and-swap': async (room, { clock }) => {
    await room.set('k', 1, { ttlMs: 10 })
    const old = await room.version('k')
    clock.pass(10)
    equal(await room.cas('k', old, 2), false)
    equal(await room.cas('k', 0, 3), true)
    equal(await room.value('k'), 3)
  },
  'what is expired is absent for conditions, deletes and counters': async (room, { clock }) => {
    await room.set('k', 41, { ttlMs: 10 })
    await room.set('d', 1, { ttlMs: 10 })
    clock.pass(10)
    equal((await room.txn({ if: [room.if('k', { exists: true })] })).succeeded, false)
    equal(await room.delete('d'), false)
    equal(await room.count('k'), '1')
  },
  'a compare-and-swap without time to live ends that of before': async (room, { clock }) => {
    await room.set('k', 1, { ttlMs: 10 })
    equal(await room.cas('k', await room.version('k'), 2), true)
    clock.pass(1000)
    equal(await room.value('k'), 2)
  },
  'a compare-and-swap sets a time to live': async (room, { clock }) => {
    await room.cas('k', 0, 1, { ttlMs: 10 })
    clock.pass(10)
    equal(await room.get('k'), undefined)
  },
  'a compare-and-swap that fails leaves the time to live': async (room, { clock }) => {
    await room.set('k', 1, { ttlMs: 10 })
    equal(await room.cas('k', 0, 2), false)
    clock.pass(10)
    equal(await room.get('k'), undefined)
  },
  'an overwrite without time to live ends that of before': async (room, { clock }) => {
    await room.set('k', 1, { ttlMs: 10 })
    await room.set('k', 2)
    clock.pass(1000)
    await room.state.sweep()
    equal(await room.value('k'), 2)
    equal((await room.get('k'))?.expiresAt, undefined)
  },
  'an overwrite that keeps the time to live keeps it': async (room, { clock }) => {
    await room.set('k', 1, { ttlMs: 100 })
    clock.pass(60)
    await room.set('k', 2, 'keep')
    clock.pass(39)
    equal(await room.value('k'), 2)
    clock.pass(1)
    equal(await room.get('k'), undefined)
  },
  'keeping the time to live of what has none, or is gone, gives none': async (room, { clock }) => {
    await room.set('a', 1, 'keep')
    await room.set('b', 1, { ttlMs: 10 })
    clock.pass(10)
    await room.set('b', 2, 'keep')
    clock.pass(1_000_000)
    deepStrictEqual(await room.names(), ['a', 'b'])
  },
  'a later deadline replaces the earlier one': async (room, { clock }) => {
    await room.set('k', 1, { ttlMs: 10 })
    await room.set('k', 2, { ttlMs: 1000 })
    clock.pass(500)
    await room.state.sweep()
    equal(await room.value('k'), 2)
    clock.pass(500)
    equal(await room.get('k'), undefined)
  },
  'an earlier deadline replaces the later one': async (room, { clock }) => {
    await room.set('k', 1, { ttlMs: 1000 })
    await room.set('k', 2, { ttlMs: 10 })
    clock.pass(10)
    equal(await room.get('k'), undefined)
  },
  'an increment without time to live ends that of before': async (room, { clock }) => {
    await room.set('k', 1, { ttlMs: 10 })
    await room.count('k')
    clock.pass(1000)
    equal(await room.value('k'), 2)
  },
  'a sweep gives the room back, of what is expired only': async (room, { clock }) => {
    await room.state.sweep()
    const before = await room.state.info()
    await room.set('a', 1, { ttlMs: 10 })
    await room.set('b', 1, { ttlMs: 1000 })
    clock.pass(10)
    await room.state.sweep()
    const { entries } = await room.state.info()
    equal(entries, before.entries + 1)
    deepStrictEqual(await room.names(), ['b'])
  },
  'the wall clock neither ends nor prolongs anything': async (room, { clock }) => {
    await room.set('k', 1, { ttlMs: 1000 })
    clock.wallMs += 3_600_000
    equal(await room.value('k'), 1)
    clock.wallMs -= 2 * 3_600_000
    clock.ms += 1000
    equal(await room.get('k'), undefined)
    clock.wallMs += 3_601_000
  },
}

const COUNTERS: Cases = {
  'a counter begins with 0': async (room) => {
    equal(await room.count('k', 5n), '5')
    equal(await room.count('k', -7n), '-2')
  },
  'a hundred increments at once are a hundred': async (room) => {
    const values = await Promise.all(Array.from({ length: 100 }, () => room.count('k')))
    equal(new Set(values).size, 100)
    equal(await room.value('k'), 100)
  },
  'counters are exact beyond 2^53': async (room) => {
    await room.count('k', 2n ** 53n)
    equal(await room.count('k', 1n), String(2n ** 53n + 1n))
  },
  'a counter does not go over the end of 64 bits': async (room) => {
    await room.count('k', COUNTER_MAX)
    await rejects(room.count('k'), { code: 'ERR_COUNTER_RANGE' })
    equal((await room.get('k'))?.value, String(COUNTER_MAX))
    await room.delete('k')
    await room.count('k', COUNTER_MIN)
    await rejects(room.count('k', -1n), { code: 'ERR_COUNTER_RANGE' })
  },
  'a counter stays within the bounds that are asked for': async (room) => {
    await room.txn({ then: [room.adding('k', 5n, 0n, 5n)] })
    await rejects(room.txn({ then: [room.adding('k', 1n, 0n, 5n)] }), { code: 'ERR_COUNTER_RANGE' })
    await rejects(room.txn({ then: [room.adding('k', -6n, 0n, 5n)] }), { code: 'ERR_COUNTER_RANGE' })
    equal(await room.value('k'), 5)
  },
  'what is no whole number is not counted up': async (room) => {
    for (const value of ['text', 1.5, null, {}, '1']) {
      await room.set('k', value)
      await rejects(room.count('k'), { code: 'ERR_COUNTER_INVALID' })
      deepStrictEqual(await room.value('k'), value)
    }
  },
  'a counter can be set, compared and deleted like any entry': async (room) => {
    await room.set('k', 10)
    equal(await room.count('k'), '11')
    equal(await room.cas('k', await room.version('k'), 0), true)
    await room.delete('k')
    equal(await room.count('k'), '1')
  },
}

/** Names that have been confused somewhere. */
const ODD = [
  ' ',
  '%',
  '%2F',
  '*',
  '?',
  '[a]',
  '\\',
  '{x}',
  '\0',
  '\n',
  '"',
  "'",
  '..',
  '/',
  '//',
  '$',
  'ä',
  'a\u0308',
  'ﬀ',
  '\u{10ffff}',
  '💡',
  '\uffff',
  '\ud7ff',
  'A',
  'a',
]

const KEYS: Cases = {
  'odd names are different keys, and come back as they are': async (room) => {
    for (const name of ODD) await room.set(name, name)
    for (const name of ODD) equal(await room.value(name), name)
    deepStrictEqual(new Set(await room.names()), new Set(ODD))
  },
  'names that look the same are not normalized': async (room) => {
    await room.set('ä', 1)
    equal(await room.get('a\u0308'), undefined)
  },
  'keys differ in case': async (room) => {
    await room.set('key', 1)
    equal(await room.get('Key'), undefined)
  },
  'keys come in the order of their bytes in UTF-8': async (room) => {
    for (const name of ODD.toReversed()) await room.set(name, 1)
    const expected = ODD.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    deepStrictEqual(await room.names(), expected)
  },
  'the longest key is kept': async (room) => {
    const name = 'x'.repeat(1024 - room.prefix.length)
    await room.set(name, 1)
    equal(await room.value(name), 1)
    equal(await room.get(name.slice(1)), undefined)
  },
  'a prefix is no pattern': async (room) => {
    await room.set('%a', 1)
    await room.set('_a', 1)
    await room.set('xa', 1)
    const page = await room.state.scan({ prefix: room.key('%'), after: undefined, limit: 10, atRevision: undefined })
    deepStrictEqual(
      page.entries.map(({ key }) => key),
      [room.key('%a')],
    )
  },
}

const SCANS: Cases = {
  'a scan of nothing is empty': async (room) => {
    deepStrictEqual(await room.names(), [])
  },
  'a scan sees what was created, at once': async (room) => {
    for (let at = 0; at < 20; at++) {
      await room.cas(`k${String(at).padStart(2, '0')}`, 0, at)
      equal((await room.names()).length, at + 1)
    }
  },
  'a scan does not see what was deleted, at once': async (room) => {
    for (const name of ['a', 'b', 'c']) await room.set(name, 1)
    await room.delete('b')
    deepStrictEqual(await room.names(), ['a', 'c'])
  },
  'a scan ends where its prefix ends': async (room) => {
    for (const name of ['a', 'ab', 'ab/c', 'ac', 'b']) await room.set(name, 1)
    const page = await room.state.scan({ prefix: room.key('ab'), after: undefined, limit: 10, atRevision: undefined })
    deepStrictEqual(
      page.entries.map(({ key }) => key),
      [room.key('ab'), room.key('ab/c')],
    )
  },
  'pages follow each other without gap or double': async (room) => {
    const names = Array.from({ length: 25 }, (_, at) => `k${String(at).padStart(2, '0')}`)
    await Promise.all(names.map((name) => room.set(name, 1)))
    deepStrictEqual(await readPages(room, 7), names)
  },
  'the last page says that it is the last': async (room) => {
    for (const name of ['a', 'b']) await room.set(name, 1)
    const page = await room.state.scan({ prefix: room.prefix, after: undefined, limit: 2, atRevision: undefined })
    equal(page.next, undefined)
  },
  'the pages of a scan are of one revision, whatever is written meanwhile': async (room) => {
    const names = Array.from({ length: 12 }, (_, at) => `k${String(at).padStart(2, '0')}`)
    for (const name of names) await room.set(name, 'old')
    const writing: Promise<unknown>[] = []
    const found = await readPages(room, 5, () => {
      for (const name of names) writing.push(room.delete(name), room.set(`${name}x`, 'new'))
    })
    deepStrictEqual(found, names)
    await Promise.all(writing)
  },
  'entries that are written together are seen together': async (room) => {
    const writing = (async () => {
      for (let at = 0; at < 30; at++) await room.txn({ then: [room.setting('a', at), room.setting('b', at)] })
    })()
    for (let at = 0; at < 15; at++) {
      const { entries } = await room.state.scan({
        prefix: room.prefix,
        after: undefined,
        limit: 9,
        atRevision: undefined,
      })
      equal(new Set(entries.map(({ value }) => value)).size <= 1, true)
    }
    await writing
  },
}

async function readPages(room: Room, limit: number, between: () => void = () => undefined): Promise<string[]> {
  const names: string[] = []
  let after: string | undefined
  let atRevision: number | undefined
  do {
    const page = await room.state.scan({ prefix: room.prefix, after, limit, atRevision })
    names.push(...page.entries.map(({ key }) => key.slice(room.prefix.length)))
    after = page.next
    atRevision = page.revision
    between()
  } while (after !== undefined)
  return names
}

const TXNS: Cases = {
  'all operations of a transaction have one version': async (room) => {
    const { revision } = await room.txn({ then: [room.setting('a', 1), room.setting('b', 2), room.adding('c')] })
    for (const name of ['a', 'b', 'c']) equal(await room.version(name), revision)
  },
  'a refused transaction changes nothing': async (room) => {
    await room.set('t', 'text')
    await rejects(room.txn({ then: [room.setting('a', 1), room.deleting('t'), room.adding('a', 2n ** 64n)] }))
    deepStrictEqual(await room.names(), ['t'])
  },
  'operations see those before them': async (room) => {
    const { results } = await room.txn({
      then: [room.setting('k', 1), room.adding('k'), room.reading('k'), room.deleting('k'), room.reading('k')],
    })
    deepStrictEqual(
      results.map((result) => (result.kind === 'get' ? (result.entry?.value ?? null) : result.kind)),
      ['set', 'increment', '2', 'delete', null],
    )
  },
  'when a condition does not hold, else is done': async (room) => {
    await room.set('k', 1)
    const request = { if: [room.if('k', { value: '2' })], then: [room.setting('k', 3)], else: [room.reading('k')] }
    const { succeeded, results } = await room.txn(request)
    equal(succeeded, false)
    deepStrictEqual(
      results.map((result) => result.kind === 'get' && result.entry?.value),
      ['1'],
    )
  },
  'all conditions have to hold': async (room) => {
    await room.set('a', 1)
    const both = [room.if('a', { exists: true }), room.if('b', { exists: true })]
    equal((await room.txn({ if: both })).succeeded, false)
    await room.set('b', 1)
    equal((await room.txn({ if: both })).succeeded, true)
  },
  'values are compared as JSON, not as text': async (room) => {
    await room.set('k', { a: 1, b: [2] })
    equal((await room.txn({ if: [room.if('k', { value: '{ "b": [2], "a": 1 }' })] })).succeeded, true)
    equal((await room.txn({ if: [room.if('k', { value: '{"a":1}' })] })).succeeded, false)
  },
  'a request id is done once, also by many at once': async (room) => {
    const request = { then: [room.adding('k')], requestId: room.key('r') }
    const answers = await Promise.all(Array.from({ length: 10 }, () => room.txn(request)))
    equal(await room.value('k'), 1)
    for (const answer of answers) deepStrictEqual(answer, answers[0])
  },
  'a request id is forgotten after a day': async (room, { clock }) => {
    const request = { then: [room.adding('k')], requestId: room.key('r') }
    await room.txn(request)
    clock.pass(REMEMBERED_MS)
    await room.txn(request)
    equal(await room.value('k'), 2)
  },
  'many entries are changed at once': async (room) => {
    const names = Array.from({ length: 500 }, (_, at) => `k${String(at).padStart(3, '0')}`)
    await room.txn({ then: names.map((name) => room.setting(name, name)) })
    deepStrictEqual(await room.names(), names)
    await room.txn({ then: names.map((name) => room.deleting(name)) })
    deepStrictEqual(await room.names(), [])
  },
  'swaps of two entries at once lose nothing': async (room) => {
    await room.txn({ then: [room.setting('a', 100), room.setting('b', 0)] })
    const moved = Array.from({ length: 40 }, () =>
      room.txn({ then: [room.adding('a', -1n, 0n), room.adding('b', 1n)] }),
    )
    await Promise.all(moved)
    deepStrictEqual([await room.value('a'), await room.value('b')], [60, 40])
  },
}

const WATCHES: Cases = {
  'a watch is told of each commit once, in order': async (room) => {
    const seen = collect(room, 4)
    await room.set('a', 1)
    await room.txn({ then: [room.setting('b', 2), room.setting('c', 3)] })
    await room.delete('a')
    deepStrictEqual(await seen, [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
      ['a', undefined],
    ])
  },
  'a watch goes on behind a revision': async (room) => {
    await room.set('a', 1)
    const { revision } = await room.set('b', 2)
    await room.set('c', 3)
    deepStrictEqual(await collect(room, 1, revision), [['c', '3']])
  },
  'what a watch tells of can be read': async (room) => {
    const ended = new AbortController()
    const watching = (async () => {
      for await (const { changes } of room.state.watch(room.prefix, undefined, ended.signal)) {
        for (const { value } of changes) {
          ok(Number((await room.get('k'))?.value) >= Number(value))
          if (value === '19') return
        }
      }
    })()
    for (let at = 0; at < 20; at++) await room.set('k', at)
    await watching
    ended.abort()
  },
  'revisions grow by one with each commit that changes something': async (room) => {
    // So that nothing else is left to change.
    await room.state.sweep()
    const { revision } = await room.set('a', 1)
    await room.get('a')
    await room.delete('b')
    equal((await room.set('b', 1)).revision, revision + 1)
  },
}

/** The first changes below the room's prefix. */
async function collect(room: Room, count: number, from?: number): Promise<[string, string | undefined][]> {
  const seen: [string, string | undefined][] = []
  const watch = room.state.watch(room.prefix, from, new AbortController().signal)
  for await (const { changes } of watch) {
    for (const { key, value } of changes) seen.push([key.slice(room.prefix.length), value])
    if (seen.length >= count) break
  }
  return seen
}

const RESTARTS: Cases = {
  'entries, versions and counts outlive a restart': async (room, bench) => {
    await room.set('k', { a: 1 })
    const entry = await room.get('k')
    const { entries, bytes } = await room.state.info()
    const later = await bench.restart(room)
    deepStrictEqual(await later.get('k'), entry)
    const info = await later.state.info()
    deepStrictEqual([info.entries, info.bytes], [entries, bytes])
  },
  'revisions do not go back over a restart': async (room, bench) => {
    const { revision } = await room.set('k', 1)
    await room.delete('k')
    const later = await bench.restart(room)
    ok((await later.set('k', 1)).revision > revision + 1)
  },
  'a request id is remembered over a restart': async (room, bench) => {
    const request = { then: [room.adding('k')], requestId: room.key('r') }
    const first = await room.txn(request)
    const later = await bench.restart(room)
    deepStrictEqual(await later.txn(request), first)
    equal(await later.value('k'), 1)
  },
  'over a restart a time to live goes on by the wall clock': async (room, bench) => {
    await room.set('k', 1, { ttlMs: 1000 })
    await room.set('l', 1, { ttlMs: 100_000 })
    bench.clock.pass(400)
    let later = await bench.restart(room)
    bench.clock.pass(599)
    equal(await later.value('k'), 1)
    bench.clock.pass(1)
    equal(await later.get('k'), undefined)
    bench.clock.wallMs += 99_000
    later = await bench.restart(later)
    equal(await later.get('l'), undefined)
  },
  'over a restart with a clock that was set back, nothing lives longer than its whole time': async (room, bench) => {
    await room.set('k', 1, { ttlMs: 1000 })
    bench.clock.wallMs -= 3_600_000
    const later = await bench.restart(room)
    bench.clock.ms += 1000
    equal(await later.get('k'), undefined)
    bench.clock.wallMs += 3_601_000
  },
  'what was deleted or has expired stays away over a restart': async (room, bench) => {
    await room.set('a', 1)
    await room.delete('a')
    await room.set('b', 1, { ttlMs: 10 })
    bench.clock.pass(10)
    const later = await bench.restart(room)
    deepStrictEqual(await later.names(), [])
    await later.state.sweep()
    deepStrictEqual(await later.names(), [])
  },
}
