import fc from 'fast-check'
import { generateKeyPairSync, sign, verify } from 'node:crypto'
import t from 'tap'
import {
  compileSelection,
  SELECT_ALL,
  toTagSet,
  type EventBatch,
  type StoredEvent,
  type TagSelection,
} from '../../core/index.js'
import { blockSigningBytes } from '../../storage/block-header.js'
import { BlockReader, type BlockSource } from '../../storage/block-reader.js'
import { decodeSummary, encodeSummary, type BlockSummary } from '../../storage/block-summary.js'
import {
  blockKey,
  encodeBlock,
  openBlockHeader,
  parseBlockKey,
  verifyBlock,
  FRAMES_PER_PART,
  type BlockPart,
  type BlockRequest,
  type EncodedBlock,
} from '../../storage/block.js'
import { genesisHash } from '../../storage/chain.js'
import { sealValue } from '../../storage/checked-value.js'
import { CorruptRecordError } from '../../storage/corrupt-record.js'
import { decodeGroup, encodeGroup, mergeSummaries } from '../../storage/group-summary.js'
import { dictionaryOf, MAX_FRAME_EVENTS } from '../../storage/frames.js'
import { lineBytes, lineCount, sliceLines, type Lines } from '../../storage/lines.js'
import { batchOf, selectLines } from '../../storage/positions.js'
import { mayMatch } from '../../storage/skip.js'
import { encodeTailRecord } from '../../storage/tail-record.js'
import {
  OTHER_NODE,
  OTHER_STREAM,
  OWN_NODE,
  plainLines,
  someAppId,
  someLines,
  someTag,
  STREAM,
} from './arbitrary-lines.js'

const ARRIVAL = 2 ** 33 + 5

/** Cuts lines into commits of these sizes (again and again) and keeps the frames of their tail records. */
function toParts(lines: Lines, sizes: readonly number[]): BlockPart[] {
  const parts: BlockPart[] = []
  let hash: Buffer = genesisHash(lines.stream)
  for (let from = 0, at = 0; from < lineCount(lines); at++) {
    const to = Math.min(lineCount(lines), from + (sizes[at % sizes.length] ?? 1))
    const part = sliceLines(lines, from, to)
    const record = encodeTailRecord(part, { hash, dictionary: from === 0 ? undefined : dictionaryOf(parts[0]!.lines) })
    hash = record.hash
    parts.push({ lines: part, hash, frames: record.frames })
    from = to
  }
  return parts
}

function withDictionary(parts: readonly BlockPart[]): Pick<BlockRequest, 'parts' | 'dictionary'> {
  return { parts, dictionary: dictionaryOf(parts[0]!.lines) }
}

function seal(lines: Lines, sizes: readonly number[] = [64]): Promise<EncodedBlock> {
  return encodeBlock({
    topic: 'default-topic',
    arrival: ARRIVAL,
    previousHash: genesisHash(lines.stream),
    ...withDictionary(toParts(lines, sizes)),
    sign: (bytes) => Promise.resolve(bytes.subarray(0, 64)),
  })
}

/** The values of a block; counts what is read. */
class MemorySource implements BlockSource {
  readonly values: (Buffer | undefined)[]
  readonly read: number[] = []

  constructor(block: EncodedBlock) {
    this.values = block.entries.map(({ value }) => value)
  }

  getMany(parts: readonly number[]): Promise<(Buffer | undefined)[]> {
    this.read.push(...parts)
    return Promise.resolve(parts.map((part) => this.values[part]))
  }
}

function newReader(): BlockReader {
  return new BlockReader({ ownNode: OWN_NODE, cacheBytes: 1 << 20 })
}

async function collect<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const collected: Item[] = []
  for await (const item of items) collected.push(item)
  return collected
}

function describe(event: StoredEvent): unknown {
  const payload = Buffer.from(event.bytes.subarray(event.payloadStart, event.payloadEnd)).toString('latin1')
  return [event.stream, event.offset, event.lamport, event.timestamp, event.tags, event.appId, payload]
}

function eventsOf(batch: EventBatch | undefined): StoredEvent[] {
  return Array.from({ length: batch?.length ?? 0 }, (_, at) => batch!.event(at))
}

