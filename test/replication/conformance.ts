import type { Test } from 'tap'
import type { Transport, TransportEvent } from '../../replication/index.js'
import {
  MAX_BROADCAST_BYTES,
  MAX_REQUEST_BYTES,
  MAX_REQUESTS_PER_PEER,
  PeerBusyError,
  PeerFailedError,
  PeerUnreachableError,
} from '../../replication/index.js'
import { AbortedError, type NodeId } from '../../core/index.js'

/** A swarm of one implementation, as the conformance tests need it. */
export interface Bed {
  /** Starts that many nodes and waits until each is connected to each. */
  swarm(t: Test, nodes: number): Promise<Transport[]>
  /** Waits until something holds; in virtual time by letting it pass. */
  until(what: string, holds: () => boolean): Promise<void>
  /** Lets a promise come to its end. */
  during<T>(promise: Promise<T>): Promise<T>
}

const never = new AbortController().signal
const bytes = (text: string) => Buffer.from(text)

/** Takes all broadcasts and keeps them. */
export function listen(transport: Transport): { texts: string[]; from: NodeId[] } {
  const heard = { texts: [] as string[], from: [] as NodeId[] }
  transport.onBroadcast(async (message, from) => {
    heard.texts.push(Buffer.from(message).toString())
    heard.from.push(from)
    return 'accept'
  })
  return heard
}

export async function collect(answer: AsyncIterable<Uint8Array>): Promise<string[]> {
  const texts: string[] = []
  for await (const message of answer) texts.push(Buffer.from(message).toString())
  return texts
}

