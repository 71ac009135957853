import { SELECT_ALL, streamIdOf, toTagSet, type TagSelection } from '../../core/index.js'
import { BlockReader } from '../../storage/block-reader.js'
import { decodeSummary, type BlockSummary } from '../../storage/block-summary.js'
import { blockKey, encodeBlock, verifyBlock, type BlockPart, type EncodedBlock } from '../../storage/block.js'
import { genesisHash } from '../../storage/chain.js'
import { sealValue } from '../../storage/checked-value.js'
import { CorruptRecordError } from '../../storage/corrupt-record.js'
import { decodeGroup, encodeGroup, mergeSummaries } from '../../storage/group-summary.js'
import { dictionaryOf, NO_DICTIONARY } from '../../storage/frames.js'
import { buildLines, type Lines } from '../../storage/lines.js'
import { decodeTailRecord, encodeTailRecord } from '../../storage/tail-record.js'
import type { Random } from '../support/random.js'

const NODE = 'A'.repeat(42) + '.'
const STREAM = streamIdOf(NODE, 3)
const ARRIVAL = 77
const COUNT = 150

const SELECTIONS: readonly TagSelection[] = [
  SELECT_ALL,
  { kind: 'tags', anyOf: new Set(['third']) },
  { kind: 'appId', appId: 'com.example.b' },
  { kind: 'time', from: 1_000_040, to: 1_000_090 },
]

/** Valid bytes of everything that the storage writes, and what they mean. */
export interface Encoded {
  readonly block: EncodedBlock
  readonly text: string
  /** What the tail record was deflated behind. */
  readonly dictionary: Buffer | undefined
  readonly tail: Buffer
  readonly tailText: string
  readonly group: Buffer
}

export async function encodeSamples(): Promise<Encoded> {
  const parts: BlockPart[] = []
  const texts: string[] = []
  let hash = genesisHash(STREAM)
  let tail = Buffer.alloc(0)
  let dictionary: Buffer | undefined
  for (let from = 0; from < COUNT; from += 50) {
    const lines = someLines(from, 50)
    const record = encodeTailRecord(lines, { hash, dictionary })
    dictionary ??= dictionaryOf(lines)
    hash = record.hash
    tail = Buffer.from(record.value)
    parts.push({ lines, hash, frames: record.frames })
    texts.push(textOf(lines))
  }
  const block = await encodeBlock({
    topic: 'fuzz',
    arrival: ARRIVAL,
    previousHash: genesisHash(STREAM),
    parts,
    dictionary: dictionary ?? NO_DICTIONARY,
    sign: () => Promise.resolve(new Uint8Array(64)),
  })
  const group = encodeGroup(mergeSummaries([block.summary, block.summary]))
  return { block, dictionary, text: texts.join(''), tail, tailText: texts.at(-1) ?? '', group }
}

/**
 * Hands damaged bytes to the decoders. Without a matching checksum only the truth or a {@link CorruptRecordError} may
 * come out; with one (as a forger would write it) no other kind of error, and no block that breaks its chain.
 *
 * @throws Error that says what came out instead
 */
export async function fuzzDecoders(random: Random, samples: Encoded, mutate: (bytes: Buffer) => Buffer): Promise<void> {
  switch (random.below(4)) {
    case 0:
      expectTruth('tail record', samples.tailText, () =>
        textOf(decodeTailRecord(STREAM, COUNT - 50, mutate(samples.tail), samples.dictionary).lines),
      )
      return
    case 1:
      expectCorrupt('summary', () => decodeSummary(STREAM, 0, mutate(samples.block.summaryValue)))
      return
    case 2:
      expectCorrupt('group', () => decodeGroup(STREAM, 0, mutate(samples.group)))
      return
    default:
      await fuzzBlock(random, samples, mutate)
  }
}

async function fuzzBlock(random: Random, { block, text }: Encoded, mutate: (bytes: Buffer) => Buffer): Promise<void> {
  const { summary } = block
  const values = block.entries.map(({ value }) => value)
  const part = random.below(values.length)
  const isForged = random.chance(0.5)
  const damaged = mutate(values[part] ?? Buffer.alloc(0))
  values[part] = isForged && damaged.length >= 4 ? sealValue(blockKey(ARRIVAL, part), damaged) : damaged
  expectCorrupt('verification', () => {
    verifyBlock(summary, values)
  })
  const selection = random.pick(SELECTIONS)
  const answer = await readText(summary, values, selection)
  if (answer === undefined || (isForged && selection !== SELECT_ALL)) return
  const expected = selection === SELECT_ALL ? text : await readText(summary, intact(block), selection)
  if (answer !== expected) throw new Error(`part ${String(part)} damaged: other events came out`)
}

function intact(block: EncodedBlock): Buffer[] {
  return block.entries.map(({ value }) => value)
}

/** @returns `undefined` when the damage was found */
async function readText(
  summary: BlockSummary,
  values: readonly Buffer[],
  selection: TagSelection,
): Promise<string | undefined> {
  const reader = new BlockReader({ ownNode: NODE, cacheBytes: 1 << 20 })
  const source = { getMany: (parts: readonly number[]) => Promise.resolve(parts.map((part) => values[part])) }
  try {
    const batch = await reader.read({ source, summary, selection, from: 0, to: COUNT, order: 'asc' })
    return Buffer.concat([...(batch?.slices() ?? [])]).toString()
  } catch (error) {
    if (error instanceof CorruptRecordError) return undefined
    throw new Error(`reading threw ${String(error)}`, { cause: error })
  }
}

function expectTruth(what: string, truth: string, decode: () => string): void {
  let text: string
  try {
    text = decode()
  } catch (error) {
    if (error instanceof CorruptRecordError) return
    throw new Error(`${what} threw ${String(error)}`, { cause: error })
  }
  if (text !== truth) throw new Error(`${what} gave other events`)
}

function expectCorrupt(what: string, decode: () => unknown): void {
  try {
    decode()
  } catch (error) {
    if (!(error instanceof CorruptRecordError)) throw new Error(`${what} threw ${String(error)}`, { cause: error })
  }
}

function textOf(lines: Lines): string {
  return lines.bytes.toString('utf8', lines.starts[0], lines.starts[lines.payloads.length])
}

function someLines(firstOffset: number, count: number): Lines {
  return buildLines({
    stream: STREAM,
    firstOffset,
    events: Array.from({ length: count }, (_, index) => {
      const number = firstOffset + index
      const tags = toTagSet(number % 3 === 0 ? ['all', 'third'] : ['all'])
      const payload = Buffer.from(JSON.stringify({ number, text: 'x'.repeat(number % 40) }))
      return { tags, payload, appId: number % 2 === 0 ? 'com.example.a' : 'com.example.b' }
    }),
    lamports: Float64Array.from({ length: count }, (_, index) => 10 + firstOffset + index),
    timestamps: Float64Array.from({ length: count }, (_, index) => 1_000_000 + firstOffset + index),
  })
}
