import t, { type Test } from 'tap'
import { cp } from 'node:fs/promises'
import { streamIdOf, type StreamId } from '../../core/index.js'
import { KEEP_EVERYTHING, type ReplicaPiece, type SignedHead, type Store } from '../../storage/index.js'
import { Random } from '../support/random.js'
import { apply, BLOCK, NAMES, openReplica, pull, pullStream, sameInTheEnd, settle } from '../support/replica.js'
import { event, openTestStore, publish, until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** Publishes commits of four events and returns them as they were before their blocks were sealed. */
async function unsealedRuns(store: Store, stream: StreamId, from: number, to: number): Promise<ReplicaPiece[]> {
  const runs: ReplicaPiece[] = []
  for (let at = from; at < to; at += 4) {
    await publish(
      store,
      Array.from({ length: 4 }, (_, index) => event(at + index)),
    )
    const piece = await store.replicas.read(stream, at, 100_000)
    if (piece?.kind !== 'run') throw new Error('the block was sealed before it was read')
    runs.push({ kind: 'run', run: { ...piece.run, blockSignature: undefined } })
  }
  return runs
}

async function block(
  store: Store,
  stream: StreamId,
  offset: number,
): Promise<Extract<ReplicaPiece, { kind: 'block' }>> {
  await until(async () => (await store.replicas.read(stream, offset, 1))?.kind === 'block')
  const piece = await store.replicas.read(stream, offset, 1)
  if (piece?.kind !== 'block') throw new Error('it is no block')
  return piece
}

/** A store that can be closed and opened anew. */
async function openAgain(t: Test) {
  const settings = { block: BLOCK, pruneIntervalMs: 20 }
  const path = temporaryDirectory(t)
  let opened = await openTestStore(path, settings)
  t.teardown(() => opened.close())
  await opened.store.registerStreams(NAMES)
  return {
    get opened() {
      return opened
    },
    async again(): Promise<void> {
      await opened.close()
      opened = await openTestStore(path, settings)
    },
  }
}

t.test('what only a signature proves outlives a restart and is given to others', async (t) => {
  const [a, b, c] = [await openReplica(t), await openAgain(t), await openReplica(t)]
  const stream = streamIdOf(a.store.nodeId, 0)
  const runs = await unsealedRuns(a.store, stream, 0, 12)
  for (const piece of runs) t.match(await apply(b.opened.store, piece), { kind: 'applied' })
  await publish(a.store, [event(12), event(13), event(14), event(15)])
  const second = await block(a.store, stream, 12)
  t.match(await apply(b.opened.store, second), { kind: 'applied', nextOffset: 16 })
  t.equal(b.opened.store.replicas.status(stream)?.unsignedFrom, 0, 'the block before it cannot be sealed')
  await b.again()
  t.match(b.opened.store.replicas.status(stream), { nextOffset: 16, unsignedFrom: 0 })
  t.match(await b.opened.store.replicas.read(stream, 12, 1), { kind: 'block', firstOffset: 8, nextOffset: 16 })
  await pull(b.opened.store, c.store)
  t.equal(c.store.replicas.status(stream)?.nextOffset, 16, 'also when the owner is gone')
  const seals = await a.store.replicas.readSeals(stream, 0, 1)
  for (const store of [b.opened.store, c.store]) {
    t.match(await store.replicas.applySeals(seals), [{ kind: 'applied' }])
    await until(async () => (await store.replicas.readSeals(stream, 0, 10)).length === 2)
  }
  await sameInTheEnd(t, b.opened, a)
  await sameInTheEnd(t, c, a)
  await b.again()
  await sameInTheEnd(t, b.opened, a, 'and nothing is left that would be in the way')
})

t.test('a block follows one that nobody can sign any more, when that is said', async (t) => {
  const [a, b, c] = [await openReplica(t), await openAgain(t), await openReplica(t)]
  const stream = streamIdOf(a.store.nodeId, 0)
  for (const piece of await unsealedRuns(a.store, stream, 0, 8)) await apply(b.opened.store, piece)
  await unsealedRuns(a.store, stream, 8, 16)
  const { bytes } = await block(a.store, stream, 8)
  t.match(await b.opened.store.replicas.applyBlock(bytes), { kind: 'unsealed', from: 0 })
  t.match(await b.opened.store.replicas.applyBlock(bytes, true), { kind: 'applied', nextOffset: 16 })
  await b.again()
  const piece = await b.opened.store.replicas.read(stream, 8, 1)
  t.match(piece, { kind: 'block', firstOffset: 8, nextOffset: 16 })
  await pull(b.opened.store, c.store)
  t.equal(c.store.replicas.status(stream)?.nextOffset, 8)
  if (piece?.kind === 'block') t.match(await c.store.replicas.applyBlock(piece.bytes, true), { kind: 'applied' })
  for (const store of [b.opened.store, c.store]) {
    await store.replicas.applySeals(await a.store.replicas.readSeals(stream, 0, 1))
  }
  await sameInTheEnd(t, b.opened, a)
  await sameInTheEnd(t, c, a)
})

t.test('a block of another history shows behind a block without a signature', async (t) => {
  const path = temporaryDirectory(t)
  const first = await openTestStore(path, { block: BLOCK })
  const stream = streamIdOf(first.store.nodeId, 0)
  const [b, copy] = [await openReplica(t), temporaryDirectory(t)]
  for (let at = 0; at < 8; at++) await publish(first.store, [event(at)])
  await settle(first)
  await pull(first.store, b.store)
  await first.close()
  await cp(path, copy, { recursive: true })
  const [one, other] = [await openTestStore(path, { block: BLOCK }), await openTestStore(copy, { block: BLOCK })]
  t.teardown(() => Promise.all([one.close(), other.close()]))
  for (const piece of await unsealedRuns(one.store, stream, 8, 16)) await apply(b.store, piece)
  for (let at = 0; at < 20; at++) await publish(other.store, [event({ other: at })])
  const { bytes } = await block(other.store, stream, 16)
  t.match(await b.store.replicas.applyBlock(bytes), { kind: 'fork', proof: { offset: 16 } })
})

t.test('what a head beyond the replica says to be pruned is known after a restart', async (t) => {
  const [a, b] = [await openReplica(t), await openAgain(t)]
  const stream = streamIdOf(a.store.nodeId, 1)
  const fill = async (count: number) => {
    for (let at = 0; at < count; at++) await publish(a.store, [event(at, ['a'], 1)])
    await settle(a)
  }
  await fill(30)
  await pull(a.store, b.opened.store)
  a.store.setRetention(new Map([['x', { ...KEEP_EVERYTHING, maxEvents: 10 }]]))
  await until(() => (a.store.replicas.status(stream)?.firstOffset ?? 0) > 0)
  await fill(3)
  const head = (await a.store.replicas.signHead(stream))!
  t.match(head, { firstOffset: 16, nextOffset: 33 })
  t.match(await b.opened.store.replicas.saveHead(head), { kind: 'ahead' })
  await until(() => b.opened.store.replicas.status(stream)?.firstOffset === 16)
  await b.again()
  t.match(b.opened.store.replicas.status(stream), { firstOffset: 16, nextOffset: 30, head: { nextOffset: 33 } })
  await pullStream(a.store, b.opened.store, stream)
  await b.again()
  t.match(b.opened.store.replicas.status(stream), { nextOffset: 33, head: { firstOffset: 16, nextOffset: 33 } })
})

t.test('heads that reach farther never say less of what is pruned, also over restarts', async (t) => {
  const random = new Random(7)
  const a = await openAgain(t)
  const stream = streamIdOf(a.opened.store.nodeId, 0)
  const heads: SignedHead[] = []
  const keepLess = new Map([['default', { ...KEEP_EVERYTHING, maxEvents: 20 }]])
  a.opened.store.setRetention(keepLess)
  for (let step = 0; step < 150; step++) {
    const { store } = a.opened
    const count = 1 + random.below(5)
    await publish(
      store,
      Array.from({ length: count }, (_, at) => event({ step, at })),
    )
    if (random.below(3) === 0) heads.push((await store.replicas.signHead(stream))!)
    if (random.below(3) === 0) {
      const { nextOffset } = store.replicas.status(stream)!
      const piece = await store.replicas.read(stream, nextOffset - 1 - random.below(8), 1)
      if (piece?.kind === 'run') heads.push(piece.run.head)
    }
    if (random.below(4) === 0) await settle(a.opened)
    if (random.below(15) === 0) {
      await a.again()
      a.opened.store.setRetention(keepLess)
    }
  }
  t.ok(heads.some(({ firstOffset }) => firstOffset > 100))
  heads.sort((one, other) => one.nextOffset - other.nextOffset)
  let most = 0
  for (let at = 0; at < heads.length;) {
    const same = heads.slice(at).filter(({ nextOffset }) => nextOffset === heads[at]!.nextOffset)
    const begins = same.map(({ firstOffset }) => firstOffset)
    if (Math.min(...begins) < most) t.fail(`a head at ${String(heads[at]!.nextOffset)} says less than one before it`)
    most = Math.max(...begins)
    at += same.length
  }
})
