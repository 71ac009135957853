import type { Test } from 'tap'
import {
  decodeRun,
  encodeRun,
  verifyRun,
  type ApplyOutcome,
  type ReplicaPiece,
  type Store,
  VerifiedRun,
} from '../../storage/index.js'
import { openTestStore, readAll, until, type OpenedStore } from './store.js'
import { temporaryDirectory } from './temporary-directory.js'

export const TOPIC = 'test'

/** Gives a store a piece of another one, through the bytes that would travel. */
export async function apply(to: Store, piece: ReplicaPiece): Promise<ApplyOutcome> {
  if (piece.kind === 'pruned') throw new Error(`nothing to apply before offset ${String(piece.firstOffset)}`)
  if (piece.kind === 'block') return to.replicas.applyBlock(piece.bytes)
  const run = await decodeRun(await encodeRun(piece.run))
  if (run === undefined) throw new Error('a run does not survive its bytes')
  const verified = await verifyRun(TOPIC, run, Date.now() * 1000)
  return verified instanceof VerifiedRun ? to.replicas.applyRun(verified) : verified
}

/** Brings one stream as far as the other store has it; returns what became of each piece. */
export async function pullStream(from: Store, to: Store, stream: string, maxBytes = 2000): Promise<ApplyOutcome[]> {
  const outcomes: ApplyOutcome[] = []
  const head = await from.replicas.signHead(stream)
  if (head !== undefined) await to.replicas.saveHead(head)
  let next = to.replicas.status(stream)?.nextOffset ?? 0
  for (;;) {
    let piece = await from.replicas.read(stream, next, maxBytes)
    if (piece?.kind === 'pruned') piece = await from.replicas.read(stream, piece.firstOffset, maxBytes)
    if (piece === undefined || piece.kind === 'pruned') return outcomes
    const outcome = await apply(to, piece)
    outcomes.push(outcome)
    if (outcome.kind === 'unsealed') {
      const seals = await from.replicas.readSeals(stream, outcome.from, 100)
      if (!(await to.replicas.applySeals(seals)).some(({ kind }) => kind === 'applied')) return outcomes
      continue
    }
    if (outcome.kind !== 'applied') return outcomes
    next = outcome.nextOffset
  }
}

/** Brings all streams as far as the other store has them, block signatures too. */
export async function pull(from: Store, to: Store, maxBytes = 2000): Promise<ApplyOutcome[]> {
  const outcomes: ApplyOutcome[] = []
  for (const { stream } of from.replicas.list()) {
    if (stream.startsWith(to.nodeId) && to.replicas.epoch === 0) continue
    const { head } = from.replicas.status(stream) ?? {}
    if (head !== undefined) await to.replicas.saveHead(head)
    outcomes.push(...(await pullStream(from, to, stream, maxBytes)))
    const unsigned = to.replicas.status(stream)?.unsignedFrom
    if (unsigned !== undefined) await to.replicas.applySeals(await from.replicas.readSeals(stream, unsigned, 1000))
  }
  return outcomes
}

/** Small, so that there are many. */
export const BLOCK = { maxEvents: 8, maxBytes: 500 }
export const NAMES = ['default', 'x', 'y']

/** A store with small blocks and some names, closed with the test. */
export async function openReplica(t: Test, settings = {}): Promise<OpenedStore> {
  const opened = await openTestStore(temporaryDirectory(t), { block: BLOCK, ...settings })
  t.teardown(() => opened.close())
  await opened.store.registerStreams(NAMES)
  return opened
}

/** Waits until of own streams everything is sealed and pruned that can be. */
export async function settle({ store }: OpenedStore): Promise<void> {
  await until(async () => {
    const own = (await store.streams()).filter((each) => store.replicas.status(each.stream)?.own === true)
    return own.every(({ tailEvents, nextPrune }) => tailEvents < BLOCK.maxEvents && nextPrune.blocks === 0)
  })
}

/** All that must be equal where everything has arrived. */
export async function contentOf({ store }: OpenedStore) {
  const streams = []
  for (const { stream, firstOffset, nextOffset, hash } of store.replicas.list()) {
    const seals = await store.replicas.readSeals(stream, 0, 10_000)
    const blocks = seals.map(({ firstOffset, nextOffset, signature }) => {
      return [firstOffset, nextOffset, Buffer.from(signature).toString('hex')]
    })
    streams.push({ stream, firstOffset, nextOffset, hash: hash.toString('hex'), blocks })
  }
  streams.sort((a, b) => (a.stream < b.stream ? -1 : 1))
  return { streams, events: await readAll(store), reversed: await readAll(store, 'desc') }
}

/** Exchanges all until the stores are equal. */
export async function converge(stores: readonly OpenedStore[]): Promise<void> {
  await until(async () => {
    for (const from of stores) {
      await settle(from)
      for (const to of stores) if (from !== to) await pull(from.store, to.store)
    }
    const contents = await Promise.all(stores.map(contentOf))
    return contents.every((each) => JSON.stringify(each) === JSON.stringify(contents[0]))
  })
}

/** Replicas seal and prune in the background. */
export async function sameInTheEnd(t: Test, one: OpenedStore, other: OpenedStore, message = 'equal'): Promise<void> {
  const isEqual = async () => JSON.stringify(await contentOf(one)) === JSON.stringify(await contentOf(other))
  await until(isEqual).catch(() => undefined)
  t.same(await contentOf(one), await contentOf(other), message)
}