/** The model: a plain list of all events, filtered by the predicate of core. */
function expected(lines: Lines, selection: TagSelection, from = 0, to = Infinity): unknown[] {
  const matches = compileSelection(selection, OWN_NODE)
  return eventsOf(batchOf(lines, 'all', 'asc'))
    .filter((event) => event.offset >= from && event.offset < to && matches(event))
    .map(describe)
}

const anyLines = fc.oneof(
  { weight: 3, arbitrary: someLines() },
  { weight: 1, arbitrary: someLines({ maxLength: 300 }) },
  fc.integer({ min: 1, max: 400 }).map((count) => plainLines(count)),
)

const someSizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 20, max: 150 })), {
  minLength: 1,
  maxLength: 5,
})

/** Selections whose ranges begin and end at values of the lines. */
function someSelection(lines: Lines): fc.Arbitrary<TagSelection> {
  const line = fc.nat(lineCount(lines) - 1)
  const tag = fc.oneof(
    line.chain((at) => fc.constantFrom('zz', ...lines.tags[at]!)),
    someTag,
  )
  const time = fc.oneof(
    line.map((at) => lines.timestamps[at]!),
    fc.constantFrom(-Infinity, Infinity, 0),
  )
  const bound = fc.option(
    fc.record({
      lamport: line.map((at) => lines.lamports[at]!),
      stream: fc.constantFrom(STREAM, OTHER_STREAM, lines.stream),
    }),
    { nil: undefined },
  )
  const { selection } = fc.letrec<{ selection: TagSelection }>((tie) => ({
    selection: fc.oneof(
      { maxDepth: 3 },
      fc.record({
        kind: fc.constant('tags' as const),
        anyOf: fc.oneof(fc.array(tag, { maxLength: 3 }), fc.array(tag, { maxLength: 60 })).map((tags) => new Set(tags)),
      }),
      fc.constantFrom<TagSelection>(SELECT_ALL, { kind: 'none' }, { kind: 'local' }),
      fc.record({ kind: fc.constant('appId' as const), appId: fc.oneof(someAppId, fc.constant('nobody')) }),
      fc.record({ kind: fc.constant('time' as const), from: time, to: time }),
      fc.record({ kind: fc.constant('key' as const), from: bound, to: bound }),
      fc.record({
        kind: fc.constantFrom('and' as const, 'or' as const),
        terms: fc.array(tie('selection'), { maxLength: 3 }),
      }),
    ),
  }))
  return selection
}

t.test('a block of any events and commits passes its own verification and is signed', async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  await fc.assert(
    fc.asyncProperty(anyLines, someSizes, async (lines, sizes) => {
      const parts = toParts(lines, sizes)
      const block = await encodeBlock({
        topic: 'x',
        arrival: 1,
        previousHash: genesisHash(lines.stream),
        ...withDictionary(parts),
        sign: (bytes) => Promise.resolve(sign(null, bytes, privateKey)),
      })
      const values = block.entries.map(({ value }) => value)
      verifyBlock(block.summary, values)
      const header = openBlockHeader(block.summary, values[0])
      t.same(
        header.commits,
        parts.map((part) => lineCount(part.lines)),
      )
      t.ok(block.summary.hash.equals(parts.at(-1)!.hash))
      t.ok(verify(null, blockSigningBytes('x', header), publicKey, header.signature))
      t.notOk(verify(null, blockSigningBytes('y', header), publicKey, header.signature), 'in no other topic')
      t.equal(
        block.storedBytes,
        values.reduce((sum, { length }) => sum + length, 0),
      )
      t.same(decodeSummary(lines.stream, lines.firstOffset, block.summaryValue), block.summary)
    }),
    { numRuns: 60 },
  )
})

