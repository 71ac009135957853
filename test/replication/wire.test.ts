import fc from 'fast-check'
import t from 'tap'
import {
  BUCKET_DIGEST_BYTES,
  BUCKETS,
  decodeAnswer,
  decodeLive,
  decodeRequest,
  DIGEST_BYTES,
  encodeAnswer,
  encodeLive,
  encodeRequest,
  groupItems,
  MARK_BYTES,
  MAX_BROADCAST_BYTES,
  MAX_STATEMENT_BYTES,
  type LiveMessage,
  type SyncAnswer,
  type SyncRequest,
} from '../../replication/index.js'
import { decodeProbe, encodeProbe, inspectFrame, splitFrame } from '../../replication/libp2p/gossip-frames.js'
import { decodePeers, encodePeers } from '../../replication/libp2p/peer-exchange.js'

const bytes = fc.uint8Array({ maxLength: 300 }).map((each) => Buffer.from(each))
const list = fc.array(bytes, { maxLength: 20 })
const number = fc.oneof(fc.nat(300), fc.maxSafeNat(), fc.constant(Number.MAX_SAFE_INTEGER))
const stream = fc.nat(70_000).map((at) => `${'.'.repeat(43)}-${at}`)

const digest = fc.uint8Array({ minLength: DIGEST_BYTES, maxLength: DIGEST_BYTES }).map((each) => Buffer.from(each))
const bits = fc.uint8Array({ minLength: BUCKETS / 8, maxLength: BUCKETS / 8 }).map((each) => Buffer.from(each))
const mark = fc.uint8Array({ minLength: MARK_BYTES, maxLength: MARK_BYTES }).map((each) => Buffer.from(each))
const digests = fc
  .uint8Array({ minLength: BUCKETS * BUCKET_DIGEST_BYTES, maxLength: BUCKETS * BUCKET_DIGEST_BYTES })
  .map((each) => Buffer.from(each))
const seal = fc
  .record({ stream, firstOffset: fc.nat(), count: fc.integer({ min: 1, max: 2000 }), byte: fc.nat(255) })
  .map(({ stream, firstOffset, count, byte }) => {
    return { stream, firstOffset, nextOffset: firstOffset + count, signature: Buffer.alloc(64, byte) }
  })
const seals = fc.array(seal, { maxLength: 20 })

const statement = fc.record({ bytes, byte: fc.nat(255) }).map(({ bytes, byte }) => {
  return { bytes, signature: Buffer.alloc(64, byte) }
})
const fork = fc
  .array(statement, { minLength: 1, maxLength: 2 })
  .map((statements) => ({ kind: 'fork', statements }) as const)

const live: fc.Arbitrary<LiveMessage> = fc.oneof(
  bytes.map((run) => ({ kind: 'run', run }) as const),
  list.map((heads) => ({ kind: 'heads', heads }) as const),
  bytes.map((bytes) => ({ kind: 'block', bytes }) as const),
  seals.map((seals) => ({ kind: 'seals', seals }) as const),
  fork,
)
const requests: fc.Arbitrary<SyncRequest> = fc.oneof(
  digest.map((digest) => ({ kind: 'compare', digest }) as const),
  fc.record({
    kind: fc.constant('heads' as const),
    buckets: bits,
    known: fc.array(fc.record({ mark, held: number }), { maxLength: 20 }),
  }),
  fc.record({ kind: fc.constant('fetch' as const), stream, from: number, to: number }),
  fc.record({ kind: fc.constant('seals' as const), stream, from: number, limit: number }),
  fc.array(mark, { maxLength: 20 }).map((known) => ({ kind: 'forks', known }) as const),
)
const answers: fc.Arbitrary<SyncAnswer> = fc.oneof(
  fc.constant({ kind: 'same' } as const),
  digests.map((digests) => ({ kind: 'buckets', digests }) as const),
  fc.record({
    kind: fc.constant('known' as const),
    same: bytes,
    held: fc.array(fc.record({ at: number, held: number }), { maxLength: 20 }),
  }),
  fc
    .array(fc.record({ head: bytes, held: number }), { maxLength: 20 })
    .map((heads) => ({ kind: 'heads', heads }) as const),
  bytes.map((run) => ({ kind: 'run', run }) as const),
  fc.record({ kind: fc.constant('block' as const), firstOffset: number, nextOffset: number, bytes }),
  number.map((firstOffset) => ({ kind: 'pruned', firstOffset }) as const),
  seals.map((seals) => ({ kind: 'seals', seals }) as const),
  fork,
)

const codecs: {
  name: string
  values: fc.Arbitrary<any>
  encode: (value: any) => Buffer
  decode: (b: Buffer) => any
}[] = [
  { name: 'live messages', values: live, encode: encodeLive, decode: decodeLive },
  { name: 'requests', values: requests, encode: encodeRequest, decode: decodeRequest },
  { name: 'answers', values: answers, encode: encodeAnswer, decode: decodeAnswer },
]

for (const { name, values, encode, decode } of codecs) {
  t.test(`${name} come back as they were, and have one form each`, (t) => {
    fc.assert(
      fc.property(values, (value) => {
        const encoded = encode(value)
        const decoded = decode(encoded)
        t.same(decoded, value)
        return encode(decoded).equals(encoded)
      }),
      { numRuns: 200 },
    )
    t.end()
  })

  t.test(`${name} that are cut, lengthened or changed are refused, or are another one in its one form`, (t) => {
    fc.assert(
      fc.property(values, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, place, change) => {
        const encoded = encode(value)
        if (decode(encoded.subarray(0, place % encoded.length)) !== undefined) return false
        if (decode(Buffer.concat([encoded, Buffer.alloc(1)])) !== undefined) return false
        const changed = Buffer.from(encoded)
        changed[place % changed.length]! ^= change
        const other = decode(changed)
        return other === undefined || encode(other).equals(changed)
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        const decoded = decode(Buffer.concat([Buffer.from([1]), random]))
        return decoded === undefined || encode(decoded).length === random.length + 1
      }),
      { numRuns: 1000 },
    )
    t.end()
  })
}

