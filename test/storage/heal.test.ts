import { cp } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { streamIdOf } from '../../core/index.js'
import { CorruptRecordError, KEEP_EVERYTHING, type CheckLine, type Store } from '../../storage/index.js'
import { spoilBlocks, type Spoil } from '../support/block-damage.js'
import { BLOCK, NAMES, openReplica, pull, settle } from '../support/replica.js'
import { event, openTestStore, publish, readAll, until, type OpenedStore } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const EVENTS = 40

/** Two stores with the same events, of which one is opened anew after some of its blocks were spoiled. */
async function openSpoiled(
  t: Test,
  whose: 'own' | 'foreign',
  chosen: (block: number, part: number) => Spoil | undefined,
): Promise<{ readonly whole: OpenedStore; readonly spoiled: OpenedStore; readonly path: string }> {
  const path = temporaryDirectory(t)
  let spoiled = await openTestStore(path, { block: BLOCK })
  await spoiled.store.registerStreams(NAMES)
  const whole = await openReplica(t)
  const [from, to] = whose === 'own' ? [spoiled, whole] : [whole, spoiled]
  const events = Array.from({ length: EVENTS }, (_, at) => event({ at }, ['a', `n:${String(at)}`]))
  for (let at = 0; at < EVENTS; at += 5) await publish(from.store, events.slice(at, at + 5))
  await settle(from)
  await pull(from.store, to.store)
  const stream = streamIdOf(from.store.nodeId, 0)
  await until(() => to.store.replicas.status(stream)?.unsignedFrom === undefined)
  await spoiled.close()
  t.ok((await spoilBlocks(path, 'test', chosen)) > 0)
  spoiled = await openTestStore(path, { block: BLOCK })
  t.teardown(() => spoiled.close())
  return { whole, spoiled, path }
}

/** Brings all damaged blocks that are known of from another store. */
async function heal(from: Store, to: Store): Promise<readonly string[]> {
  const outcomes: string[] = []
  for (const { stream, offset } of to.replicas.damagedBlocks()) {
    const piece = await from.replicas.read(stream, offset, 1)
    if (piece?.kind === 'block') outcomes.push((await to.replicas.healBlock(piece.bytes)).kind)
  }
  return outcomes
}

async function findings(store: Store): Promise<readonly CheckLine[]> {
  const lines: CheckLine[] = []
  for await (const line of store.check(new AbortController().signal)) lines.push(line)
  return lines.filter(({ type }) => type === 'damage' || type === 'note')
}

for (const whose of ['own', 'foreign'] as const) {
  for (const spoil of ['flip', 'empty', 'delete'] as const) {
    t.test(`a block of ${whose} events is replaced: ${spoil}`, async (t) => {
      for (const part of [0, 1, 2]) {
        const { whole, spoiled, path } = await openSpoiled(t, whose, (block, at) =>
          block === 1 && at === part ? spoil : undefined,
        )
        const selection = { kind: 'tags', anyOf: new Set(['n:9', 'n:30']) } as const
        await t.rejects(readAll(spoiled.store, 'asc', part === 1 ? selection : { kind: 'all' }), CorruptRecordError)
        t.equal(spoiled.store.problems()[0]?.kind, 'corrupt')
        t.match(spoiled.store.health.problems[0], /a node of the swarm that has it gives it back/)
        t.equal(spoiled.store.health.writable, true, 'all else goes on')
        t.same(await heal(whole.store, spoiled.store), ['healed'])
        t.same(spoiled.store.health, { writable: true, problems: [] })
        t.same(spoiled.store.replicas.damagedBlocks(), [])
        const expected = await readAll(whole.store)
        t.equal(expected.length, EVENTS)
        t.same(await readAll(spoiled.store), expected)
        t.same(await readAll(spoiled.store, 'desc'), expected.toReversed())
        t.equal((await readAll(spoiled.store, 'asc', selection)).length, 2)
        t.same(await findings(spoiled.store), [], 'sums are right and nothing is left over')
        t.equal(spoiled.store.metrics().healedBlocks, 1)
        await spoiled.close()
        const again = await openTestStore(path, { block: BLOCK })
        t.same(await readAll(again.store), expected)
        t.same(await findings(again.store), [])
        await again.close()
      }
    })
  }
}

