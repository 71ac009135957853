import { connect } from 'node:net'
import { Random } from '../support/random.js'
import { fuzzNode, type Fuzzed } from './fuzz-node.js'
import { mutate, mutateJson } from './mutate.js'
import { check, type PartResult, type Tally, type Trials } from './part.js'

export const name = 'fuzz-http'

export const nightlyCount = 1_000_000

/** Milliseconds after which an input that was followed by the end of the connection must have been dealt with. */
const TIMEOUT_MS = 20_000

// prettier-ignore
const WORDS = [
  '\r\n', '\r\n\r\n', ' ', '\t', '\0', '%', '%00', '%2F', '/', '..', '?', '&', '=', ':', '{', '}', '[', ']', '"', '\\u0000',
  '\\ud800', 'null', 'true', 'content-length: 5\r\n', 'content-length: -1\r\n', 'transfer-encoding: chunked\r\n',
  'expect: 100-continue\r\n', 'connection: upgrade\r\nupgrade: websocket\r\n', 'connection: close\r\n', 'host: evil.example\r\n',
  'origin: http://evil.example\r\n', 'accept: text/html\r\n', 'accept: */*;q=0\r\n', 'content-type: text/plain\r\n',
  'authorization: Bearer x\r\n', 'authorization: \r\n', 'access_token=', '/api/v2/', '/events/', 'subscribe', 'blob/-/a', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'GET', 'DELETE', 'PUT', 'OPTIONS', 'HEAD', 'PATCH', 'TRACE', 'CONNECT', 'HTTP/1.0', 'HTTP/9.9', '[[[[[[[[', '{"a":', "'", '_', 'ÿ', '🚂',
]

const PUBLISH = '{"data":[{"tags":["b","c"],"payload":{"x":1.50,"y":["z",null,true,-0.0]}},{"tags":[],"payload":"p"}]}'

export function unavailable(): string | undefined {
  return undefined
}

/** Malformed and well-formed HTTP over TCP and the Unix socket: no 5xx but "busy", no crash, no error in the log. */
export function run(trials: Trials): Promise<PartResult> {
  return fuzzNode(name, trials, sendInput)
}

async function sendInput({ node, client }: Fuzzed, trial: number, tally: Tally): Promise<void> {
  const random = new Random(trial)
  const input = random.chance(0.5) ? mutate(random, seedsFor(client.token), WORDS) : mutateBody(random, client.token)
  const target = trial % 4 === 0 ? { port: node.port, host: '127.0.0.1' } : { path: node.socketPath }
  const answer = await exchange(target, input)
  for (const status of answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)) {
    const code = Number(status[1])
    tally.note(`status ${String(code)}`)
    check(code < 500, () => `status ${String(code)} for ${JSON.stringify(input.toString('latin1').slice(0, 400))}`)
  }
}

const BOUND = { [`${'.'.repeat(43)}-0`]: 3 }

/** Bodies that the resources take, before anything happens to them. */
const BODIES: readonly (readonly [string, unknown])[] = [
  ['/api/v2/auth', { appId: 'com.example.fuzz', displayName: 'f', version: '1', signature: 'AAAA' }],
  [
    '/api/v2/events/publish',
    {
      data: [
        { tags: ['b'], payload: { x: 1 } },
        { tags: [], payload: 'p' },
      ],
    },
  ],
  ['/api/v2/events/query', { query: "FROM 'a' FILTER _.a > 3", order: 'desc', lowerBound: BOUND, upperBound: {} }],
  ['/api/v2/events/query', { query: "FEATURES(aggregate) FROM 'a' AGGREGATE LAST(_)", order: 'stream-asc' }],
  ['/api/v2/events/subscribe', { query: "FROM 'a' & 'n:1'", lowerBound: BOUND }],
  ['/api/v2/events/subscribe_monotonic', { query: "FROM 'a'", session: 's', lowerBound: {} }],
  ['/api/millrace/v1/explain', { query: "FROM 'a' SELECT _.a" }],
]

