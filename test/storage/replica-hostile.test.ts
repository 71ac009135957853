import t, { type Test } from 'tap'
import { renderLineHeader, streamIdOf } from '../../core/index.js'
import { genesisHash, nextHash } from '../../storage/chain.js'
import { deflateFrame, NO_DICTIONARY } from '../../storage/frames.js'
import { deflateRawSync, constants } from 'node:zlib'
import { encodeBlock } from '../../storage/block.js'
import { encodeTransfer } from '../../storage/block-transfer.js'
import {
  decodeHead,
  decodeRun,
  encodeHead,
  encodeRun,
  Identity,
  verifyRun,
  VerifiedRun,
  type ApplyOutcome,
  type CommitRun,
  type SignedHead,
} from '../../storage/index.js'
import { parseLines } from '../../storage/line-parser.js'
import { headSigningBytes, type HeadStatement } from '../../storage/signed-head.js'
import { apply, pull, pullStream, TOPIC } from '../support/replica.js'
import { event, openTestStore, publish, readAll, until, type OpenedStore } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const NOW = 1_800_000_000_000_000
const owner = Identity.fromSeed(Buffer.alloc(32, 7))
const stream = streamIdOf(owner.nodeId, 0)

async function open(t: Test, settings = {}): Promise<OpenedStore> {
  const opened = await openTestStore(temporaryDirectory(t), { block: { maxEvents: 8, maxBytes: 500 }, ...settings })
  t.teardown(() => opened.close())
  return opened
}

interface Line {
  readonly lamport?: number
  readonly stream?: string
  readonly offset?: number
  readonly timestamp?: number
  readonly tagsJson?: string
  readonly appId?: string
  readonly payload?: string
}

function textOf(line: Line, at: number): string {
  const header = renderLineHeader({
    lamport: at,
    stream,
    offset: at,
    timestamp: 5,
    tagsJson: '["a"]',
    appId: 'com.x',
    ...line,
  })
  return `${header}${line.payload ?? '1'}}\n`
}

/** Hash over whatever the lines are: a hostile owner signs anything. */
function chain(lines: Buffer, counts: readonly number[], from: number, previousHash: Buffer): Buffer {
  let hash = previousHash
  let offset = from
  let at = 0
  for (const count of counts) {
    const starts = [at]
    for (let line = 0; line < count; line++) starts.push((at = lines.indexOf(0x0a, at) + 1))
    const part = { bytes: lines, starts: Uint32Array.from(starts), payloads: new Uint32Array(count) }
    hash = nextHash(hash, { ...part, stream, firstOffset: offset })
    offset += count
  }
  return hash
}

interface Forgery {
  readonly lines?: Buffer
  readonly counts?: readonly number[]
  readonly from?: number
  readonly previousHash?: Buffer
  readonly head?: Partial<HeadStatement>
  readonly signer?: Identity
  readonly topic?: string
}

async function sign(statement: HeadStatement, signer = owner, topic = TOPIC): Promise<SignedHead> {
  return { ...statement, signature: Buffer.from(await signer.sign(headSigningBytes(topic, statement))) }
}

/** A run that is in order, but for what is asked for. */
async function forge(drafts: readonly Line[], forgery: Forgery = {}): Promise<CommitRun> {
  const from = forgery.from ?? 0
  const lines = forgery.lines ?? Buffer.from(drafts.map((line, at) => textOf(line, from + at)).join(''))
  const counts = forgery.counts ?? [drafts.length]
  const previousHash = forgery.previousHash ?? genesisHash(stream)
  const count = counts.reduce((a, b) => a + b, 0)
  const statement = {
    stream,
    name: 'default',
    nextOffset: from + count,
    hash: chain(lines, counts, from, previousHash),
    lamport: from + count,
    firstOffset: 0,
    blockOffset: 0,
    timeMicros: 1,
    ...forgery.head,
  }
  return { from, previousHash, counts, lines, head: await sign(statement, forgery.signer, forgery.topic) }
}

