import fc from 'fast-check'
import t from 'tap'
import type { State } from '../../state/index.js'
import { HEAD_KEY } from '../../state/record-keys.js'
import { decodeHead } from '../../state/records.js'
import { event, openTestStore, type OpenedStore } from '../support/store.js'
import { append, APP, increment, openState, set, TestClock, txn, versionIs } from '../support/state.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** An entry as it must be. */
interface Expected {
  readonly value: unknown
  readonly version: number
  readonly life: Life | undefined
}

interface Life {
  readonly ttlMs: number
  readonly wallDeadlineMs: number
  /** By the monotonic clock of the present run. */
  readonly deadlineMs: number
  /** Of an earlier run: whether it is over is for the wall clock to say. */
  readonly isOld?: boolean
}

/** The newest grant of the lock, ended or not. */
interface Grant {
  readonly fence: number
  readonly ttlMs: number
  /** By the monotonic clock of the present run. */
  readonly deadlineMs: number
  /** Somebody was told that it has ended. */
  isToldEnded: boolean
}

class Model {
  grant: Grant | undefined
  readonly entries = new Map<string, Expected>()
  readonly clock: TestClock
  revision = 0
  /** Revision of the newest change of an entry; grants of locks take revisions too. */
  changed = 0
  events = 0
  /** The wall clock at the newest commit. */
  lastWallMs = 0

  constructor(clock: TestClock) {
    this.clock = clock
  }

  get(key: string): Expected | undefined {
    const entry = this.entries.get(key)
    return entry?.life !== undefined && this.clock.ms >= entry.life.deadlineMs ? undefined : entry
  }

  put(key: string, value: unknown, ttl: number | 'keep' | null): void {
    const { clock } = this
    const old = this.get(key)?.life
    const fresh = (ttlMs: number): Life => ({
      ttlMs,
      wallDeadlineMs: clock.wallMs + ttlMs,
      deadlineMs: clock.ms + ttlMs,
    })
    const life = ttl === null ? undefined : ttl === 'keep' ? old : fresh(ttl)
    this.entries.set(key, { value, version: this.revision, life })
    this.changed = this.revision
  }

  get isLocked(): boolean {
    return this.grant !== undefined && this.clock.ms < this.grant.deadlineMs
  }

  /** A grant of which somebody learns that it has ended is over for good. */
  lookAtLock(): void {
    if (this.grant !== undefined && !this.isLocked) this.grant.isToldEnded = true
  }

  /**
   * Only the wall clock knows how long the node was down, and it may be wrong. What was written in the run that stopped, and
   * had ended then, does not go on; a node that is killed can take nothing away.
   *
   * @param kept keys that are stored
   */
  restart(isCrash: boolean, kept: ReadonlySet<string>): void {
    const { clock } = this
    const wallMs = Math.max(clock.wallMs, this.lastWallMs)
    for (const [key, { life, ...entry }] of this.entries) {
      if (life === undefined) continue
      const remaining = Math.min(Math.max(life.wallDeadlineMs - wallMs, 0), life.ttlMs)
      const isOver = this.get(key) === undefined
      const isGone = isOver && !isCrash && (life.isOld !== true || !kept.has(key))
      if (isGone) this.entries.delete(key)
      else this.entries.set(key, { ...entry, life: { ...life, deadlineMs: clock.ms + remaining, isOld: true } })
    }
  }

  visible(): [string, unknown, number][] {
    return [...this.entries.keys()].sort().flatMap((key) => {
      const entry = this.get(key)
      return entry === undefined ? [] : [[key, entry.value, entry.version] as [string, unknown, number]]
    })
  }
}

interface Real {
  readonly path: string
  opened: OpenedStore
  state: State
  /** What a watch from the beginning has told. */
  readonly watched: Map<string, unknown>
  watchedTo: number
}

type Command = fc.AsyncCommand<Model, Real>

const LOCK = 'n/lock/a'

const KEYS = ['n/k/a', 'n/k/b', 'n/k/ü', 'n/k/b/c']