t.test(
  'searching a block gives what filtering all its events gives, in both orders and within any bounds',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        anyLines.chain((lines) =>
          fc.tuple(fc.constant(lines), fc.array(someSelection(lines), { minLength: 1, maxLength: 8 })),
        ),
        someSizes,
        fc.integer({ min: -2, max: 400 }),
        fc.integer({ min: 0, max: 400 }),
        async ([lines, selections], sizes, skip, length) => {
          const block = await seal(lines, sizes)
          const source = new MemorySource(block)
          const reader = newReader()
          for (const selection of selections) {
            for (const [from, to] of [
              [0, Infinity],
              [lines.firstOffset + skip, lines.firstOffset + skip + length],
            ] as const) {
              const request = { source, summary: block.summary, selection, from, to }
              const wanted = expected(lines, selection, from, to)
              const up = await reader.read({ ...request, order: 'asc' })
              const down = await reader.read({ ...request, order: 'desc' })
              t.same(eventsOf(up).map(describe), wanted)
              t.same(eventsOf(down).map(describe), wanted.reverse())
              if (up?.length === 0 || down?.length === 0) t.fail('an empty batch')
            }
            const choice = selectLines(lines, selection, OWN_NODE)
            const batch = batchOf(lines, choice, 'asc')
            t.same(eventsOf(batch).map(describe), expected(lines, selection))
            if (expected(lines, selection).length > 0) t.ok(mayMatch(block.summary, selection, OWN_NODE))
          }
        },
      ),
      { numRuns: 150 },
    )
  },
)

t.test('the slices of what is read are the lines as they were written', async (t) => {
  const lines = plainLines(500)
  const block = await seal(lines)
  const source = new MemorySource(block)
  const read = (selection: TagSelection, from: number, to: number) =>
    newReader().read({ source, summary: block.summary, selection, from, to, order: 'asc' })
  const text = (batch: EventBatch | undefined) => Buffer.concat([...(batch?.slices() ?? [])])
  t.ok(text(await read(SELECT_ALL, 0, 500)).equals(lineBytes(lines)))
  t.ok(text(await read(SELECT_ALL, 77, 301)).equals(lineBytes(sliceLines(lines, 77, 301))))
  const some = await read({ kind: 'tags', anyOf: new Set(['n-3', 'n-4', 'n-450']) }, 0, 500)
  const chosen = [sliceLines(lines, 3, 5), sliceLines(lines, 450, 451)]
  t.ok(text(some).equals(Buffer.concat(chosen.map(lineBytes))))
})

t.test('reading in steps holds few lines at a time', async (t) => {
  const block = await seal(plainLines(1024, { payloadLength: 200 }))
  const request = { source: new MemorySource(block), summary: block.summary, selection: SELECT_ALL, from: 0, to: 1024 }
  const batches = await collect(newReader().readInSteps({ ...request, order: 'asc' }, 30_000))
  t.ok(batches.length >= 14)
  t.ok(batches.every(({ bytes }) => bytes.length <= 30_000))
  t.equal(
    batches.reduce((sum, { length }) => sum + length, 0),
    1024,
  )
})

t.test('a search reads only header, positions and the frames that it needs, and the first two once', async (t) => {
  const block = await seal(plainLines(1024, { payloadLength: 200 }))
  const perPart = MAX_FRAME_EVENTS * FRAMES_PER_PART
  t.equal(block.entries.length, 2 + 1024 / perPart)
  const source = new MemorySource(block)
  const reader = newReader()
  const request = { source, summary: block.summary, from: 0, to: Infinity, order: 'asc' } as const
  await reader.read({ ...request, selection: { kind: 'tags', anyOf: new Set(['n-500']) } })
  t.same(source.read.splice(0), [0, 1, 2 + Math.floor(500 / perPart)])
  await reader.read({ ...request, selection: { kind: 'tags', anyOf: new Set(['n-0', 'n-1023']) } })
  t.same(source.read.splice(0), [2, 1 + 1024 / perPart])
  await reader.read({
    ...request,
    selection: { kind: 'time', from: 1e15 + 1000 * perPart, to: 1e15 + 1000 * (perPart + 2) },
  })
  t.same(source.read.splice(0), [3])
  await reader.read({ ...request, selection: SELECT_ALL, from: 2 * perPart - 3, to: 2 * perPart + 3 })
  t.same(source.read.splice(0), [3, 4])
  await reader.read({ ...request, selection: { kind: 'tags', anyOf: new Set(['not there']) } })
  t.same(source.read.splice(0), [])
  t.ok(reader.cacheBytes > 0)
  reader.forget(block.summary.arrival)
  t.equal(reader.cacheBytes, 0)
})