const reasonOf = (outcome: ApplyOutcome | VerifiedRun) =>
  'kind' in outcome && outcome.kind === 'malformed' ? outcome.reason : 'accepted'

t.test('every way of lying about commits is refused, for its own reason', async (t) => {
  const two: Line[] = [{}, {}]
  t.equal(reasonOf(await verifyRun(TOPIC, await forge(two), NOW)), 'accepted', 'the same without a lie')
  const cases: [RegExp, readonly Line[], Forgery?][] = [
    [/signature/, two, { signer: Identity.fromSeed(Buffer.alloc(32, 8)) }],
    [/signature/, two, { topic: 'another topic' }],
    [/do not lead to its head/, two, { head: { hash: Buffer.alloc(32) } }],
    [/offsets contradict/, two, { head: { firstOffset: 3 } }],
    [/not lie in the block/, two, { head: { blockOffset: 3 } }],
    [/stream id/, two, { head: { stream: 'nobody-0' } }],
    [/stream name/, two, { head: { name: '' } }],
    [/stream name/, two, { head: { name: 'a\nb' } }],
    [/stream name/, two, { head: { name: 'a'.repeat(257) } }],
    [/does not lie in the block/, two, { head: { blockOffset: 1 } }],
    [/too many events/, two, { from: 70_000, head: { blockOffset: 0 } }],
    [/do not add up/, two, { counts: [2, 1], head: { nextOffset: 2 } }],
    [/empty commit/, two, { counts: [0, 2] }],
    [/lamports do not lead/, two, { head: { lamport: 9 } }],
    [/lamport is beyond/, [{}, { lamport: 2 ** 51 + 1 }], { head: { lamport: 2 ** 51 } }],
    [/lamport is beyond/, two, { head: { lamport: 2 ** 51 + 1 } }],
    [/lamport does not rise/, [{ lamport: 5 }, { lamport: 5 }], { head: { lamport: 6 } }],
    [/lamport does not rise/, [{ lamport: -3 }, { lamport: 5 }], { head: { lamport: 6 } }],
    [/form of an event/, [{}, { lamport: 1.5 }]],
    [/malformed number/, [{}, { timestamp: 2 ** 60 }]],
    [/form of an event/, [{ stream: streamIdOf(owner.nodeId, 1) }, {}]],
    [/offset is not the expected/, [{}, { offset: 2 }]],
    [/as many lines/, two, { lines: Buffer.from([0, 1, 2].map((at) => textOf({}, at)).join('')), counts: [2] }],
    [/cut short/, two, { lines: Buffer.from(`${textOf({}, 0)}${textOf({}, 1).slice(0, 30)}`), counts: [2] }],
    [/do not add up|cut short|as many/, two, { lines: Buffer.from(textOf({}, 0)), counts: [2] }],
    [/UTF-8/, two, { lines: Buffer.from([0, 1].map((at) => textOf({ payload: '"\xff"' }, at)).join(''), 'latin1') }],
    [/UTF-8/, two, { lines: Buffer.from([0, 1].map((at) => textOf({ tagsJson: '["\xff"]' }, at)).join(''), 'latin1') }],
    [/no JSON/, [{ payload: '{"a":}' }, {}]],
    [/no JSON/, [{ payload: '"\\ud800"' }, {}]],
    [/no JSON/, [{ payload: `${'['.repeat(1000)}${']'.repeat(1000)}` }, {}]],
    [/one form/, [{ payload: '1,"x":2' }, {}]],
    [/one form/, [{ payload: '[1, 2]' }, {}]],
    [/one form/, [{ payload: '1 ' }, {}]],
    [/no payload|no JSON/, [{ payload: '' }, {}]],
    [/tags are not/, [{ tagsJson: '["b","a"]' }, {}]],
    [/tags are not/, [{ tagsJson: '["a","a"]' }, {}]],
    [/tags are not/, [{ tagsJson: '[""]' }, {}]],
    [/tags are not/, [{ tagsJson: '["e\u0301"]' }, {}]],
    [/tags are not/, [{ tagsJson: '["\\ud800"]' }, {}]],
    [/tag list/, [{ tagsJson: '["\\u0061"]' }, {}]],
    [/tag list/, [{ tagsJson: '["a",]' }, {}]],
    [/form of an event|tag list/, [{ tagsJson: '[1]' }, {}]],
    [/app id/, [{ appId: 'Com.X' }, {}]],
    [/app id/, [{ appId: '' }, {}]],
    [/block is too large/, [{ payload: `"${'x'.repeat(2_097_152)}"` }, {}]],
    [/payload is too large/, [{ payload: `"${'x'.repeat(16 * 1024 * 1024)}"` }]],
  ]
  for (const [reason, drafts, forgery] of cases) {
    t.match(reasonOf(await verifyRun(TOPIC, await forge(drafts, forgery), NOW)), reason)
  }
  const { store } = await open(t)
  await applyForged(store, await forge(two))
  const hash = store.replicas.status(stream)!.hash
  const late = await forge([{ lamport: 1 }, {}], { from: 2, previousHash: hash })
  t.match(await applyForged(store, late), { kind: 'malformed', reason: /lamports do not rise/ })
  const big = { payload: `"${'x'.repeat(1_200_000)}"` }
  const third = await forge([big], { from: 2, previousHash: hash })
  t.match(await applyForged(store, third), { kind: 'applied' })
  const fourth = await forge([big], { from: 3, previousHash: third.head.hash })
  t.match(await applyForged(store, fourth), { kind: 'malformed', reason: /block is too large/ })
  t.equal((await readAll(store)).length, 3)
})