t.test('what a check finds is known, though nobody has read it, and all of it is replaced', async (t) => {
  const { whole, spoiled } = await openSpoiled(t, 'foreign', (_, part) => (part === 2 ? 'flip' : undefined))
  t.same(spoiled.store.replicas.damagedBlocks(), [])
  const found: number[] = []
  spoiled.store.replicas.watch({ damaged: ({ offset }) => found.push(offset) })
  const before = (await findings(spoiled.store)).length
  t.equal(before, EVENTS / BLOCK.maxEvents)
  t.equal(found.length, before)
  t.same(await heal(whole.store, spoiled.store), Array(before).fill('healed'))
  t.same(await findings(spoiled.store), [])
  t.same(await readAll(spoiled.store), await readAll(whole.store))
})

t.test('a peer that asks for a damaged block makes it known', async (t) => {
  const { spoiled } = await openSpoiled(t, 'own', (block, part) => (block === 0 && part === 2 ? 'flip' : undefined))
  const stream = streamIdOf(spoiled.store.nodeId, 0)
  await t.rejects(spoiled.store.replicas.read(stream, 0, 1), CorruptRecordError)
  t.same(spoiled.store.replicas.damagedBlocks(), [{ stream, offset: 0 }])
})

t.test('only the very block that was here takes its place', async (t) => {
  const { whole, spoiled } = await openSpoiled(t, 'foreign', (block, part) =>
    block === 1 && part === 2 ? 'flip' : undefined,
  )
  await t.rejects(readAll(spoiled.store), CorruptRecordError)
  const stream = streamIdOf(whole.store.nodeId, 0)
  const read = async (store: Store, from: number): Promise<Buffer> => {
    const piece = await store.replicas.read(stream, from, 1)
    return piece?.kind === 'block' ? Buffer.from(piece.bytes) : Buffer.alloc(0)
  }
  const right = await read(whole.store, 8)
  for (const at of [0, 40, right.length >> 1, right.length - 5]) {
    const forged = Buffer.from(right)
    forged[at] = (forged[at] ?? 0) ^ 1
    t.equal((await spoiled.store.replicas.healBlock(forged)).kind, 'malformed', `byte ${String(at)}`)
  }
  t.equal(
    (await spoiled.store.replicas.healBlock(await read(whole.store, 16))).kind,
    'whole',
    'its neighbour is in order',
  )
  t.equal(spoiled.store.replicas.damagedBlocks().length, 1)
  const before = await findings(spoiled.store)
  t.equal(before.length, 1, 'nothing has changed')
  t.equal((await spoiled.store.replicas.healBlock(right)).kind, 'healed')
  t.equal((await spoiled.store.replicas.healBlock(right)).kind, 'whole', 'once is enough')
})

t.test('a block that its owner would have to have signed twice does not take the place of the first', async (t) => {
  const path = temporaryDirectory(t)
  const owner = await openTestStore(path, { block: BLOCK })
  await publish(owner.store, [event('before')])
  const stream = streamIdOf(owner.store.nodeId, 0)
  await owner.close()
  const copy = temporaryDirectory(t)
  await cp(path, copy, { recursive: true })
  const [one, other] = [await openTestStore(path, { block: BLOCK }), await openTestStore(copy, { block: BLOCK })]
  t.teardown(() => other.close())
  for (let at = 0; at < 20; at++) {
    await publish(one.store, [event({ one: at })])
    await publish(other.store, [event({ other: at })])
  }
  await settle(one)
  await settle(other)
  await one.close()
  await spoilBlocks(path, 'test', (block, part) => (block === 0 && part === 2 ? 'flip' : undefined))
  const again = await openTestStore(path, { block: BLOCK })
  t.teardown(() => again.close())
  await t.rejects(readAll(again.store), CorruptRecordError)
  const piece = await other.store.replicas.read(stream, 0, 1)
  t.equal(piece?.kind === 'block' ? (await again.store.replicas.healBlock(piece.bytes)).kind : '', 'other')
  t.equal(again.store.replicas.damagedBlocks().length, 1, 'it is still missing')
})

t.test('a damaged block that is pruned is a problem no more', async (t) => {
  const { spoiled } = await openSpoiled(t, 'own', (block, part) => (block === 0 && part === 2 ? 'flip' : undefined))
  await t.rejects(readAll(spoiled.store), CorruptRecordError)
  t.equal(spoiled.store.problems().length, 1)
  spoiled.store.setRetention(new Map([['default', { ...KEEP_EVERYTHING, maxEvents: 16 }]]))
  await until(() => spoiled.store.problems().length === 0)
  t.same(spoiled.store.replicas.damagedBlocks(), [])
  t.ok((await readAll(spoiled.store)).length >= 16)
})
