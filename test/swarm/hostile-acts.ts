import { randomBytes } from 'node:crypto'
import type { NodeId } from '../../core/index.js'
import { DIGEST_BYTES, encodeAnswer, encodeRequest, type SyncRequest } from '../../replication/index.js'
import { decodeRun, encodeHead, encodeRun, type SignedHead } from '../../storage/index.js'
import { Forger } from '../support/forgery.js'
import { delay } from '../faults/kill.js'
import { check } from '../faults/part.js'
import { field, GOSSIP, gossipFrame, pieces } from '../replication/raw-node.js'
import type { HostilePeer } from './hostile-peer.js'

/** Something that nobody honest does. */
export interface HostileAct {
  readonly name: string
  /**
   * Whether it moves single messages of many mebibytes. What V8 leaves lying around of these before it collects is as much
   * as all else may take.
   */
  readonly isLarge?: boolean
  /** Whether it proves that the peer is at fault; else it only must do no harm. */
  readonly cuts: boolean
  /** @param honest who publishes all the time. @returns who did it, when it was not the peer itself */
  readonly run: (peer: HostilePeer, honest: NodeId) => Promise<NodeId | undefined>
}

/** How long a flood lasts at most, ms. */
const FLOOD_MS = 20_000
/** Lines of the largest runs, and answers, that are sent, bytes. */
const LARGE_BYTES = 16 * 1024 * 1024
/** Second byte of a request for events. */
const FETCH = 3

/** Says things until the victim has had enough. */
async function flood(peer: HostilePeer, times: number, say: (at: number) => Promise<unknown>): Promise<undefined> {
  const deadline = performance.now() + FLOOD_MS
  try {
    for (let at = 0; at < times && peer.isConnected && performance.now() < deadline; at++) await say(at)
  } catch (error) {
    // Cut off in the middle of a question.
    if (peer.isConnected) throw error
  }
}

function wrong(head: SignedHead): SignedHead {
  return { ...head, signature: randomBytes(64) }
}

function act(name: string, cuts: boolean, run: HostileAct['run']): HostileAct {
  return { name, cuts, run }
}