async function applyForged({ replicas }: OpenedStore['store'], run: CommitRun): Promise<ApplyOutcome> {
  const verified = await verifyRun(TOPIC, run, NOW)
  return verified instanceof VerifiedRun ? replicas.applyRun(verified) : verified
}

t.test('bytes that are no run, head or block are refused whatever they are', async (t) => {
  const { store } = await open(t)
  const run = await forge([{}, {}])
  const bytes = await encodeRun(run)
  const long = await encodeRun(await forge(Array.from({ length: 200 }, () => ({}))))
  t.same((await decodeRun(bytes))?.head, run.head)
  t.same(decodeHead(encodeHead(run.head)), run.head)
  for (const whole of [bytes, long]) {
    for (let length = 0; length < whole.length; length += 7) {
      const cut = await decodeRun(whole.subarray(0, length))
      if (cut !== undefined) t.not(reasonOf(await verifyRun(TOPIC, cut, NOW)), 'accepted')
    }
    for (let at = 0; at < whole.length; at++) {
      const flipped = Buffer.from(whole)
      flipped[at]! ^= 1 << (at % 8)
      const decoded = await decodeRun(flipped)
      if (decoded === undefined) continue
      const outcome = await verifyRun(TOPIC, decoded, NOW)
      // Inside of deflated bytes a bit may make no difference to what comes out.
      if (reasonOf(outcome) === 'accepted' && !decoded.lines.equals(whole === bytes ? run.lines : decoded.lines)) {
        t.fail(`a flipped bit at ${String(at)} was taken`)
      }
    }
  }
  t.equal(decodeHead(Buffer.concat([encodeHead(run.head), Buffer.of(0)])), undefined)
  for (const junk of ['', 'x', '\x01', '\x01\xff\xff\xff\xff\xff\xff\xff\x7f']) {
    t.equal(await decodeRun(Buffer.from(junk, 'latin1')), undefined)
    t.equal(decodeHead(Buffer.from(junk, 'latin1')), undefined)
    t.match(await store.replicas.applyBlock(Buffer.from(junk, 'latin1')), { kind: 'malformed' })
  }
})