t.test('the cache stays within its budget', async (t) => {
  const block = await seal(plainLines(200))
  const reader = new BlockReader({ ownNode: OWN_NODE, cacheBytes: 20_000 })
  for (let copy = 0; copy < 30; copy++) {
    const summary = { ...block.summary, arrival: copy }
    const source = new MemorySource(block)
    source.values.forEach((value, part) => (source.values[part] = sealValue(blockKey(copy, part), Buffer.from(value!))))
    const selection: TagSelection = { kind: 'tags', anyOf: new Set(['n-5']) }
    const batch = await reader.read({ source, summary, selection, from: 0, to: 200, order: 'asc' })
    t.equal(eventsOf(batch).length, 1)
    t.ok(reader.cacheBytes <= 20_000)
  }
  t.ok(reader.cacheBytes > 0)
})

t.test('frames of the tail are taken over when they are big enough', async (t) => {
  const lines = plainLines(300)
  const parts = toParts(lines, [100, 3, 97])
  const kept = parts.flatMap(({ frames }) => frames).filter(({ count }) => count >= 12)
  t.ok(kept.length >= 12)
  const block = await encodeBlock({
    topic: 'x',
    arrival: 1,
    previousHash: genesisHash(STREAM),
    ...withDictionary(parts),
    sign: () => Promise.resolve(new Uint8Array(64)),
  })
  for (const { data } of kept) t.ok(block.entries.some(({ value }) => value.includes(data)))
  const wrong = parts.map((part) => ({ ...part, frames: part.frames.slice(1) }))
  const without = await encodeBlock({
    topic: 'x',
    arrival: 1,
    previousHash: genesisHash(STREAM),
    ...withDictionary(wrong),
    sign: () => Promise.resolve(new Uint8Array(64)),
  })
  verifyBlock(
    without.summary,
    without.entries.map(({ value }) => value),
  )
})

/** What a damaged block does: it is found, or reads as what was written. Anything else is thrown. */
async function damageIsFound(lines: Lines, summary: BlockSummary, values: (Buffer | undefined)[]): Promise<boolean> {
  const source: BlockSource = { getMany: (parts) => Promise.resolve(parts.map((part) => values[part])) }
  let found = false
  try {
    verifyBlock(summary, values)
  } catch (error) {
    if (!(error instanceof CorruptRecordError)) throw error
    found = true
  }
  const tags: TagSelection = { kind: 'tags', anyOf: new Set(['all', 'a', 'mod10-3']) }
  for (const selection of [SELECT_ALL, tags, { kind: 'time', from: 1e15 + 3000, to: Infinity } as const]) {
    try {
      const request = { source, summary, selection, from: 0, to: Infinity, order: 'asc' } as const
      const events = eventsOf(await newReader().read(request)).map(describe)
      if (JSON.stringify(events) !== JSON.stringify(expected(lines, selection)))
        throw new Error('wrong data was delivered')
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error
    }
  }
  return found
}

t.test('every flipped bit, every cut and every missing part of a block is found', async (t) => {
  const lines = plainLines(9)
  const { summary, entries } = await seal(lines, [4])
  const values = entries.map(({ value }) => value)
  for (const [part, value] of values.entries()) {
    for (let bit = 0; bit < 8 * value.length; bit += 3) {
      const damaged = Buffer.from(value)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      if (!(await damageIsFound(lines, summary, values.with(part, damaged))))
        t.fail(`part ${String(part)} bit ${String(bit)}`)
    }
    for (let length = 0; length < value.length; length += 5) {
      const cut = values.with(part, value.subarray(0, length))
      if (!(await damageIsFound(lines, summary, cut))) t.fail(`part ${String(part)} cut to ${String(length)}`)
    }
    const gone: (Buffer | undefined)[] = [...values]
    gone[part] = undefined
    t.throws(
      () => {
        verifyBlock(summary, gone)
      },
      { code: 'ERR_STORE_CORRUPT', missing: true, place: { stream: STREAM, offset: 0 } },
    )
  }
  t.notOk(await damageIsFound(lines, summary, values))
})