const broadcasts: readonly HostileAct[] = [
  act('garbage', true, (peer) => flood(peer, 100, () => peer.sayBytes(randomBytes(1000)))),
  act('giant counts', true, (peer) =>
    flood(peer, 100, (at) =>
      peer.sayBytes(Buffer.concat([Buffer.from([1, 2]), Buffer.alloc(7, 0xff), Buffer.from([1, at])])),
    ),
  ),
  act('forged heads', true, async (peer, honest) => {
    const head = await peer.headOf(honest)
    return flood(peer, 100, (at) => {
      const ahead = wrong({ ...head, nextOffset: head.nextOffset + 1000 + at })
      return peer.say({ kind: 'heads', heads: [encodeHead(ahead)] })
    })
  }),
  act('forged commits', true, async (peer, honest) => {
    const head = await peer.headOf(honest)
    return flood(peer, 100, async (at) => {
      const forged = await peer.forger.firstRun(['1'], { stream: head.stream, nextOffset: head.nextOffset + 1000 + at })
      await peer.say({ kind: 'run', run: await encodeRun(forged) })
    })
  }),
  act('forged seals', true, async (peer, honest) =>
    flood(peer, 400, async () => {
      const { stream, nextOffset, blockOffset } = await peer.headOf(honest)
      const seal = { stream, firstOffset: blockOffset, nextOffset, signature: randomBytes(64) }
      await peer.say({
        kind: 'seals',
        seals: Array.from({ length: 50 }, () => ({ ...seal, signature: randomBytes(64) })),
      })
    }),
  ),
  act('forged forks', true, async (peer, honest) => {
    const head = await peer.headOf(honest)
    return flood(peer, 100, (at) => {
      const pair = [head, { ...head, timeMicros: at, hash: randomBytes(32) }]
      return peer.say({ kind: 'fork', statements: pair.map((each) => peer.forger.statementOf(each)) })
    })
  }),
  act('forks of its own without end', true, (peer) =>
    flood(peer, 100_000, async (at) => {
      const stream = peer.forger.stream(at % 30)
      const head = await peer.forger.head({ stream, nextOffset: 5, timeMicros: at })
      const other = await peer.forger.head({ stream, nextOffset: 5, hash: randomBytes(32) })
      if (at < 30) await peer.say({ kind: 'heads', heads: [encodeHead(head)] })
      await peer.say({ kind: 'fork', statements: [head, other].map((each) => peer.forger.statementOf(each)) })
    }),
  ),
  act('names that are none, lamports near 2^53', true, (peer) =>
    flood(peer, 100, async (at) => {
      const head = await peer.forger.head(
        at % 2 === 0 ? { nextOffset: at + 1, name: 'a\nb' } : { nextOffset: at + 1, lamport: 2 ** 53 - 2 },
      )
      await peer.say({ kind: 'heads', heads: [encodeHead(head)] })
    }),
  ),
  act('old commits in other bytes', true, async (peer, honest) => {
    const { stream, nextOffset } = await peer.headOf(honest)
    const [answer] = await peer.ask({ kind: 'fetch', stream, from: nextOffset - 1, to: nextOffset }, 1)
    const run = answer?.kind === 'run' ? await decodeRun(answer.run) : undefined
    check(run !== undefined, () => 'the victim gives no commits')
    return flood(peer, 50_000, async () =>
      peer.say({ kind: 'run', run: await encodeRun({ ...run, blockSignature: randomBytes(64) }) }),
    )
  }),
  act('the same head many times', true, async (peer, honest) => {
    const head = encodeHead(await peer.headOf(honest))
    return flood(peer, 100, (at) => peer.say({ kind: 'heads', heads: Array.from({ length: 500 + at }, () => head) }))
  }),
  act('old heads again and again', false, async (peer, honest) => {
    const head = encodeHead(await peer.headOf(honest))
    await delay(500)
    return flood(peer, 500, async (at) => {
      const other = await peer.forger.head({ nextOffset: 1, timeMicros: at })
      await peer.say({ kind: 'heads', heads: [encodeHead(other), head] })
    })
  }),
  act('heads without end of events that nobody has', true, (peer) =>
    flood(peer, 100_000, async (at) => {
      const heads: Uint8Array[] = []
      for (let number = 0; number < 200; number++) {
        const stream = peer.forger.stream(number)
        heads.push(encodeHead(await peer.forger.head({ stream, nextOffset: 1000 + at, lamport: 1 })))
      }
      await peer.say({ kind: 'heads', heads })
    }),
  ),
  act('lines that swell', true, (peer) =>
    flood(peer, 30, async (at) => {
      const lines = Buffer.alloc(LARGE_BYTES, 32)
      lines.write(String(at))
      await peer.say({ kind: 'run', run: await encodeRun(await peer.forger.runOf(lines, 1)) })
    }),
  ),
]

const floods: readonly HostileAct[] = [
  act('comparing without end', true, (peer) =>
    flood(peer, 20_000, () =>
      Promise.all(Array.from({ length: 6 }, () => peer.ask({ kind: 'compare', digest: randomBytes(DIGEST_BYTES) }))),
    ),
  ),
  act('the same events again and again', false, async (peer, honest) => {
    const { stream, nextOffset } = await peer.headOf(honest)
    return flood(peer, 200, () =>
      Promise.all(Array.from({ length: 6 }, () => peer.ask({ kind: 'fetch', stream, from: 0, to: nextOffset }))),
    )
  }),
  act('nonsense instead of requests', true, (peer) => flood(peer, 50, () => peer.ask(randomBytes(50)))),
  act('answers that nobody reads', false, async (peer, honest) => {
    const { stream, nextOffset } = await peer.headOf(honest)
    const open = askAndStop(peer, { kind: 'fetch', stream, from: 0, to: nextOffset })
    for (const answer of open) await answer.next().catch(() => undefined)
    await delay(3_000)
    return undefined
  }),
]