t.test('a block is taken only as its owner signed it, however a relay has packed it', async (t) => {
  const [a, b] = [await open(t), await open(t)]
  for (let at = 0; at < 8; at++) await publish(a.store, [event({ at, text: 'some text' })])
  await until(() => a.store.metrics().sealedBlocks === 1)
  const own = streamIdOf(a.store.nodeId, 0)
  const piece = await a.store.replicas.read(own, 0, 1000)
  if (piece?.kind !== 'block') throw new Error('not sealed')
  for (let at = 0; at < piece.bytes.length; at++) {
    const flipped = Buffer.from(piece.bytes)
    flipped[at]! ^= 1 << (at % 8)
    const outcome = await b.store.replicas.applyBlock(flipped)
    if (outcome.kind === 'malformed') continue
    // Columns, checksum and what deflate leaves open are not looked at: they are made anew.
    t.equal(outcome.kind, outcome.kind === 'applied' ? 'applied' : 'known')
    t.same(await readAll(b.store), await readAll(a.store))
  }
  await b.store.replicas.applyBlock(piece.bytes)
  t.same(await readAll(b.store), await readAll(a.store))
})

/** A block of the hostile owner with frames packed by `pack`. */
async function forgeBlock(
  pack: (lines: ReturnType<typeof parseLines>) => { readonly data: Buffer; readonly rawLength?: number }[],
  lamport = 0,
): Promise<Buffer> {
  const text = Array.from({ length: 4 }, (_, at) =>
    textOf({ lamport: lamport + at, payload: '"the same text"' }, at),
  ).join('')
  const lines = parseLines(stream, 0, Buffer.from(text))
  const hash = nextHash(genesisHash(stream), lines)
  const datas = pack(lines)
  const perFrame = 4 / datas.length
  const frames = datas.map((packed, at) => ({
    count: perFrame,
    rawLength: (lines.starts[(at + 1) * perFrame] ?? 0) - (lines.starts[at * perFrame] ?? 0),
    ...packed,
  }))
  const block = await encodeBlock({
    topic: TOPIC,
    arrival: 0,
    previousHash: genesisHash(stream),
    parts: [{ lines, hash, frames: [] }],
    dictionary: NO_DICTIONARY,
    whole: { lines, frames },
    sign: (bytes) => owner.sign(bytes),
  })
  return encodeTransfer(block.summary, new Map(block.entries.map(({ part, value }) => [part, value])))
}

/** A block of deflate that holds the bytes as they are and is not the last one. */
function storedBlock(bytes: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt16LE(bytes.length, 1)
  head.writeUInt16LE(bytes.length ^ 0xffff, 3)
  return Buffer.concat([head, bytes])
}

t.test('frames that readers could not inflate alone are refused', async (t) => {
  const halves = (lines: ReturnType<typeof parseLines>) => [
    lines.bytes.subarray(0, lines.starts[2]),
    lines.bytes.subarray(lines.starts[2]),
  ]
  const flush = { finishFlush: constants.Z_FULL_FLUSH }
  const good = await forgeBlock((lines) =>
    [0, 2].map((from) =>
      deflateFrame({ lines, range: { from, to: from + 2 }, dictionary: NO_DICTIONARY, waiting: 'nobody' }),
    ),
  )
  const takes = async (bytes: Buffer) => {
    const { store } = await open(t)
    const outcome = await store.replicas.applyBlock(bytes)
    t.equal((await readAll(store)).length, outcome.kind === 'applied' ? 4 : 0)
    return reasonOf(outcome)
  }
  t.equal(await takes(good), 'accepted')
  const refersBack = await forgeBlock((lines) => {
    const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = halves(lines)
    return [{ data: deflateRawSync(first, flush) }, { data: deflateRawSync(second, { ...flush, dictionary: first }) }]
  })
  t.match(await takes(refersBack), /inflate alone/, 'the second refers to the first')
  const ends = await forgeBlock((lines) => [{ data: deflateRawSync(lines.bytes) }])
  t.match(await takes(ends), /inflate alone/, 'it ends the stream itself')
  const unaligned = await forgeBlock(({ bytes }) => [
    { data: deflateRawSync(bytes, { finishFlush: constants.Z_PARTIAL_FLUSH }) },
  ])
  t.match(await takes(unaligned), /inflate alone/, 'it ends between two bytes')
  const emptyBlock = Buffer.of(0x00, 0x00, 0xff, 0xff)
  const swallows = await forgeBlock(({ bytes }) => [{ data: storedBlock(Buffer.concat([bytes, emptyBlock])) }])
  t.match(await takes(swallows), /inflate alone/, 'what looks like its end is content')
  const shifted = await forgeBlock(({ bytes }) =>
    [bytes.subarray(0, 10 + bytes.length / 2), bytes.subarray(10 + bytes.length / 2)].map((half) => ({
      data: deflateRawSync(half, flush),
      rawLength: half.length,
    })),
  )
  t.match(await takes(shifted), /end where lines do/, 'the first holds half a line more or less')
  t.match(
    await takes(await forgeBlock((lines) => [{ data: deflateRawSync(lines.bytes, flush) }], 2 ** 51)),
    /lamport is beyond/,
  )
})