t.test('a list that promises more than it holds takes no memory', (t) => {
  t.equal(decodeLive(Buffer.from([1, 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f])), undefined)
  t.equal(decodeRequest(Buffer.concat([Buffer.from([1, 3, 5]), Buffer.from('no-id'), Buffer.from([0, 0])])), undefined)
  t.end()
})

t.test('a fork is one or two statements of a bounded length, which can be broadcast together', (t) => {
  const statementOf = (bytes: number, signature = 64) => {
    return { bytes: Buffer.alloc(bytes, 7), signature: Buffer.alloc(signature, 7) }
  }
  const longest = statementOf(MAX_STATEMENT_BYTES)
  const encoded = encodeLive({ kind: 'fork', statements: [longest, longest] })
  t.ok(encoded.length < MAX_BROADCAST_BYTES)
  t.match(decodeLive(encoded), { kind: 'fork', statements: [{}, {}] })
  for (const statements of [
    [],
    [longest, longest, longest],
    [statementOf(MAX_STATEMENT_BYTES + 1)],
    [statementOf(10, 63)],
    [statementOf(10, 65)],
  ]) {
    t.equal(decodeLive(encodeLive({ kind: 'fork', statements })), undefined)
    t.equal(decodeAnswer(encodeAnswer({ kind: 'fork', statements })), undefined)
  }
  t.equal(decodeRequest(encodeRequest({ kind: 'forks', known: [Buffer.alloc(MARK_BYTES + 1)] })), undefined)
  t.end()
})

t.test('heads are grouped so that each group can be broadcast, and none is lost', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(60_000), { maxLength: 40 }), (sizes) => {
      const items = sizes.map((size, at) => Buffer.alloc(size, at))
      const groups = [...groupItems(items, ({ length }) => length)]
      t.same(groups.flat(), items)
      return groups.every((heads) => encodeLive({ kind: 'heads', heads }).length <= MAX_BROADCAST_BYTES)
    }),
    { numRuns: 30 },
  )
  t.same([...groupItems([Buffer.alloc(MAX_BROADCAST_BYTES)], ({ length }) => length)], [])
  t.end()
})

t.test('a gossip frame is cut between its fields, and the pieces say what it said', (t) => {
  const content = fc.uint8Array({ maxLength: 200 })
  const field = fc.tuple(fc.integer({ min: 1, max: 15 }), content).map(([number, each]) => {
    const length = each.length < 128 ? [each.length] : [(each.length % 128) + 128, Math.floor(each.length / 128)]
    return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), each])
  })
  fc.assert(
    fc.property(fc.array(field, { maxLength: 30 }), fc.integer({ min: 1, max: 1000 }), (fields, max) => {
      const frame = Buffer.concat(fields)
      const pieces = splitFrame(frame, max)
      const widest = Math.max(0, ...fields.map(({ length }) => length))
      if (pieces.some(({ length }) => length > Math.max(max, widest))) return false
      return (
        Buffer.concat(pieces).equals(frame) &&
        pieces.every((piece) => inspectFrame(piece) !== undefined || fields.some((each) => each[0] === 26))
      )
    }),
  )
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (frame) => void inspectFrame(frame)))
  t.end()
})

t.test('probes come back as they were, and nothing else is taken for one', (t) => {
  for (const kind of ['ping', 'pong'] as const) {
    t.same(decodeProbe(encodeProbe({ kind, number: 0xffffffff })), { kind, number: 0xffffffff })
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), (frame) => decodeProbe(frame) === undefined))
  t.end()
})

t.test('of what peers say about peers only nodes with addresses are taken', (t) => {
  const nodeId = '.'.repeat(43)
  const peers = [{ nodeId, addresses: ['/ip4/10.0.0.1/tcp/4001', '/ip4/127.0.0.1/tcp/4001'] }]
  t.same(decodePeers(encodePeers(peers, true)), peers)
  t.same(decodePeers(encodePeers(peers, false)), [{ nodeId, addresses: ['/ip4/10.0.0.1/tcp/4001'] }])
  const many = Array.from({ length: 128 }, (_, at) => {
    const other = `${String(at).padStart(3, '0')}${'.'.repeat(40)}`
    return { nodeId: other, addresses: [`/ip4/10.0.0.${String(at)}/tcp/4001`] }
  })
  const told = Array.from({ length: 50 }, () => decodePeers(encodePeers(many, true)).map((peer) => peer.nodeId))
  t.ok(told.every((each) => each.length === 64 && new Set(each).size === 64))
  t.equal(new Set(told.flat()).size, 128, 'of many, chance decides who is told of')
  const said = [
    [nodeId, ['/ip4/10.0.0.1/udp/1', 7, '/ip4/10.0.0.2/tcp/1']],
    ['x', ['/ip4/10.0.0.3/tcp/1']],
    5,
    [nodeId],
  ]
  t.same(decodePeers(Buffer.from(JSON.stringify(said))), [{ nodeId, addresses: ['/ip4/10.0.0.2/tcp/1'] }])
  fc.assert(fc.property(fc.uint8Array(), (random) => Array.isArray(decodePeers(random))))
  fc.assert(fc.property(fc.jsonValue(), (value) => Array.isArray(decodePeers(Buffer.from(JSON.stringify(value))))))
  t.end()
})
