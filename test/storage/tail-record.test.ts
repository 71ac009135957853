import fc from 'fast-check'
import t from 'tap'
import { EventBatch, renderLineHeader } from '../../core/index.js'
import { genesisHash, nextHash } from '../../storage/chain.js'
import { CorruptRecordError } from '../../storage/corrupt-record.js'
import { cutFrames, dictionaryOf, MAX_FRAME_BYTES, MAX_FRAME_EVENTS } from '../../storage/frames.js'
import { parseLines } from '../../storage/line-parser.js'
import { lineBytes, lineCount, payloadBytes, sliceLines, type Lines } from '../../storage/lines.js'
import { decodeTailRecord, encodeTailRecord, encodeTailRecordAsync } from '../../storage/tail-record.js'
import { OTHER_STREAM, plainLines, someLines, STREAM } from './arbitrary-lines.js'

/** For the first record of a stream. */
const BEGINNING = { hash: genesisHash(STREAM) }

const anyLines = fc.oneof(someLines(), someLines({ maxLength: 200 }))

/** What lines hold, wherever they begin in their buffer. */
function plain(lines: Lines): object {
  const base = lines.starts[0]!
  return {
    stream: lines.stream,
    firstOffset: lines.firstOffset,
    text: lineBytes(lines).toString('latin1'),
    starts: [...lines.starts].map((start) => start - base),
    payloads: [...lines.payloads].map((start) => start - base),
    lamports: [...lines.lamports],
    timestamps: [...lines.timestamps],
    tags: lines.tags,
    appIds: lines.appIds,
  }
}

t.test('a line is the header of core, the payload byte for byte, and the trailer', async (t) => {
  fc.assert(
    fc.property(someLines(), (lines) => {
      const batch = new EventBatch(lines)
      for (let line = 0; line < lineCount(lines); line++) {
        const event = batch.event(line)
        const header = renderLineHeader({
          lamport: lines.lamports[line]!,
          stream: lines.stream,
          offset: lines.firstOffset + line,
          timestamp: lines.timestamps[line]!,
          tagsJson: JSON.stringify(lines.tags[line]),
          appId: lines.appIds[line]!,
        })
        t.same(event.tags, lines.tags[line])
        const payload = lines.bytes.subarray(event.payloadStart, event.payloadEnd)
        const expected = Buffer.concat([Buffer.from(header), payload, Buffer.from('}\n')])
        if (!expected.equals(lines.bytes.subarray(lines.starts[line], lines.starts[line + 1]))) return false
        JSON.parse(payload.toString())
      }
      return true
    }),
  )
})

t.test('parsing lines gives back what they were built from, also from the middle of a slice', async (t) => {
  fc.assert(
    fc.property(anyLines, fc.nat(), fc.nat(), (lines, a, b) => {
      const from = a % lineCount(lines)
      const slice = sliceLines(lines, from, from + 1 + (b % (lineCount(lines) - from)))
      t.same(plain(parseLines(slice.stream, slice.firstOffset, lineBytes(slice))), plain(slice))
      const sum = [...new Array(lineCount(slice)).keys()].reduce((sum, line) => {
        const event = new EventBatch(slice).event(line)
        return sum + event.payloadEnd - event.payloadStart
      }, 0)
      t.equal(payloadBytes(slice), sum)
    }),
  )
})

t.test('a slice keeps the bytes of the whole', async (t) => {
  const lines = plainLines(10)
  t.equal(sliceLines(lines, 0, 10), lines)
  t.equal(sliceLines(lines, 3, 5).bytes, lines.bytes)
  t.equal(sliceLines(lines, 3, 5).firstOffset, 3)
})

t.test(
  'lines from elsewhere that differ anywhere before the payload are refused or read as what they say',
  async () => {
    fc.assert(
      fc.property(someLines({ maxLength: 3 }), fc.nat(), fc.integer({ min: 0, max: 255 }), (lines, place, byte) => {
        const bytes = Buffer.from(lineBytes(lines))
        bytes[place % bytes.length] = byte
        try {
          const parsed = parseLines(lines.stream, lines.firstOffset, bytes)
          return parsed.starts[lineCount(parsed)] === bytes.length
        } catch (error) {
          return error instanceof CorruptRecordError
        }
      }),
      { numRuns: 2000 },
    )
  },
)

t.test('frames cover all lines in order, within their limits', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 1, max: 50_000 })), { size: '+2' }),
      (sizes) => {
        let position = 0
        const starts = Uint32Array.from([0, ...sizes.map((size) => (position += size))])
        const ranges = cutFrames(starts, 0, sizes.length)
        let next = 0
        for (const { from, to } of ranges) {
          const size = starts[to]! - starts[from]!
          if (from !== next || to <= from || to - from > MAX_FRAME_EVENTS) return false
          if (size > MAX_FRAME_BYTES && to - from > 1) return false
          next = to
        }
        return next === sizes.length
      },
    ),
  )
})