const SINGLES = Array.from({ length: 13 }, () => 1)

/** Two nodes with one key, which both publish. */
async function twins(
  t: Test,
  maxEvents = 8,
): Promise<{ a: OpenedStore; twin: OpenedStore; witness: OpenedStore; stream: string }> {
  const { cp } = await import('node:fs/promises')
  const paths = [temporaryDirectory(t), temporaryDirectory(t)]
  const block = { maxEvents: 8, maxBytes: 500 }
  const first = await openTestStore(paths[0]!, { block })
  await publish(first.store, [event('common')])
  await first.close()
  await cp(paths[0]!, paths[1]!, { recursive: true })
  const [a, twin] = [
    await openTestStore(paths[0]!, { block }),
    await openTestStore(paths[1]!, { block: { ...block, maxEvents } }),
  ]
  t.teardown(() => Promise.all([a.close(), twin.close()]))
  return { a, twin, witness: await open(t), stream: streamIdOf(a.store.nodeId, 0) }
}

t.test(
  'a copied key is found out by heads, commits and blocks; the stream is frozen and both proofs stay',
  async (t) => {
    const shapes: [string, boolean, readonly number[], readonly number[], RegExp][] = [
      ['other events at the same offset', false, [2], [2], /different ones/],
      ['a head inside of a commit', true, [3], [1, 2], /different ones|inside of/],
      ['a commit inside of another', true, [7, 3], [7, 2], /inside/],
      ['the same commits in other blocks', true, SINGLES, SINGLES, /two blocks|different places/],
      ['two long histories', false, [1, 1, 20, 1], [2, 20], /different|two blocks|inside/],
    ]
    for (const [name, same, ours, theirs, reason] of shapes) {
      for (const how of ['heads', 'commits'] as const) {
        const { a, twin, witness, stream } = await twins(t, ours === SINGLES ? 5 : 8)
        for (const [opened, sizes] of [
          [a, ours],
          [twin, theirs],
        ] as const) {
          for (const size of sizes)
            await publish(
              opened.store,
              Array.from({ length: size }, (_, at) => event({ at, who: same ? 'both' : opened === a })),
            )
        }
        await pull(a.store, witness.store)
        const before = await readAll(witness.store)
        const found: string[] = []
        witness.store.replicas.watch({ frozen: (proof) => found.push(proof.stream) })
        if (how === 'heads') {
          for (let offset = 1; offset < 30 && found.length === 0; offset++) {
            const piece = await twin.store.replicas.read(stream, offset, 1)
            if (piece?.kind === 'run') await witness.store.replicas.saveHead(piece.run.head)
            else if (piece?.kind === 'block') await apply(witness.store, piece)
            else break
          }
        } else {
          for (let offset = 0; offset < 30 && found.length === 0; offset++) {
            const piece = await twin.store.replicas.read(stream, offset, 5000)
            if (piece !== undefined) await apply(witness.store, piece)
          }
        }
        t.same(found, [stream], `${name}, by ${how}`)
        const proof = witness.store.replicas.status(stream)?.frozen
        t.match(proof?.reason, reason)
        t.equal(proof?.statements.length, 2)
        t.match(witness.store.health, { writable: true, problems: [/two histories/] })
        const [outcome] = await pullStream(a.store, witness.store, stream)
        t.ok(outcome === undefined || outcome.kind === 'frozen', 'nothing more is taken')
        t.same(await readAll(witness.store), before, 'what is there stays')
        t.equal((await publish(witness.store, [event('own')])).length, 1, 'its own streams go on')
      }
    }
  },
)

