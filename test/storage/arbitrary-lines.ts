import fc from 'fast-check'
import { streamIdOf, toTagSet, type StreamId } from '../../core/index.js'
import { buildLines, type Lines, type LineSource } from '../../storage/lines.js'

/** The node that tests call their own. */
export const OWN_NODE = 'OwnNode'.padEnd(42, '0') + '.'
export const OTHER_NODE = 'PeerNode'.padEnd(42, '0') + '.'
export const STREAM: StreamId = streamIdOf(OWN_NODE, 7)
export const OTHER_STREAM: StreamId = streamIdOf(OTHER_NODE, 0)

/** Few distinct tags, so that they meet, with everything that JSON escapes or UTF-8 widens among them. */
export const someTag = fc.oneof(
  fc.constantFrom('a', 'b', 'c', 'all', 'quote"d', 'back\\slash', '\u0000', 'ü', '名', '😀', '\ud800', ',"appId":"x'),
  fc.string({ minLength: 1, maxLength: 8 }),
)

export const someAppId = fc.constantFrom('com.example.app', 'a', 'x-1.y-2')

const somePayload = fc.oneof(
  fc.json().map((text) => JSON.stringify(JSON.parse(text))),
  fc.integer({ min: 0, max: 3000 }).map((length) => JSON.stringify('x'.repeat(length))),
  fc.constantFrom('5.0', '18446744073709551615', '{"a":"}\\n"}', '"\\u2028 \u2028"', '{}', 'null'),
)

export const someEvent: fc.Arbitrary<LineSource> = fc.record({
  tags: fc.array(someTag, { maxLength: 4 }).map(toTagSet),
  appId: someAppId,
  payload: somePayload.map((text) => Buffer.from(text)),
})

export interface LinesOptions {
  readonly minLength?: number
  readonly maxLength?: number
}

/** Lines with rising lamports and timestamps that may fall. */
export function someLines({ minLength = 1, maxLength = 40 }: LinesOptions = {}): fc.Arbitrary<Lines> {
  const row = fc.record({
    event: someEvent,
    step: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 1e6 })),
    drift: fc.oneof(fc.constant(0), fc.integer({ min: -1000, max: 1e9 })),
  })
  return fc
    .record({
      stream: fc.constantFrom(STREAM, OTHER_STREAM),
      firstOffset: fc.oneof(fc.nat(1000), fc.constant(2 ** 40)),
      lamport: fc.oneof(fc.nat(1000), fc.constant(2 ** 50)),
      rows: fc.array(row, { minLength, maxLength, size: 'max' }),
    })
    .map(({ stream, firstOffset, lamport, rows }) => {
      const lamports = new Float64Array(rows.length)
      const timestamps = new Float64Array(rows.length)
      let last = lamport
      let time = 1_795_226_899_268_454
      rows.forEach(({ step, drift }, at) => {
        lamports[at] = last += step
        timestamps[at] = time += drift
      })
      return buildLines({ stream, firstOffset, lamports, timestamps, events: rows.map(({ event }) => event) })
    })
}

/** Plain lines of `count` events, each with `payloadLength` bytes of payload at least, tags `all`, `mod10-…`, `n-…`. */
export function plainLines(count: number, { firstOffset = 0, payloadLength = 20, stream = STREAM } = {}): Lines {
  return buildLines({
    stream,
    firstOffset,
    lamports: Float64Array.from({ length: count }, (_, at) => 2 * (firstOffset + at) + 1),
    timestamps: Float64Array.from({ length: count }, (_, at) => 1e15 + 1000 * (firstOffset + at)),
    events: Array.from({ length: count }, (_, at) => ({
      tags: toTagSet(['all', `mod10-${String((firstOffset + at) % 10)}`, `n-${String(firstOffset + at)}`]),
      appId: 'com.example.app',
      payload: Buffer.from(JSON.stringify(`${String(at)}:`.padEnd(payloadLength, 'xyz'))),
    })),
  })
}