/** What all that is asked for at the same time is made of. */
type Step =
  | { readonly kind: 'set'; readonly key: string; readonly ttl: number | 'keep' | null }
  | { readonly kind: 'cas'; readonly key: string; readonly isCurrent: boolean }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'increment'; readonly key: string }
  | { readonly kind: 'append'; readonly key: string; readonly isCurrent: boolean }
  | { readonly kind: 'acquire'; readonly key: string; readonly ttlMs: number }
  | { readonly kind: 'extend'; readonly key: string; readonly ttlMs: number }
  | { readonly kind: 'release' | 'fenced'; readonly key: string; readonly isCurrent: boolean }

const LOCK_STEPS: ReadonlySet<string> = new Set(['acquire', 'extend', 'release', 'fenced'])

async function check(model: Model, real: Real): Promise<void> {
  const { state, opened } = real
  const head = decodeHead(await opened.store.state.get(HEAD_KEY))
  model.lastWallMs = head.wallMs
  if (head.revision !== model.revision) {
    throw new Error(`revision ${String(head.revision)}, expected ${String(model.revision)}`)
  }
  const { entries } = await state.scan({ prefix: 'n/', after: undefined, limit: 100, atRevision: undefined })
  const found = entries.map(({ key, value, version }) => [key, JSON.parse(value), version])
  same(found, model.visible(), 'a scan')
  for (const key of KEYS) {
    const entry = await state.get(key)
    same(entry?.version, model.get(key)?.version, `the version of ${key}`)
  }
  await watchUpTo(real, model.changed)
  const watched = [...real.watched.keys()].sort().filter((key) => model.get(key) !== undefined)
  same(
    watched.map((key) => [key, real.watched.get(key)]),
    model.visible().map(([key, value]) => [key, value]),
    'a watch',
  )
}

/** Goes on where the watch before has ended. */
async function watchUpTo(real: Real, revision: number): Promise<void> {
  if (real.watchedTo >= revision) return
  const gone = new AbortController()
  const changes = real.state.watch('', real.watchedTo, gone.signal)
  for await (const commit of changes) {
    if (commit.revision < real.watchedTo) throw new Error('a watch goes backwards')
    real.watchedTo = commit.revision
    for (const { key, value } of commit.changes) {
      if (value === undefined) real.watched.delete(key)
      else real.watched.set(key, JSON.parse(value))
    }
    if (commit.revision >= revision) break
  }
}

function same(found: unknown, expected: unknown, what: string): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(expected)]
  if (a !== b) throw new Error(`${what}: ${a}, expected ${b}`)
}

/** Transactions that arrive together and so share commits; each is decided as if it were alone. */
class Together implements Command {
  readonly steps: readonly Step[]
  constructor(steps: readonly Step[]) {
    this.steps = steps
  }
  check = () => true
  async run(model: Model, real: Real): Promise<void> {
    const asked = this.steps.map((step) => ask(real.state, model, step))
    for (const each of asked) await each
    await check(model, real)
  }
  toString = () => JSON.stringify(this.steps)
}