t.test('who uses its key twice publishes no more when it hears of it; a frozen stream stays so', async (t) => {
  const { a, twin, witness, stream } = await twins(t)
  await publish(a.store, [event('one')])
  await publish(twin.store, [event('two')])
  const head = await twin.store.replicas.signHead(stream)
  t.match(await a.store.replicas.saveHead(head!), { kind: 'fork' })
  await t.rejects(publish(a.store, [event('no')]), { code: 'ERR_STORE_READ_ONLY', message: /key is in use elsewhere/ })
  t.equal(await a.store.replicas.signHead(stream), undefined, 'nor does it sign')
  await pull(twin.store, witness.store)
  const path = a.directory.path
  await a.close()
  const again = await openTestStore(path)
  t.match(again.store.health, { writable: false, problems: [/two histories/] })
  t.equal(again.store.replicas.status(stream)?.frozen?.statements.length, 2)
  await again.store.replicas.beginEpoch()
  t.equal((await publish(again.store, [event('yes')]))[0]?.offset, 0)
  t.equal((await readAll(again.store)).length, 3)
  await again.close()
})

t.test('heads of unknown streams are remembered, and old ones change nothing', async (t) => {
  const { store } = await open(t)
  const run = await forge([{}, {}, {}], { counts: [1, 2] })
  t.same(await store.replicas.saveHead(run.head), { kind: 'ahead', nextOffset: 0 })
  t.match(store.replicas.list(), [{ stream, own: false, name: 'default', nextOffset: 0, head: { nextOffset: 3 } }])
  t.equal((await publish(store, [event(1)]))[0]?.lamport, 3, 'a head alone raises the lamport')
  t.match(await applyForged(store, run), { kind: 'applied', nextOffset: 3 })
  t.same(await store.replicas.saveHead(run.head), { kind: 'known' })
  const hash = chain(run.lines.subarray(0, run.lines.indexOf(0x0a) + 1), [1], 0, genesisHash(stream))
  const older = await sign({ ...run.head, nextOffset: 1, lamport: 1, hash })
  t.same(await store.replicas.saveHead(older), { kind: 'known' })
  t.equal(store.replicas.status(stream)?.head?.nextOffset, 3)
  const inside = await sign({ ...run.head, nextOffset: 2, lamport: 2 })
  t.match(await store.replicas.saveHead(inside), { kind: 'fork', proof: { reason: /inside/ } })
})

t.test('whoever signs the highest lamport of all stops nobody: others go on with theirs', async (t) => {
  const { store } = await open(t)
  const run = await forge([{ lamport: 2 ** 51 - 1 }], { head: { lamport: 2 ** 51 } })
  t.match(await applyForged(store, run), { kind: 'applied' })
  const head = await sign({ ...run.head, nextOffset: 9, lamport: 2 ** 51 })
  t.match(await store.replicas.saveHead(head), { kind: 'ahead' })
  const [published] = await publish(store, [event(1)])
  t.equal(published?.lamport, 0)
  const witness = await open(t)
  const [outcome] = await pullStream(store, witness.store, streamIdOf(store.nodeId, 0))
  t.match(outcome, { kind: 'applied' }, 'and others believe it')
})