t.test('a tail record gives back lines, hashes and frames', async (t) => {
  await fc.assert(
    fc.asyncProperty(anyLines, fc.boolean(), fc.option(someLines()), async (lines, inPool, begun) => {
      const previous = genesisHash(lines.stream)
      const before = { hash: previous, dictionary: begun === null ? undefined : dictionaryOf(begun) }
      const encoded = inPool ? await encodeTailRecordAsync(lines, before) : encodeTailRecord(lines, before)
      const decoded = decodeTailRecord(lines.stream, lines.firstOffset, encoded.value, before.dictionary)
      t.same(plain(decoded.lines), plain(lines))
      t.equal(decoded.beginsBlock, begun === null)
      t.ok(decoded.previousHash.equals(previous))
      t.ok(decoded.hash.equals(encoded.hash))
      t.ok(encoded.hash.equals(nextHash(previous, lines)))
      t.same(
        decoded.frames.map(({ count, rawLength }) => [count, rawLength]),
        encoded.frames.map(({ count, rawLength }) => [count, rawLength]),
      )
    }),
  )
})

t.test('large commits read the same whether deflated in the pool or not', async (t) => {
  const lines = plainLines(700, { payloadLength: 300 })
  const sync = encodeTailRecord(lines, BEGINNING)
  const pooled = await encodeTailRecordAsync(lines, BEGINNING)
  t.ok(sync.hash.equals(pooled.hash))
  t.same(plain(decodeTailRecord(STREAM, 0, sync.value, undefined).lines), plain(lines))
  t.ok(sync.value.length * 4 < lines.bytes.length, 'and are deflated')
  t.same(plain(decodeTailRecord(STREAM, 0, pooled.value, undefined).lines), plain(lines))
})

t.test('a few events are stored as they are, one big event is deflated', async (t) => {
  t.same(encodeTailRecord(plainLines(7), BEGINNING).frames, [])
  t.equal(encodeTailRecord(plainLines(8), BEGINNING).frames.length, 1)
  const big = encodeTailRecord(plainLines(1, { payloadLength: 100_000 }), BEGINNING)
  t.equal(big.frames.length, 1)
  t.ok(big.value.length < 10_000)
})

t.test('every flipped bit and every cut of a tail record is found', async (t) => {
  for (const lines of [plainLines(2), plainLines(20)]) {
    const { value } = encodeTailRecord(lines, BEGINNING)
    for (let bit = 0; bit < 8 * value.length; bit++) {
      const damaged = Buffer.from(value)
      damaged[bit >> 3]! ^= 1 << (bit & 7)
      if (!isFound(damaged)) t.fail(`bit ${String(bit)} went unnoticed`)
    }
    for (let length = 0; length < value.length; length++) {
      if (!isFound(value.subarray(0, length))) t.fail(`a cut to ${String(length)} bytes went unnoticed`)
    }
    t.notOk(isFound(value), 'the whole record passes')
    t.ok(isFound(Buffer.concat([value, Buffer.from([0])])), 'a byte more is found')
  }
  function isFound(value: Buffer): boolean {
    try {
      decodeTailRecord(STREAM, 0, value, undefined)
      return false
    } catch (error) {
      if (!(error instanceof CorruptRecordError)) throw error
      return !error.missing
    }
  }
})

t.test('a record that continues a block cannot be read as if it continued another', async (t) => {
  const dictionary = dictionaryOf(plainLines(6))
  const { value } = encodeTailRecord(plainLines(20), { hash: genesisHash(STREAM), dictionary })
  t.equal(lineCount(decodeTailRecord(STREAM, 0, value, dictionary).lines), 20)
  for (const other of [undefined, dictionary.subarray(0, -1), dictionaryOf(plainLines(6, { payloadLength: 30 }))]) {
    t.throws(() => decodeTailRecord(STREAM, 0, value, other), { code: 'ERR_STORE_CORRUPT' })
  }
})

t.test('a record under a key that is not its own is found', async (t) => {
  const { value } = encodeTailRecord(plainLines(3), BEGINNING)
  t.throws(() => decodeTailRecord(STREAM, 1, value, undefined), { code: 'ERR_STORE_CORRUPT' })
  t.throws(() => decodeTailRecord(OTHER_STREAM, 0, value, undefined), {
    code: 'ERR_STORE_CORRUPT',
    place: { stream: OTHER_STREAM, offset: 0, part: 'tail record' },
  })
})

t.test('the chain tells apart commit boundaries, order and streams', async (t) => {
  const lines = plainLines(4)
  const start = genesisHash(STREAM)
  const whole = nextHash(start, lines)
  const halves = nextHash(nextHash(start, sliceLines(lines, 0, 2)), sliceLines(lines, 2, 4))
  t.notOk(whole.equals(halves))
  t.notOk(genesisHash(OTHER_STREAM).equals(start))
  t.notOk(nextHash(genesisHash(OTHER_STREAM), lines).equals(whole))
})