/** Tests that every transport passes. */
export function testConformance(t: Test, bed: Bed): void {
  t.test('a broadcast reaches every other node once, and not its maker', async (t) => {
    const nodes = await bed.swarm(t, 4)
    const heard = nodes.map(listen)
    await bed.during(nodes[0]!.broadcast(bytes('hello')))
    await bed.until('all heard', () => heard.slice(1).every(({ texts }) => texts.length > 0))
    await bed.during(nodes[1]!.broadcast(bytes('again')))
    await bed.until('all heard', () => [0, 2, 3].every((at) => heard[at]!.texts.includes('again')))
    t.same(heard[0]!.texts, ['again'])
    t.same(heard[1]!.texts, ['hello'])
    t.same(heard[2]!.texts.sort(), ['again', 'hello'])
    t.equal(await bed.during(nodes[0]!.broadcast(bytes('hello'))), 0, 'the same bytes again go nowhere')
  })

  t.test('a broadcast up to the limit goes through, one above it is refused', async (t) => {
    const [one, two] = await bed.swarm(t, 2)
    const heard = listen(two!)
    await bed.during(one!.broadcast(Buffer.alloc(MAX_BROADCAST_BYTES, 'x')))
    await bed.until('heard', () => heard.texts.length === 1)
    t.equal(heard.texts[0]!.length, MAX_BROADCAST_BYTES)
    await t.rejects(one!.broadcast(Buffer.alloc(MAX_BROADCAST_BYTES + 1)), { code: 'ERR_MESSAGE_TOO_LARGE' })
    await bed.during(one!.broadcast(bytes('after it')))
    await bed.until('heard', () => heard.texts.length === 2)
    t.equal(heard.from[1], one!.nodeId)
  })

  t.test('a validator that throws costs the sender nothing; one that rejects cuts it after a while', async (t) => {
    const [one, two] = await bed.swarm(t, 2)
    const events: TransportEvent[] = []
    two!.subscribe((event) => events.push(event))
    let seen = 0
    two!.onBroadcast(async (message) => {
      seen++
      if (message[0] === 0) throw new Error('a fault of the validator')
      return 'reject'
    })
    for (let at = 0; at < 20; at++) await bed.during(one!.broadcast(Buffer.from([0, at])))
    await bed.until('all seen', () => seen === 20)
    t.same(events, [])
    for (let at = 0; at < 20; at++) await bed.during(one!.broadcast(Buffer.from([1, at])))
    await bed.until('cut', () => events.some(({ kind }) => kind === 'gone'))
    t.match(events[0], { kind: 'gone', peer: one!.nodeId, failure: { reason: 'misbehaved' } })
    t.match(two!.peers(), [{ nodeId: one!.nodeId, state: 'cut' }])
    t.ok(two!.counters().rejected >= 10)
    t.equal(two!.counters().cuts, 1)
    await bed.until('the other noticed', () => one!.connectedPeers().length === 0)
  })

  t.test('a request is answered message by message, empty and big ones included', async (t) => {
    const [one, two] = await bed.swarm(t, 2)
    two!.onRequest(async function* (peer, request) {
      yield bytes(`${peer} asks ${Buffer.from(request).toString()}`)
      yield bytes('')
      yield Buffer.alloc(3_000_000, 'y')
    })
    const ask = (text: string) => collect(one!.request(two!.nodeId, bytes(text), { signal: never }))
    const [greeting, empty, big] = await bed.during(ask('this'))
    t.equal(greeting, `${one!.nodeId} asks this`)
    t.equal(empty, '')
    t.equal(big!.length, 3_000_000)
    t.equal((await bed.during(ask('')))[0], `${one!.nodeId} asks `)
    const answers = await bed.during(Promise.all(Array.from({ length: 5 }, (_, at) => ask(String(at)))))
    t.same(
      answers.map(([text]) => text),
      [0, 1, 2, 3, 4].map((at) => `${one!.nodeId} asks ${at}`),
    )
    await t.rejects(bed.during(ask('x'.repeat(MAX_REQUEST_BYTES + 1))), { code: 'ERR_MESSAGE_TOO_LARGE' })
  })

  t.test('an answer is made only as fast as it is read, and ends when its reader does', async (t) => {
    const [one, two] = await bed.swarm(t, 2)
    let made = 0
    let ended = false
    two!.onRequest(async function* (_peer, _request, signal) {
      try {
        for (; made < 10_000 && !signal.aborted; made++) yield Buffer.alloc(64 * 1024)
      } finally {
        ended = true
      }
    })
    const read = async () => {
      for await (const message of one!.request(two!.nodeId, bytes('all'), { signal: never })) {
        t.equal(message.length, 64 * 1024)
        const before = made
        await bed.until('the maker stands still', () => made >= before)
        break
      }
    }
    await bed.during(read())
    await bed.until('the answer was ended', () => ended)
    t.ok(made < 1000, `made ${made} of 10,000 messages`)
  })

  t.test('requests fail with the reason: no connection, no handler, fault, abort, too many', async (t) => {
    const [one, two] = await bed.swarm(t, 2)
    const ask = (signal = never) => collect(one!.request(two!.nodeId, bytes('?'), { signal }))
    const stranger = '.'.repeat(43)
    await t.rejects(bed.during(collect(one!.request(stranger, bytes('?'), { signal: never }))), PeerUnreachableError)
    await t.rejects(bed.during(ask()), PeerBusyError)
    // eslint-disable-next-line require-yield
    two!.onRequest(async function* () {
      throw new AbortedError('the shelf is empty')
    })
    await t.rejects(bed.during(ask()), new PeerFailedError(two!.nodeId, 'cannot answer: the shelf is empty'))
    let waiting = 0
    let gone = 0
    // eslint-disable-next-line require-yield
    two!.onRequest(async function* (_peer, _request, signal) {
      waiting++
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      gone++
    })
    const abort = new AbortController()
    const many = Array.from({ length: MAX_REQUESTS_PER_PEER }, () =>
      ask(abort.signal).then(
        () => 'answered',
        (error: unknown) => error,
      ),
    )
    await bed.until('all wait', () => waiting === MAX_REQUESTS_PER_PEER)
    await t.rejects(bed.during(ask()), PeerBusyError)
    abort.abort()
    for (const error of await bed.during(Promise.all(many))) t.type(error, AbortedError)
    await bed.until('the answers were ended', () => gone === MAX_REQUESTS_PER_PEER)
    two!.onRequest(async function* () {
      yield bytes('there is room again')
    })
    t.same(await bed.during(ask()), ['there is room again'])
  })

  t.test('when a node closes, its requests end, others hear that it is gone, and it can be closed twice', async (t) => {
    const [one, two] = await bed.swarm(t, 2)
    const events: TransportEvent[] = []
    one!.subscribe((event) => events.push(event))
    two!.onRequest(async function* (_peer, _request, signal) {
      yield bytes('first')
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    })
    const answer = one!.request(two!.nodeId, bytes('?'), { signal: never })[Symbol.asyncIterator]()
    t.equal(Buffer.from((await bed.during(answer.next())).value).toString(), 'first')
    const rest = answer.next().then(
      () => 'answered',
      (error: unknown) => error,
    )
    await bed.during(two!.close())
    await two!.close()
    t.type(await bed.during(rest), PeerFailedError)
    await bed.until('gone', () => events.length > 0)
    t.match(events[0], { kind: 'gone', peer: two!.nodeId, failure: { reason: 'broken-off' } })
    t.match(one!.peers(), [{ nodeId: two!.nodeId, failure: { reason: 'broken-off' } }])
    await t.rejects(two!.broadcast(bytes('?')), { code: 'ERR_SWARM_CLOSED' })
    await t.rejects(collect(two!.request(one!.nodeId, bytes('?'), { signal: never })), { code: 'ERR_SWARM_CLOSED' })
  })
}