/** Eight requests at once, which end after a while. */
function askAndStop(peer: HostilePeer, request: SyncRequest): AsyncIterator<Uint8Array>[] {
  const bytes = encodeRequest(request)
  const signal = AbortSignal.timeout(3_000)
  const ask = () => peer.transport.request(peer.target.nodeId, bytes, { signal })
  return Array.from({ length: 8 }, () => ask()[Symbol.asyncIterator]())
}

const lies: readonly HostileAct[] = [
  act('the same answer without end', true, async (peer) => {
    const run = await peer.forger.firstRun(['1'])
    const answer = encodeAnswer({ kind: 'run', run: await encodeRun(run) })
    peer.transport.onRequest(async function* () {
      for (let at = 0; at < 1_000_000; at++) yield await Promise.resolve(answer)
    })
    return announce(peer)
  }),
  act('events of others than were asked for', true, async (peer, honest) => {
    const { stream, nextOffset } = await peer.headOf(honest)
    const [answer] = await peer.ask({ kind: 'fetch', stream, from: nextOffset - 1, to: nextOffset }, 1)
    check(answer !== undefined, () => 'the victim gives no commits')
    peer.transport.onRequest(async function* () {
      yield await Promise.resolve(encodeAnswer(answer))
    })
    return announce(peer)
  }),
  act('heads without end in an answer', true, async (peer) => {
    const head = encodeHead(await peer.forger.head({ nextOffset: 1 }))
    const heads = Array.from({ length: 500 }, () => ({ head, held: 2 ** 50 }))
    peer.transport.onRequest(async function* (_peer, request) {
      if (request[1] === 7) yield await Promise.resolve(encodeAnswer({ kind: 'buckets', digests: randomBytes(2048) }))
      else for (let at = 0; at < 1000; at++) yield encodeAnswer({ kind: 'heads', heads })
    })
    // It is asked in the next rounds.
    await delay(4_000)
    return undefined
  }),
  act('forks without end in an answer', true, async (peer) => {
    const heads = [await peer.forger.head({ nextOffset: 5 }), await peer.forger.head({ nextOffset: 6 })]
    const statements = heads.map((head) => peer.forger.statementOf(head))
    peer.transport.onRequest(async function* (_peer, request) {
      if (request[1] === 7) yield await Promise.resolve(encodeAnswer({ kind: 'buckets', digests: randomBytes(2048) }))
      else for (let at = 0; request[1] === 11 && at < 100_000; at++) yield encodeAnswer({ kind: 'fork', statements })
    })
    await delay(4_000)
    return undefined
  }),
  act('answers that never come', false, async (peer) => {
    peer.transport.onRequest(async function* (_peer, _request, signal) {
      yield* [] as Uint8Array[]
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve)
      })
    })
    await announce(peer, 64)
    await delay(3_000)
    return undefined
  }),
]

/** Says that there are events which only the peer could have. */
async function announce(peer: HostilePeer, streams = 1): Promise<undefined> {
  for (let round = 0; round < 4 && peer.isConnected; round++) {
    for (let number = 0; number < streams; number++) {
      const changes = { stream: peer.forger.stream(number), nextOffset: 100_000 + round, lamport: 100_000 + round }
      await peer.say({ kind: 'heads', heads: [encodeHead(await peer.forger.head(changes))] })
    }
    await delay(1_200)
  }
}