t.test('damage that a checksum hides is found too, or does no harm', async (t) => {
  const lines = plainLines(40)
  const { summary, entries } = await seal(lines, [7])
  const values = entries.map(({ value }) => value)
  const change = fc.record({
    part: fc.nat(values.length - 1),
    at: fc.nat(),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 4 }),
    keep: fc.nat({ max: 2000 }),
  })
  await fc.assert(
    fc.asyncProperty(change, async ({ part, at, bytes, keep }) => {
      const damaged = Buffer.from(values[part]!).subarray(0, Math.max(4, keep))
      damaged.set(bytes.subarray(0, Math.max(0, damaged.length - 4)), 0)
      const place = 4 + (at % Math.max(1, damaged.length - 4))
      damaged.set(bytes.subarray(0, damaged.length - place), place)
      sealValue(blockKey(ARRIVAL, part), damaged)
      const source: BlockSource = {
        getMany: (parts) => Promise.resolve(parts.map((p) => values.with(part, damaged)[p])),
      }
      for (const selection of [SELECT_ALL, { kind: 'tags', anyOf: new Set(['n-7', 'mod10-3']) } as const]) {
        try {
          await newReader().read({ source, summary, selection, from: 0, to: Infinity, order: 'desc' })
          verifyBlock(summary, values.with(part, damaged))
        } catch (error) {
          if (!(error instanceof CorruptRecordError)) throw error
        }
      }
    }),
    { numRuns: 1500 },
  )
  t.pass('nothing but CorruptRecordError')
})

t.test('random bytes are never taken for an index entry, a group or a header', async (t) => {
  const { summary } = await seal(plainLines(3))
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, sealed) => {
      const value = Buffer.concat([Buffer.alloc(4), bytes])
      const keys = [`index/${STREAM}/0/`, `group/${STREAM}/0/`, blockKey(ARRIVAL, 0)]
      const decoders = [
        () => decodeSummary(STREAM, 0, value),
        () => decodeGroup(STREAM, 0, value),
        () => openBlockHeader(summary, value),
      ]
      decoders.forEach((decode, at) => {
        if (sealed) sealValue(keys[at]!, value)
        try {
          decode()
        } catch (error) {
          if (!(error instanceof CorruptRecordError)) throw error
        }
      })
    }),
    { numRuns: 3000 },
  )
  t.throws(() => decodeSummary(STREAM, 0, Buffer.alloc(0)), { code: 'ERR_STORE_CORRUPT' })
})

t.test('a value under the key of another block or part is found', async (t) => {
  const { summary, entries } = await seal(plainLines(200))
  const values = entries.map(({ value }) => value)
  t.throws(
    () => {
      verifyBlock({ ...summary, arrival: ARRIVAL + 1 }, values)
    },
    { code: 'ERR_STORE_CORRUPT' },
  )
  t.throws(
    () => {
      verifyBlock(summary, values.with(2, values[3]!))
    },
    { code: 'ERR_STORE_CORRUPT' },
  )
  t.throws(() => decodeSummary(STREAM, 1, encodeSummary(summary)), { code: 'ERR_STORE_CORRUPT' })
})

t.test('lines that are not those of the chain are found when the block is first read as a whole', async (t) => {
  const honest = await seal(plainLines(20))
  const forged = await seal(plainLines(20, { payloadLength: 21 }))
  const summary = { ...forged.summary, hash: honest.summary.hash }
  const parts = toParts(plainLines(20, { payloadLength: 21 }), [64]).map((part) => ({ ...part, hash: summary.hash }))
  const lying = await encodeBlock({
    topic: 'x',
    arrival: ARRIVAL,
    previousHash: genesisHash(STREAM),
    ...withDictionary(parts),
    sign: () => Promise.resolve(new Uint8Array(64)),
  })
  const request = {
    source: new MemorySource(lying),
    summary: lying.summary,
    from: 0,
    to: Infinity,
    order: 'asc',
  } as const
  await t.rejects(newReader().read({ ...request, selection: SELECT_ALL }), { code: 'ERR_STORE_CORRUPT' })
})