/** Changes the model at once; the promise is for what the state makes of it. */
async function ask(state: State, model: Model, step: Step): Promise<void> {
  const { key } = step
  const old = model.get(key)
  if (LOCK_STEPS.has(step.kind)) model.lookAtLock()
  switch (step.kind) {
    case 'set': {
      const value = { at: ++model.revision }
      model.put(key, value, step.ttl)
      const ttl = typeof step.ttl === 'number' ? { ttlMs: step.ttl } : step.ttl
      const expected = model.revision
      const { results } = await txn(state, { then: [set(key, value, ttl)] })
      same(results, [{ kind: 'set', version: expected }], 'a set')
      return
    }
    case 'cas': {
      const version = step.isCurrent ? (old?.version ?? 0) : (old?.version ?? 0) + 1
      const value = model.revision + 1
      if (step.isCurrent) {
        model.revision++
        model.put(key, value, null)
      }
      const { succeeded } = await txn(state, { if: [versionIs(key, version)], then: [set(key, value)] })
      same(succeeded, step.isCurrent, 'a compare-and-swap')
      return
    }
    case 'delete': {
      // What is expired goes with a revision too, as a watch has to be told of it.
      if (model.entries.has(key)) model.changed = ++model.revision
      model.entries.delete(key)
      const { results } = await txn(state, { then: [{ kind: 'delete', key }] })
      same(results, [{ kind: 'delete', deleted: old !== undefined }], 'a delete')
      return
    }
    case 'increment': {
      const count = old === undefined ? 0 : old.value
      if (typeof count !== 'number') {
        const refused = await txn(state, { then: [increment(key)] }).then(
          () => false,
          () => true,
        )
        same(refused, true, 'counting what is no number')
        return
      }
      model.revision++
      model.put(key, count + 1, null)
      const { results } = await txn(state, { then: [increment(key)] })
      same((results[0] as { value: string }).value, String(count + 1), 'an increment')
      return
    }
    case 'acquire': {
      const isFree = !model.isLocked
      if (isFree) {
        const { ttlMs } = step
        model.grant = { fence: ++model.revision, ttlMs, deadlineMs: model.clock.ms + ttlMs, isToldEnded: false }
      }
      const expected = isFree ? model.revision : 'ERR_LOCK_TIMEOUT'
      const wish = { app: APP, name: LOCK, ttlMs: step.ttlMs, mode: 'write', owner: 'x', requestId: undefined } as const
      const granted = state.locks.acquire(wish, 0, new AbortController().signal)
      same(await granted.then(({ fence }) => fence, codeOf), expected, 'an acquire')
      return
    }
    case 'extend': {
      const { isLocked, grant, clock } = model
      const fence = grant?.fence ?? 0
      if (grant !== undefined && isLocked) {
        model.grant = { ...grant, ttlMs: step.ttlMs, deadlineMs: clock.ms + step.ttlMs }
      }
      const extended = state.locks.extend({ lock: LOCK, fence }, step.ttlMs)
      same(await extended.then(() => isLocked, codeOf), isLocked ? true : 'ERR_LOCK_LOST', 'an extend')
      return
    }
    case 'release': {
      const fence = (model.grant?.fence ?? 0) - (step.isCurrent ? 0 : 1)
      const isHeld = model.isLocked && step.isCurrent
      if (isHeld) model.grant = undefined
      same(await state.locks.release({ lock: LOCK, fence }), isHeld, 'a release')
      return
    }
    case 'fenced': {
      const fence = (model.grant?.fence ?? 0) - (step.isCurrent ? 0 : 1)
      const isHeld = model.isLocked && step.isCurrent
      const value = { at: model.revision + 1 }
      if (isHeld) {
        model.revision++
        model.put(key, value, null)
      }
      const written = txn(state, { then: [set(key, value)], fencedBy: { lock: LOCK, fence } })
      same(await written.then(() => true, codeOf), isHeld ? true : 'ERR_FENCED', 'a fenced write')
      return
    }
    case 'append': {
      const last = model.events - 1
      const expected = step.isCurrent ? last : last + 1
      const value = { at: model.revision + 1 }
      if (step.isCurrent) {
        model.revision++
        model.events++
        model.put(key, value, null)
      }
      const outcome = await txn(state, {
        then: [set(key, value)],
        append: [append([event('x')], [[0, expected]])],
      }).then(
        ({ appended }) => appended.map(({ offset }) => offset),
        (error: unknown) => (error as { actual: number }).actual,
      )
      same(outcome, step.isCurrent ? [last + 1] : last, 'an append')
    }
  }
}

function codeOf(error: unknown): unknown {
  return (error as { code: unknown }).code
}

/** Keys of all entries that are stored, expired or not. */
async function keptKeys({ opened }: Real): Promise<ReadonlySet<string>> {
  const page = await opened.store.state.page({ gte: Buffer.of(0x10), lt: Buffer.of(0x11), limit: 100 })
  return new Set(page.map(([key]) => key.toString('utf8', 1)))
}