const members: readonly HostileAct[] = [
  act('streams without end', false, (peer) =>
    flood(peer, 1000, async (number) => {
      const run = await peer.forger.firstRun([String(number)], { stream: peer.forger.stream(number) })
      await peer.say({ kind: 'run', run: await encodeRun(run) })
    }),
  ),
  act('nodes without end', false, (peer) =>
    flood(peer, 40, async () => {
      const heads: Uint8Array[] = []
      for (let one = 0; one < 50; one++) {
        const forger = new Forger(randomBytes(32), peer.target.topic)
        heads.push(encodeHead(await forger.head({ nextOffset: 1_000_000_000_000 })))
      }
      await peer.say({ kind: 'heads', heads })
    }),
  ),
  act('the highest lamport that is believed, from a clock far off', false, async (peer) => {
    const run = await peer.forger.firstRun(['1'])
    await peer.say({ kind: 'run', run: await encodeRun(run) })
    const head = await peer.forger.head({ nextOffset: 2, lamport: 2 ** 51, timeMicros: 2 ** 53 - 1 })
    await peer.say({ kind: 'heads', heads: [encodeHead(head)] })
    await delay(1_000)
    return undefined
  }),
  act('two histories', false, async (peer) => {
    for (const payload of ['"one"', '"two"']) {
      await peer.say({ kind: 'run', run: await encodeRun(await peer.forger.firstRun([payload])) })
      await delay(1_000)
    }
    return undefined
  }),
]

const below: readonly HostileAct[] = [
  act('a frame above the limit', true, (peer) => sayBelow(peer, [Buffer.from([0xff, 0xff, 0xff, 0x7f])])),
  act('100,000 subscriptions', true, (peer) => {
    const one = (at: number): Uint8Array =>
      field(1, Buffer.concat([Buffer.from([8, 1]), field(2, Buffer.from(`t${String(at)}`))]))
    const frames = Array.from({ length: 10 }, (_, frame) =>
      gossipFrame(Buffer.concat(Array.from({ length: 10_000 }, (_, at) => one(frame * 10_000 + at)))),
    )
    return sayBelow(peer, frames)
  }),
  act('a flood of control messages', true, (peer) => {
    const entries = Array.from({ length: 20_000 }, () => field(2, randomBytes(4)))
    const frame = gossipFrame(field(3, Buffer.concat(entries)))
    return sayBelow(
      peer,
      Array.from({ length: 20 }, () => frame),
    )
  }),
]

/** Says something below gossipsub, and who said it. */
async function sayBelow(peer: HostilePeer, frames: readonly Uint8Array[]): Promise<NodeId> {
  const raw = await peer.raw()
  await raw.pretendToGossip()
  const { addresses } = peer.target
  const connection = await raw.connect({ addresses: () => addresses })
  await raw.send(connection, GOSSIP, pieces(...frames))
  return raw.nodeId
}

const large: readonly HostileAct[] = [
  act('a large event that is asked for eight times and not read', false, async (peer, honest) => {
    const { stream } = await peer.headOf(honest)
    // The first event is a large one. What comes of it is as much as the windows take.
    const open = askAndStop(peer, { kind: 'fetch', stream, from: 0, to: 1 })
    for (const answer of open) answer.next().catch(() => undefined)
    await delay(3_000)
    return undefined
  }),
  act('large answers of nothing, many at a time', true, async (peer) => {
    const answer = encodeAnswer({ kind: 'run', run: randomBytes(LARGE_BYTES) })
    peer.transport.onRequest(async function* (_peer, request) {
      if (request[1] === FETCH) yield await Promise.resolve(answer)
    })
    return announce(peer, 16)
  }),
  act('fetched lines that swell, many at a time', true, async (peer) => {
    const lines = Buffer.alloc(LARGE_BYTES, 32)
    const answers = new Map<string, Uint8Array>()
    for (let number = 0; number < 16; number++) {
      const stream = peer.forger.stream(number)
      const run = await encodeRun(await peer.forger.runOf(lines, 1, { stream }))
      answers.set(stream, encodeAnswer({ kind: 'run', run }))
    }
    peer.transport.onRequest(async function* (_peer, request) {
      for (const [stream, answer] of answers) {
        if (request[1] === FETCH && Buffer.from(request).includes(stream)) yield await Promise.resolve(answer)
      }
    })
    return announce(peer, 16)
  }),
]

export const HOSTILE_ACTS: readonly HostileAct[] = [
  ...broadcasts,
  ...floods,
  ...lies,
  ...members,
  ...below,
  // Last, since what they leave behind counts for whoever comes after them.
  ...large.map((each) => ({ ...each, isLarge: true })),
]
