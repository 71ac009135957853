import { connect, type Socket } from 'node:net'
import { Random } from '../support/random.js'
import { fuzzNode, type Fuzzed } from './fuzz-node.js'
import { mutate, mutateJson } from './mutate.js'
import { type PartResult, type Tally, type Trials } from './part.js'

export const name = 'fuzz-ws'

export const nightlyCount = 1_000_000

/** Inputs that share one connection, as long as the server keeps it. */
const INPUTS_PER_CONNECTION = 20
const TIMEOUT_MS = 20_000

/** A broken frame may take the ping for its content: milliseconds after which that is assumed. */
const SWALLOWED_MS = 60

const request = (service: string, payload: string, id = '1'): Buffer =>
  Buffer.from(`{"type":"request","requestId":${id},"serviceId":"${service}","payload":${payload}}`)

const SEEDS = [
  request('offsets', 'null'),
  request('publish', '{"data":[{"tags":["b"],"payload":{"x":1}}]}', '2'),
  request('query', `{"query":"FROM 'a'","order":"asc","lowerBound":{},"upperBound":null}`, '3'),
  request('query', '{"query":"FEATURES(aggregate) FROM allEvents AGGREGATE LAST(_)","order":"desc"}', '4'),
  request('subscribe', `{"query":"FROM 'a'","lowerBound":{}}`, '5'),
  request('subscribe_monotonic', `{"query":"FROM 'a'","session":"x","lowerBound":{}}`, '6'),
  Buffer.from('{"type":"cancel","requestId":5}'),
  request('nothing', '{}', '9007199254740991'),
]

// prettier-ignore
const WORDS = [
  '{', '}', '[', ']', '"', ',', ':', '\\', '\\u0000', '\\ud800', 'null', 'true', ' ', '\n', '\0', '"type"', '"request"', '"cancel"',
  '"requestId":', '"serviceId":', '"payload":', '"query"', '"order"', '"lowerBound"', '"data"', '"tags"', '{"a":', '[[[[[[', '9007199254740992', 'é',
]

export function unavailable(): string | undefined {
  return undefined
}

/** Mutated messages in proper frames, and frames that break the framing itself; only the one connection may suffer. */
export async function run(trials: Trials): Promise<PartResult> {
  const lanes = new Map<number, Peer>()
  try {
    return await fuzzNode(name, trials, (fuzzed, trial, tally) => send(lanes, fuzzed, trial, tally))
  } finally {
    for (const peer of lanes.values()) peer.socket.destroy()
  }
}

interface Peer {
  readonly socket: Socket
  inputs: number
  closed: boolean
  /** Called when the pong of the latest ping arrives or the connection ends. */
  onEcho: () => void
}

async function send(lanes: Map<number, Peer>, { node, client }: Fuzzed, trial: number, tally: Tally): Promise<void> {
  const random = new Random(trial)
  const lane = trial % 16
  const held = lanes.get(lane)
  lanes.delete(lane)
  const peer = held === undefined || held.closed ? await openPeer(node.port, client.token) : held
  const input = frame(random, message(random))
  peer.socket.write(Buffer.concat([input, PING]))
  await echo(peer, input)
  tally.note(peer.closed ? 'connection closed by the server' : 'connection kept')
  if (!peer.closed && ++peer.inputs < INPUTS_PER_CONNECTION && !lanes.has(lane)) lanes.set(lane, peer)
  else peer.socket.destroy()
}

function message(random: Random): Buffer {
  if (random.chance(0.3)) return mutate(random, SEEDS, WORDS)
  const value: unknown = JSON.parse(random.pick(SEEDS).toString())
  return Buffer.from(JSON.stringify(mutateJson(random, value, WORDS)))
}

/** An empty masked ping. */
const PING = Buffer.from([0x89, 0x80, 0, 0, 0, 0])

/** A text frame with a mask, or now and then a frame that no client may send. */
function frame(random: Random, payload: Buffer): Buffer {
  const broken = random.chance(0.15)
  const opcode = broken ? random.below(256) : 0x81
  const masked = broken ? random.below(2) * 0x80 : 0x80
  const length = broken && random.chance(0.3) ? random.below(2 ** 17) : payload.length
  const head =
    length < 126
      ? Buffer.from([opcode, masked | length])
      : length < 65_536
        ? Buffer.from([opcode, masked | 126, length >> 8, length & 255])
        : Buffer.from([opcode, masked | 127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 255, length & 255])
  return Buffer.concat([head, masked === 0 ? Buffer.alloc(0) : Buffer.alloc(4), payload])
}

/** Waits for the pong or the end. A broken frame may swallow the ping as its content: then the input is simply over. */
function echo(peer: Peer, input: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const swallowed = setTimeout(() => {
      peer.closed = true
      resolve()
    }, SWALLOWED_MS)
    const timer = setTimeout(() => {
      reject(new Error(`no reaction to ${JSON.stringify(input.toString('latin1').slice(0, 300))}`))
    }, TIMEOUT_MS)
    peer.onEcho = () => {
      clearTimeout(swallowed)
      clearTimeout(timer)
      resolve()
    }
    if (peer.closed) peer.onEcho()
  })
}

function openPeer(port: number, token: string): Promise<Peer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const peer: Peer = { socket, inputs: 0, closed: false, onEcho: () => undefined }
    let head = ''
    socket.on('data', (chunk) => {
      if (head.includes('\r\n\r\n')) {
        if (chunk.includes(PONG)) peer.onEcho()
        return
      }
      head += chunk.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      if (head.startsWith('HTTP/1.1 101')) resolve(peer)
      else reject(new Error(`upgrade refused: ${head.slice(0, 200)}`))
    })
    const end = (): void => {
      peer.closed = true
      peer.onEcho()
      reject(new Error('connection closed during the upgrade'))
    }
    socket.on('error', end)
    socket.on('close', end)
    socket.write(
      `GET /api/v2/events?${token} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
        'sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    )
  })
}

/** An empty pong as servers send it. */
const PONG = Buffer.from([0x8a, 0x00])
