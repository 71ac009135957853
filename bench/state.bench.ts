import { join } from 'node:path'
import { residentBytes } from '../test/support/node-process.js'
import type { Bench, BenchContext } from './context.js'
import { median, percentile, time, type Measurement } from './measure.js'
import { etcdStore } from './stores/etcd-store.js'
import { millraceStore } from './stores/millrace-store.js'
import { redisStore } from './stores/redis-store.js'
import type { Changer, StateStore, StoreSession } from './stores/store.js'

const STORES: readonly StateStore[] = [
  millraceStore(),
  millraceStore('millrace sync os', 'storage: { sync: os }\n'),
  redisStore('always'),
  redisStore('everysec'),
  etcdStore,
]

const CLIENTS = [1, 8, 32] as const
/** Times that a lock goes from one client to another, in one run. */
const HAND_OVERS = 200
/** Keys are as many as events in other parts. */
const MANY = new Intl.NumberFormat('en')

/** One winner at a time: comparing and setting, handing a lock over, and a million keys. All systems take turns. */
export const bench: Bench = {
  name: 'state',
  async run(context) {
    const sessions = new Map<string, StoreSession>()
    const stores = await wanted(context)
    try {
      for (const store of stores) sessions.set(store.name, await store.start(placeOf(context, store)))
      for (const clients of CLIENTS) await measureChanges(context, sessions, clients)
      await measureLocks(context, sessions)
    } finally {
      for (const session of sessions.values()) await session.stop()
    }
    for (const store of stores) await measureMany(context, store)
  },
}

async function wanted(context: BenchContext): Promise<readonly StateStore[]> {
  const found: StateStore[] = []
  for (const store of STORES) {
    if (!context.wants(store.name)) continue
    const reason = await store.missing()
    if (reason === undefined) found.push(store)
    else context.fail(`${store.name}: ${reason}`)
  }
  return found
}

function placeOf({ directory }: BenchContext, { name }: StateStore, more = ''): string {
  return join(directory, `${name.replaceAll(' ', '-')}${more}`, 'data')
}

/** Each client changes a key of its own again and again, the next time when it was told that it is done. */
async function measureChanges(
  context: BenchContext,
  sessions: ReadonlyMap<string, StoreSession>,
  clients: number,
): Promise<void> {
  const rates = new Figures()
  const medians = new Figures()
  const tails = new Figures()
  for (let run = 0; run < context.runs; run++) {
    for (const [name, session] of sessions) {
      const keys = Array.from(
        { length: clients },
        (_, client) => `cas/${String(clients)}-${String(run)}-${String(client)}`,
      )
      const changers = await Promise.all(keys.map((key) => session.changer(key)))
      const { perSecond, tookMs } = await changeFor(changers, context.seconds)
      for (const changer of changers) changer.close()
      rates.add(name, perSecond)
      medians.add(name, median(tookMs))
      tails.add(name, percentile(tookMs, 0.99))
    }
  }
  const what = `compare-and-set, ${String(clients)} client${clients === 1 ? '' : 's'}`
  rates.report(context, { work: what, unit: '1/s', better: 'higher' })
  medians.report(context, { work: `${what}, p50`, unit: 'ms', better: 'lower' })
  tails.report(context, { work: `${what}, p99`, unit: 'ms', better: 'lower' })
}

async function changeFor(
  changers: readonly Changer[],
  seconds: number,
): Promise<{ readonly perSecond: number; readonly tookMs: readonly number[] }> {
  const tookMs: number[] = []
  const began = performance.now()
  const end = began + seconds * 1000
  await Promise.all(
    changers.map(async (changer) => {
      for (let sent = performance.now(); sent < end;) {
        await changer.compareAndSet()
        const now = performance.now()
        tookMs.push(now - sent)
        sent = now
      }
    }),
  )
  return { perSecond: (tookMs.length / (performance.now() - began)) * 1000, tookMs }
}

/** From the call of release by one client to the lock being held by another one, which waits for it. */
async function measureLocks(context: BenchContext, sessions: ReadonlyMap<string, StoreSession>): Promise<void> {
  const medians = new Figures()
  const tails = new Figures()
  for (let run = 0; run < context.runs; run++) {
    for (const [name, session] of sessions) {
      if (session.locker === undefined) continue
      const tookMs = await handOver(session, `lock-${String(run)}`)
      medians.add(name, median(tookMs))
      tails.add(name, percentile(tookMs, 0.99))
    }
  }
  medians.report(context, { work: 'lock to the next one who waits, p50', unit: 'ms', better: 'lower' })
  tails.report(context, { work: 'lock to the next one who waits, p99', unit: 'ms', better: 'lower' })
}

async function handOver(session: StoreSession, lock: string): Promise<readonly number[]> {
  const lockers = [await session.locker?.(lock), await session.locker?.(lock)]
  const [one, other] = lockers
  if (one === undefined || other === undefined) return []
  const tookMs: number[] = []
  await session.prepareLock?.(lock)
  await one.acquire()
  let [holder, next] = [one, other]
  for (let turn = 0; turn < HAND_OVERS; turn++) {
    const acquired = next.acquire()
    // Until it surely waits.
    await new Promise((resolve) => setTimeout(resolve, 3))
    const began = performance.now()
    const released = holder.release()
    await acquired
    tookMs.push(performance.now() - began)
    await released
    ;[holder, next] = [next, holder]
  }
  await holder.release()
  one.close()
  other.close()
  return tookMs
}

/** What many keys cost: to make them, to start with them, and to have them. */
async function measureMany(context: BenchContext, store: StateStore): Promise<void> {
  const directory = placeOf(context, store, '-many')
  const many = `${MANY.format(context.events)} keys`
  const report = (work: string, unit: string, values: readonly number[]): void => {
    context.report({ work, system: store.name, unit, better: 'lower', values })
  }
  try {
    const filled = await store.start(directory)
    report(`${many}: made`, 's', [(await time(() => filled.fill(context.events))) / 1000])
    await filled.stop()
    const starts: number[] = []
    const memories: number[] = []
    for (let run = 0; run < context.runs; run++) {
      const began = performance.now()
      const session = await store.start(directory)
      await session.firstAnswer()
      starts.push(performance.now() - began)
      memories.push(residentBytes(session.pid) / 1e6)
      await session.stop()
    }
    report(`${many}: start to first answer`, 'ms', starts)
    report(`${many}: memory after start`, 'MB', memories)
  } catch (error) {
    context.fail(`${store.name}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Values of all runs, by system. */
class Figures {
  readonly #values = new Map<string, number[]>()

  add(system: string, value: number): void {
    const values = this.#values.get(system) ?? []
    values.push(value)
    this.#values.set(system, values)
  }

  report(context: BenchContext, measurement: Pick<Measurement, 'work' | 'unit' | 'better'>): void {
    for (const [system, values] of this.#values) context.report({ ...measurement, system, values })
  }
}