class Restart implements Command {
  readonly jumpMs: number
  readonly isCrash: boolean
  constructor(jumpMs: number, isCrash: boolean) {
    this.jumpMs = jumpMs
    this.isCrash = isCrash
  }
  check = () => true
  async run(model: Model, real: Real): Promise<void> {
    // The state can do nothing any more when its store is gone.
    if (this.isCrash) await real.opened.close()
    await real.state.close()
    await real.opened.close()
    const { grant, isLocked } = model
    model.clock.wallMs += this.jumpMs
    real.opened = await openTestStore(real.path, { sync: 'os' })
    const head = decodeHead(await real.opened.store.state.get(HEAD_KEY))
    model.lastWallMs = head.wallMs
    model.restart(this.isCrash, await keptKeys(real))
    // What is swept at the end takes a revision.
    if (!this.isCrash && head.revision > model.revision) model.revision = head.revision
    real.state = await openState(real.opened.store, model.clock)
    // A lock is held for its whole time once more, whatever the wall clock says. One that has ended may be, too, if the node
    // was killed and nobody was told of its end.
    const mayBeHeld = this.isCrash && grant?.isToldEnded === false
    const isHeld = isLocked || (mayBeHeld && (await real.state.locks.find(LOCK)) !== undefined)
    model.grant = grant && isHeld ? { ...grant, deadlineMs: model.clock.ms + grant.ttlMs } : undefined
    // All was seen; behind it may be revisions of grants, of which a watch has nothing to tell.
    real.watchedTo = real.state.revision
    await check(model, real)
  }
  toString = () => `${this.isCrash ? 'crash' : 'restart'}, jump ${String(this.jumpMs)}`
}

class Pass implements Command {
  readonly ms: number
  readonly jumpMs: number
  constructor(ms: number, jumpMs: number) {
    this.ms = ms
    this.jumpMs = jumpMs
  }
  check = () => true
  async run(model: Model, real: Real): Promise<void> {
    model.clock.pass(this.ms)
    model.clock.wallMs += this.jumpMs
    await check(model, real)
  }
  toString = () => `${String(this.ms)} ms pass, jump ${String(this.jumpMs)}`
}

class Sweep implements Command {
  check = () => true
  async run(model: Model, real: Real): Promise<void> {
    await real.state.sweep()
    const head = decodeHead(await real.opened.store.state.get(HEAD_KEY))
    if (head.revision < model.revision) throw new Error('a sweep went back')
    if (head.revision > model.revision) model.changed = head.revision
    model.revision = head.revision
    const kept = await keptKeys(real)
    for (const key of model.entries.keys())
      if (!kept.has(key)) {
        if (model.get(key) !== undefined) throw new Error(`${key} was swept too early`)
        model.entries.delete(key)
      }
    same(head.entries, kept.size, 'the number of entries')
    await check(model, real)
  }
  toString = () => 'sweep'
}

const key = fc.constantFrom(...KEYS)
const ttl = fc.oneof(fc.constant(null), fc.constant('keep' as const), fc.constantFrom(100, 1000, 60_000))
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), key, ttl }),
  fc.record({ kind: fc.constant('cas' as const), key, isCurrent: fc.boolean() }),
  fc.record({ kind: fc.constant('delete' as const), key }),
  fc.record({ kind: fc.constant('increment' as const), key }),
  fc.record({ kind: fc.constant('append' as const), key, isCurrent: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('acquire' as const, 'extend' as const), key, ttlMs: fc.constantFrom(100, 2000) }),
  fc.record({ kind: fc.constantFrom('release' as const, 'fenced' as const), key, isCurrent: fc.boolean() }),
)
const jump = fc.constantFrom(0, 0, 500, -500, 3_600_000, -3_600_000)
const commands = fc.commands(
  [
    fc.array(step, { minLength: 1, maxLength: 6 }).map((steps) => new Together(steps)),
    fc.tuple(fc.constantFrom(50, 99, 100, 2000), jump).map(([ms, jumpMs]) => new Pass(ms, jumpMs)),
    fc.tuple(jump, fc.boolean()).map(([jumpMs, isCrash]) => new Restart(jumpMs, isCrash)),
    fc.constant(new Sweep()),
  ],
  { maxCommands: 25 },
)

t.test('the state does what its model does, also over restarts and jumps of the clock', async (t) => {
  await fc.assert(
    fc.asyncProperty(commands, async (list) => {
      const clock = new TestClock()
      const path = temporaryDirectory(t)
      const opened = await openTestStore(path, { sync: 'os' })
      const state = await openState(opened.store, clock)
      const real: Real = { path, opened, state, watched: new Map(), watchedTo: 0 }
      try {
        await fc.asyncModelRun(() => ({ model: new Model(clock), real }), list)
      } finally {
        await real.state.close()
        await real.opened.close()
      }
    }),
    { numRuns: Number(process.env['MODEL_RUNS'] ?? 25) },
  )
})
