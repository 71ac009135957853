import { cp } from 'node:fs/promises'
import t, { type Test } from 'tap'
import { streamIdOf, type StreamId } from '../../core/index.js'
import {
  KEEP_EVERYTHING,
  type ForkProof,
  type SignedHead,
  type SignedStatement,
  type Store,
} from '../../storage/index.js'
import { blockSigningBytes } from '../../storage/block-header.js'
import { decodeTransfer } from '../../storage/block-transfer.js'
import { contradictionBetween, faultOfStatement, readStatement } from '../../storage/owner-statement.js'
import { headSigningBytes } from '../../storage/signed-head.js'
import { Forger } from '../support/forgery.js'
import { apply, BLOCK, openReplica, pull, settle, TOPIC } from '../support/replica.js'
import { event, openTestStore, publish, readAll, until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const NOW = Date.now() * 1000

/** Two nodes with one key and some events in common. */
async function twins(t: Test, common: number) {
  const paths = [temporaryDirectory(t), temporaryDirectory(t)] as const
  const first = await openTestStore(paths[0], { block: BLOCK })
  for (let at = 0; at < common; at++) await publish(first.store, [event({ common: at })])
  await first.close()
  await cp(paths[0], paths[1], { recursive: true })
  const one = await openTestStore(paths[0], { block: BLOCK })
  const other = await openTestStore(paths[1], { block: BLOCK })
  t.teardown(() => Promise.all([one.close(), other.close()]))
  return { one, other, stream: streamIdOf(one.store.nodeId, 0) }
}

/** One commit each. */
async function publishEach(store: Store, count: number, who: string): Promise<void> {
  for (let at = 0; at < count; at++) await publish(store, [event({ who, at })])
}

/** A witness that holds one history and hears of the other. */
async function witnessed(t: Test, one: Store, other: Store, stream: StreamId): Promise<ForkProof> {
  const { store } = await openReplica(t)
  await pull(one, store)
  await store.replicas.saveHead((await other.replicas.signHead(stream))!)
  await pull(other, store)
  const proof = store.replicas.status(stream)?.frozen
  if (proof === undefined) throw new Error('the fork is not found')
  return proof
}

function statementOf(head: SignedHead): SignedStatement {
  return { bytes: headSigningBytes(TOPIC, head), signature: head.signature }
}

/** All that the owner of a stream gives to others at this moment. */
async function statementsOf(store: Store, stream: StreamId): Promise<SignedStatement[]> {
  const statements: SignedStatement[] = []
  const head = await store.replicas.signHead(stream)
  if (head !== undefined) statements.push(statementOf(head))
  const { firstOffset, nextOffset } = store.replicas.status(stream)!
  for (let offset = firstOffset; offset < nextOffset; offset++) {
    const piece = await store.replicas.read(stream, offset, 1)
    if (piece?.kind === 'run') statements.push(statementOf(piece.run.head))
    if (piece?.kind === 'block') {
      const { header } = decodeTransfer(piece.bytes)!
      statements.push({ bytes: blockSigningBytes(TOPIC, header), signature: header.signature })
    }
  }
  return statements
}

t.test('nothing that an honest owner ever signs contradicts anything else that it signs', async (t) => {
  const { store } = await openReplica(t)
  const stream = streamIdOf(store.nodeId, 0)
  const all: SignedStatement[] = []
  for (let round = 0; round < 25; round++) {
    const events = Array.from({ length: 1 + (round % 4) }, (_, at) => event({ round, at }))
    await publish(store, events)
    if (round === 15) store.setRetention(new Map([['default', { ...KEEP_EVERYTHING, maxEvents: 12 }]]))
    if (round === 20) {
      await settle({ store } as Parameters<typeof settle>[0])
      await store.replicas.beginEpoch()
      await store.replicas.signPast()
      const { head } = store.replicas.status(stream)!
      all.push(statementOf(head!))
    }
    if (round > 20) break
    all.push(...(await statementsOf(store, stream)))
  }
  const read = all.map((statement) => readStatement(TOPIC, statement)!)
  t.ok(read.some(({ kind }) => kind === 'block') && read.some(({ kind }) => kind === 'head'))
  const faults = read.map((statement) => faultOfStatement(TOPIC, statement, NOW))
  t.same([...new Set(faults)], [undefined])
  const found = read.flatMap((one) => read.flatMap((other) => contradictionBetween(one, other) ?? []))
  t.same(found, [])
})

t.test('what one has found out stops the stream for all who hear of it, its owner too', async (t) => {
  for (const [ours, theirs] of [
    [1, 1],
    [12, 12],
    [1, 12],
    [12, 3],
  ] as const) {
    const name = `${String(ours)} and ${String(theirs)} events`
    const { one, other, stream } = await twins(t, 3)
    await publishEach(one.store, ours, 'one')
    await publishEach(other.store, theirs, 'other')
    for (const { store } of [one, other]) await settle({ store } as Parameters<typeof settle>[0])
    const { statements } = await witnessed(t, one.store, other.store, stream)
    t.equal(statements.length, 2)
    for (const from of [one, other]) {
      const { store } = await openReplica(t)
      await pull(from.store, store)
      const found: ForkProof[] = []
      store.replicas.watch({ frozen: (proof) => found.push(proof) })
      const outcome = await store.replicas.takeFork(statements)
      // Where what is held is too short to contradict anything, the rest shows it.
      if (outcome.kind === 'unproven') await pull(from === one ? other.store : one.store, store)
      else t.equal(outcome.kind, 'fork', name)
      t.equal(found.length, 1, name)
      t.match(await store.replicas.takeFork(statements), { kind: 'frozen' })
      t.equal(found.length, 1, 'and that is told once')
      t.same(
        store.replicas.forks().map((proof) => proof.stream),
        [stream],
      )
    }
    const newest = [await one.store.replicas.signHead(stream), await other.store.replicas.signHead(stream)]
    for (const { store } of [one, other]) {
      const outcome = await store.replicas.takeFork(statements)
      if (outcome.kind === 'unproven') for (const head of newest) await store.replicas.saveHead(head!)
      t.equal(store.health.writable, false, name)
      t.match(store.health.problems, [/key is in use elsewhere|older backup/])
      await t.rejects(publish(store, [event('no')]), { code: 'ERR_STORE_READ_ONLY' })
    }
  }
})

t.test(
  'who holds nothing believes two statements that contradict each other, and still takes what lies before',
  async (t) => {
    const { one, other, stream } = await twins(t, 20)
    for (const [{ store }, who] of [
      [one, 'one'],
      [other, 'other'],
    ] as const) {
      await publishEach(store, 1, who)
    }
    const { statements, offset } = await witnessed(t, one.store, other.store, stream)
    t.equal(offset, 21)
    const late = await openReplica(t)
    t.match(await late.store.replicas.takeFork(statements.toReversed()), { kind: 'fork', proof: { offset: 21 } })
    t.match(late.store.health, { writable: true, problems: [/two histories/] })
    await pull(one.store, late.store)
    t.equal((await readAll(late.store)).length, 21, 'what is the same in both is not given up')
    await publishEach(one.store, 3, 'one')
    await pull(one.store, late.store)
    t.equal((await readAll(late.store)).length, 21)
    const later = await openReplica(t)
    await later.store.replicas.takeFork(statements)
    const path = later.directory.path
    await later.close()
    const again = await openTestStore(path)
    t.teardown(() => again.close())
    t.match(again.store.replicas.forks(), [{ stream, offset: 21, statements: [{}, {}] }], 'nor is it forgotten')
    t.match(again.store.health.problems, [/two histories/])
  },
)

t.test('a frozen stream stops where its histories part, though that is earlier than where it showed', async (t) => {
  const { one, other, stream } = await twins(t, 4)
  await publishEach(one.store, 3, 'one')
  await publishEach(other.store, 3, 'other')
  const { statements } = await witnessed(t, one.store, other.store, stream)
  const late = await openReplica(t)
  const run = await one.store.replicas.read(stream, 4, 1)
  await pull(one.store, late.store, 1).catch(() => undefined)
  t.ok(run)
  await late.store.replicas.takeFork(statements)
  const { frozen, nextOffset } = late.store.replicas.status(stream)!
  t.ok(frozen!.offset <= nextOffset)
  const piece = await other.store.replicas.read(stream, 0, 5000)
  t.match(await apply(late.store, piece!), { kind: 'frozen' })
})

t.test('what proves nothing stops nothing', async (t) => {
  const { one, stream } = await twins(t, 20)
  const { store } = await openReplica(t)
  await settle({ store: one.store } as Parameters<typeof settle>[0])
  await pull(one.store, store)
  const statements = await statementsOf(one.store, stream)
  const [first, second] = statements as [SignedStatement, SignedStatement]
  const { replicas } = store
  for (const pair of [
    [first],
    [second],
    [first, second],
    [second, first],
    [first, first],
    [statements.at(-1)!, first],
  ]) {
    t.match(await replicas.takeFork(pair), { kind: 'unproven' })
  }
  const forger = new Forger(Buffer.alloc(32, 7), TOPIC)
  const stranger = statementOf(await forger.head({ nextOffset: 3 }))
  const otherTopic = new Forger(Buffer.alloc(32, 7), 'other')
  const elsewhere = await otherTopic.head({ nextOffset: 3, lamport: 9 })
  const wrong = { bytes: first.bytes, signature: second.signature }
  const changed = { ...first, bytes: Buffer.concat([first.bytes, Buffer.alloc(1)]) }
  const cut = { ...first, bytes: first.bytes.subarray(0, -1) }
  const unsigned = { bytes: headSigningBytes('other', elsewhere), signature: elsewhere.signature }
  const future = statementOf(await forger.head({ nextOffset: 3, lamport: 2 ** 52 }))
  for (const bad of [
    [],
    [wrong],
    [first, wrong],
    [changed],
    [cut],
    [first, stranger],
    [unsigned],
    [future],
    [{ bytes: Buffer.alloc(0), signature: first.signature }],
  ]) {
    t.match(await replicas.takeFork(bad), { kind: 'malformed' })
  }
  t.same(replicas.forks(), [])
  t.same(store.health, { writable: true, problems: [] })
  await until(() => replicas.status(stream)!.nextOffset === 20)
})
