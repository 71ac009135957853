import t from 'tap'
import { EventBatch, SELECT_ALL, toTagSet, type TagSelection } from '../../core/index.js'
import { BlockReader } from '../../storage/block-reader.js'
import { decodeSummary } from '../../storage/block-summary.js'
import { verifyBlock } from '../../storage/block.js'
import { genesisHash, nextHash } from '../../storage/chain.js'
import { dictionaryOf } from '../../storage/frames.js'
import { decodeGroup } from '../../storage/group-summary.js'
import { buildLines, lineBytes, sliceLines } from '../../storage/lines.js'
import { decodeTailRecord, encodeTailRecord } from '../../storage/tail-record.js'
import { OWN_NODE, STREAM } from './arbitrary-lines.js'
import { GOLDEN } from './golden-values.js'

// What format version 1 wrote must be readable for ever: from the first release on these values are never made anew.

const bytes = (text: string) => Buffer.from(text, 'base64')

const count = 60
const lines = buildLines({
  stream: STREAM,
  firstOffset: 300,
  lamports: Float64Array.from({ length: count }, (_, at) => 1000 + at + (at > 30 ? 70_000 : 0)),
  timestamps: Float64Array.from({ length: count }, (_, at) => 1_795_226_899_268_454 + 137 * ((at * 7) % 60)),
  events: Array.from({ length: count }, (_, at) => ({
    tags: toTagSet(['all', `n-${String(at)}`, ...(at % 3 === 0 ? ['ü"\\'] : [])]),
    appId: at < 50 ? 'com.example.app' : 'com.example.other',
    payload: Buffer.from(`{"n":${String(at)},"exact":5.0}`),
  })),
})

t.test('hashes of the chain are what they were', async (t) => {
  t.equal(genesisHash(STREAM).toString('base64'), GOLDEN.genesis)
  t.equal(nextHash(genesisHash(STREAM), sliceLines(lines, 0, 3)).toString('base64'), GOLDEN.afterThree)
})

t.test('tail records can be read, plain and deflated', async (t) => {
  const plain = decodeTailRecord(STREAM, 300, bytes(GOLDEN.plainTail), undefined)
  t.ok(lineBytes(plain.lines).equals(lineBytes(sliceLines(lines, 0, 3))))
  const dictionary = dictionaryOf(plain.lines)
  const deflated = decodeTailRecord(STREAM, 303, bytes(GOLDEN.deflatedTail), dictionary)
  t.ok(lineBytes(deflated.lines).equals(lineBytes(sliceLines(lines, 3, 60))))
  t.ok(deflated.previousHash.equals(plain.hash))
  const again = encodeTailRecord(sliceLines(lines, 0, 3), { hash: genesisHash(STREAM) })
  t.equal(again.value.toString('base64'), GOLDEN.plainTail, 'and plain ones are still written so')
})

t.test('a block and its index entries can be read and searched', async (t) => {
  const summary = decodeSummary(STREAM, 300, bytes(GOLDEN.summary))
  const values = GOLDEN.block.map(bytes)
  verifyBlock(summary, values)
  const reader = new BlockReader({ ownNode: OWN_NODE, cacheBytes: 0 })
  const source = { getMany: (parts: readonly number[]) => Promise.resolve(parts.map((part) => values[part])) }
  const read = async (selection: TagSelection) => {
    const batch = await reader.read({ source, summary, selection, from: 0, to: Infinity, order: 'asc' })
    return Buffer.concat([...(batch?.slices() ?? [])])
  }
  t.ok((await read(SELECT_ALL)).equals(lineBytes(lines)))
  const third = new EventBatch({ ...lines, selected: Uint32Array.from({ length: 20 }, (_, at) => 3 * at) })
  t.ok((await read({ kind: 'tags', anyOf: new Set(['ü"\\']) })).equals(Buffer.concat([...third.slices()])))
  t.ok((await read({ kind: 'appId', appId: 'com.example.other' })).equals(lineBytes(sliceLines(lines, 50, 60))))
  t.equal(summary.tags.kind, 'bloom')
  const group = decodeGroup(STREAM, 300, bytes(GOLDEN.group))
  t.equal(group.count, 60)
  t.same(group.tags, summary.tags)
})