/** An impeccable request with a body that is JSON, but perhaps not what is wanted. */
function mutateBody(random: Random, token: string): Buffer {
  const [path, value] = random.pick(BODIES)
  const body = JSON.stringify(mutateJson(random, value, WORDS))
  const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-type: application/json\r\n`
  return Buffer.from(`${head}content-length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`)
}

let cached: { readonly token: string; readonly seeds: readonly Buffer[] } | undefined

function seedsFor(token: string): readonly Buffer[] {
  if (cached?.token !== token) cached = { token, seeds: makeSeeds(token) }
  return cached.seeds
}

function makeSeeds(token: string): readonly Buffer[] {
  const auth = `authorization: Bearer ${token}\r\n`
  const post = (path: string, body: string, extra = auth): string =>
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\n${extra}content-type: application/json\r\ncontent-length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`
  const plain = (method: string, path: string, extra = auth): string =>
    `${method} ${path} HTTP/1.1\r\nhost: localhost\r\n${extra}\r\n`
  const bound = `{"${'.'.repeat(43)}-0":3}`
  return [
    plain('GET', '/api/v2/node/id', ''),
    plain('GET', '/api/v2/node/info'),
    plain('GET', '/api/v2/events/offsets'),
    plain('GET', `/api/v2/events/offsets?access_token=${encodeURIComponent(token)}`, ''),
    plain('GET', '/health', ''),
    plain('GET', '/ready', ''),
    plain('GET', '/metrics', ''),
    plain('GET', '/api/millrace/v1/streams'),
    plain('GET', '/api/millrace/v1/openapi.json'),
    plain('GET', `/api/millrace/v1/streams/${'A'.repeat(43)}-0/blocks?from=1&limit=2&order=desc`),
    plain('GET', '/api/millrace/v1/tags?prefix=a&limit=3'),
    plain('GET', '/api/millrace/v1/config'),
    post('/api/millrace/v1/config/check', `{"draft":"routes: [{ from: \\"'a'\\", into: b }]"}`),
    post('/api/millrace/v1/route', `{"tags":["a"],"draft":"routes: [{ from: \\"'a'\\", into: b }]"}`),
    plain('OPTIONS', '/api/v2/events/query', 'origin: http://localhost\r\naccess-control-request-method: POST\r\n'),
    post('/api/v2/auth', '{"appId":"com.example.fuzz","displayName":"f","version":"1","signature":null}', ''),
    post('/api/v2/events/publish', PUBLISH),
    post(
      '/api/v2/events/query',
      `{"query":"FROM 'a' SELECT _.a","order":"desc","lowerBound":${bound},"upperBound":{}}`,
    ),
    post('/api/v2/events/query', `{"query":"FEATURES(aggregate) FROM 'a' AGGREGATE SUM(_.a)","order":"asc"}`),
    post('/api/v2/events/subscribe', `{"query":"FROM 'a' FILTER _.a > 3","lowerBound":${bound}}`),
    post('/api/v2/events/subscribe_monotonic', `{"query":"FROM 'a'","session":"s","lowerBound":{}}`),
    post('/api/millrace/v1/explain', `{"query":"FROM 'a' FILTER _.a > 3"}`),
    `PUT /api/v2/blob/-/a/b HTTP/1.1\r\nhost: localhost\r\n${auth}content-type: text/plain\r\ncontent-length: 5\r\n\r\nhello`,
    plain('GET', '/api/v2/blob/-/a'),
    plain('DELETE', '/api/v2/blob/-/a/b'),
    `POST /api/v2/events/publish HTTP/1.1\r\nhost: localhost\r\n${auth}transfer-encoding: chunked\r\n\r\n${PUBLISH.length.toString(16)}\r\n${PUBLISH}\r\n0\r\n\r\n`,
    `GET /api/v2/events?${token} HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
  ].map((text) => Buffer.from(text, 'latin1'))
}

/** Sends bytes, ends the sending side, and reads until the server closes or, for endless answers, goes quiet. */
function exchange(target: { port: number; host: string } | { path: string }, input: Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(target)
    let answer = ''
    let quiet: NodeJS.Timeout | undefined
    const timer = setTimeout(() => {
      socket.destroy()
      reject(
        new Error(`no end after ${String(TIMEOUT_MS)} ms: ${JSON.stringify(input.toString('latin1').slice(0, 400))}`),
      )
    }, TIMEOUT_MS)
    const done = (): void => {
      clearTimeout(timer)
      clearTimeout(quiet)
      socket.destroy()
      resolve(answer)
    }
    socket.on('data', (chunk) => {
      if (answer.length < 65_536) answer += chunk.toString('latin1')
      // A subscription or an upgraded socket has no end of its own: leave once it is quiet, as clients do.
      clearTimeout(quiet)
      quiet = setTimeout(done, 30)
    })
    socket.on('error', done)
    socket.on('close', done)
    socket.end(input)
  })
}