t.test('keys of block values sort by arrival, then part', async (t) => {
  const keys = [
    [0, 0],
    [0, 1],
    [0, 300],
    [1, 0],
    [2 ** 32 - 1, 5],
    [2 ** 32, 0],
    [2 ** 40, 7],
  ] as const
  const encoded = keys.map(([arrival, part]) => blockKey(arrival, part))
  t.same(
    [...encoded].sort((a, b) => Buffer.compare(a, b)),
    encoded,
  )
  t.same(
    encoded.map((key) => parseBlockKey(key)),
    keys.map(([arrival, part]) => ({ arrival, part })),
  )
  t.equal(parseBlockKey(Buffer.alloc(3)), undefined)
})

t.test('a group may match whenever one of its blocks may, through storage and merges of merges', async (t) => {
  const lines = someLines({ maxLength: 80 }).filter((lines) => lines.stream === STREAM)
  await fc.assert(
    fc.asyncProperty(
      lines.chain((lines) =>
        fc.tuple(fc.constant(lines), fc.array(someSelection(lines), { minLength: 5, maxLength: 9 })),
      ),
      async ([lines, selections]) => {
        const third = Math.ceil(lineCount(lines) / 3)
        const pieces = [0, 1, 2].map((at) => [at * third, Math.min(lineCount(lines), (at + 1) * third)] as const)
        const blocks: BlockSummary[] = []
        for (const [from, to] of pieces) {
          if (from < to) blocks.push((await seal(sliceLines(lines, from, to))).summary)
        }
        const flat = mergeSummaries(blocks)
        const nested = mergeSummaries([mergeSummaries(blocks.slice(0, 1)), ...blocks.slice(1)])
        t.same(decodeGroup(STREAM, lines.firstOffset, encodeGroup(flat)), flat)
        t.same(nested, flat)
        t.equal(flat.blocks, blocks.length)
        t.equal(flat.count, lineCount(lines))
        for (const selection of selections) {
          if (expected(lines, selection).length > 0) t.ok(mayMatch(flat, selection, OWN_NODE))
        }
      },
    ),
    { numRuns: 60 },
  )
})

t.test('filters of blocks with many tags skip most searches, and survive merging', async (t) => {
  const blocks: EncodedBlock[] = []
  for (let at = 0; at < 4; at++) blocks.push(await seal(plainLines(200, { firstOffset: 200 * at })))
  const summaries = blocks.map(({ summary }) => summary)
  t.equal(summaries[0]!.tags.kind, 'bloom')
  const group = mergeSummaries(summaries)
  const asks = (tag: string): TagSelection => ({ kind: 'tags', anyOf: new Set([tag]) })
  for (let n = 0; n < 800; n++) {
    if (!mayMatch(group, asks(`n-${String(n)}`), OWN_NODE)) t.fail('the group lost a tag')
    if (!mayMatch(summaries[Math.floor(n / 200)]!, asks(`n-${String(n)}`), OWN_NODE)) t.fail('the block lost a tag')
  }
  const wrong = Array.from({ length: 1000 }, (_, n) => asks(`other-${String(n)}`))
  t.ok(wrong.filter((selection) => mayMatch(summaries[0]!, selection, OWN_NODE)).length < 20)
  t.notOk(mayMatch(group, { kind: 'appId', appId: 'other' }, OWN_NODE))
  t.notOk(mayMatch(group, { kind: 'local' }, OTHER_NODE))
  t.notOk(mayMatch(group, { kind: 'time', from: 0, to: 1e15 }, OWN_NODE))
  t.ok(mayMatch(group, { kind: 'time', from: 0, to: 1e15 + 1 }, OWN_NODE))
})

t.test('a block of one huge event can be read', async (t) => {
  const lines = plainLines(1, { payloadLength: 3 << 20 })
  const block = await seal(lines)
  const source = new MemorySource(block)
  const request = { source, summary: block.summary, from: 0, to: 1, order: 'desc' } as const
  const batch = await newReader().read({ ...request, selection: SELECT_ALL })
  t.equal(batch!.bytes.length, lines.bytes.length)
  t.same(toTagSet(['all', 'mod10-0', 'n-0']), batch!.event(0).tags)
})
