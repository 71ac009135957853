import t from 'tap'
import { connect } from 'node:net'
import { once } from 'node:events'
import { spawnSync } from 'node:child_process'
import { lstatSync, writeFileSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import {
  connect as connectHttp2,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { join } from 'node:path'
import fc from 'fast-check'
import { AqlSyntaxError } from '../../aql/index.js'
import { systemClock } from '../../core/index.js'
import { openTokenKeys, renewTokenKeys, SignedTokens, type ApiOptions } from '../../node/api/index.js'
import { HOLDERS, StoreFullError, StoreIoError, StoreReadOnlyError, type BlockPage } from '../../storage/index.js'
import { NOTHING_EXPLAINED, startApi, TEST_KEY, type ApiNode } from './support/api-node.js'
import { OpenApi } from '../support/open-api.js'
import { viewsFor } from '../support/operations.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { ask, linesOf, type AskOptions, type Reply } from '../support/ask.js'

const BASE64_CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/'

const OFFSETS = '/api/v2/events/offsets'
const PUBLISH = '/api/v2/events/publish'
const QUERY = '/api/v2/events/query'
const SUBSCRIBE = '/api/v2/events/subscribe'
const MONOTONIC = '/api/v2/events/subscribe_monotonic'

/** A request with a good token. */
function call({ url, token }: ApiNode, path: string, options: AskOptions = {}): Promise<Reply> {
  return ask(url, path, { ...options, headers: { authorization: `Bearer ${token}`, ...options.headers } })
}

function post(node: ApiNode, path: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
  return call(node, path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) })
}

function errorOf({ status, text }: Reply): [number, string, string] {
  const { code, message, ...rest } = JSON.parse(text) as { code: string; message: string }
  return Object.keys(rest).length === 0 ? [status, code, message] : [0, '', text]
}

/** Resolves when the condition holds; there is nothing to wait for but the event loop. */
async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

t.test('an app gets a token, publishes, reads its events back and sees them in the offsets', async (t) => {
  const { url, nodeId } = await startApi(t)
  const manifest = JSON.stringify({ appId: 'com.example.a', displayName: 'A', version: '1.0', extra: 1 })
  const auth = await ask(url, '/api/v2/auth', { method: 'POST', body: manifest })
  t.equal(auth.status, 200)
  const { token } = JSON.parse(auth.text) as { token: string }
  t.match(token, /^[A-Za-z0-9_-]{20,}$/)
  const headers = { authorization: `Bearer ${token}` }
  const body = '{"data":[{"tags":["a"],"payload":1},{"tags":["b"],"payload":{"x":[]}}]}'
  const published = await ask(url, PUBLISH, { method: 'POST', headers, body })
  t.equal(published.status, 200)
  const query = '{"query":"FROM \'b\'","order":"asc"}'
  const answer = await ask(url, QUERY, { method: 'POST', headers, body: query })
  t.equal(answer.headers['content-type'], 'application/x-ndjson')
  const [event, offsets] = linesOf(answer.text).map((line) => JSON.parse(line) as object)
  t.match(event, { type: 'event', appId: 'com.example.a', tags: ['b'], payload: { x: [] } })
  t.same(offsets, { type: 'offsets', offsets: { [`${nodeId}-0`]: 1 } })
  const present = await ask(url, `${OFFSETS}/?x=1&access_token=${token}`)
  t.same(JSON.parse(present.text), { present: { [`${nodeId}-0`]: 1 }, toReplicate: {} })
  t.equal(present.headers['cache-control'], 'no-cache')
})

t.test('manifests are admitted and refused as the API says', async (t) => {
  const { url, tokens } = await startApi(t)
  const signature = Buffer.from(
    'a56b7369675f76657273696f6e006d6465765f7369676e61747572656173696465765075626b657961706a617070446f6d61696e738163636f6d6b61785369676e61747572656161',
    'hex',
  ).toString('base64')
  const app = (appId: unknown, more: object = {}): object => ({ appId, displayName: 'd', version: 'v', ...more })
  const trial = (appId: string): RegExp =>
    new RegExp(`^Invalid request\\. Trial app id needs to start with 'com\\.example\\.'\\. Got '${appId}'\\.`)
  const cases: [unknown, number, string?, RegExp?][] = [
    [app('com.example.x'), 200],
    [app('com.example.x', { signature: null }), 200],
    [app('com.acme.dashboard'), 200],
    [app('com.acme.dashboard', { signature }), 200],
    [app('com.example'), 400, 'ERR_BAD_REQUEST', trial('com\\.example')],
    [app('com.acme'), 400, 'ERR_BAD_REQUEST', trial('com\\.acme')],
    [app('org.acme.x'), 400, 'ERR_BAD_REQUEST', trial('org\\.acme\\.x')],
    [app('com.acme.x', { signature: 'nonsense' }), 400, 'ERR_MANIFEST_INVALID', /^Invalid manifest\. /],
    [app('com.acme.x', { signature: '' }), 400, 'ERR_MANIFEST_INVALID', /^Invalid manifest\. /],
    [app('com.example.x', { signature }), 400, 'ERR_MANIFEST_INVALID', /^Invalid manifest\. /],
    [app('com.Example.x'), 400, 'ERR_BAD_REQUEST', /^Invalid request\. /],
    [app('com.example._'), 400, 'ERR_BAD_REQUEST', /^Invalid request\. /],
    [app('com.example.'), 400, 'ERR_BAD_REQUEST', /^Invalid request\. /],
    [app('.com.example.x'), 400, 'ERR_BAD_REQUEST', /^Invalid request\. /],
    [app('com.example..x'), 400, 'ERR_BAD_REQUEST', /^Invalid request\. /],
    [app(5), 400, 'ERR_BAD_REQUEST', /^Invalid request\. /],
    [{ displayName: 'd', version: 'v' }, 400, 'ERR_BAD_REQUEST', /^Invalid request\. missing field `appId` at line 1 /],
    [
      { appId: 'com.example.x', version: 'v' },
      400,
      'ERR_BAD_REQUEST',
      /^Invalid request\. missing field `displayName`/,
    ],
    [
      { appId: 'com.example.x', displayName: 'd' },
      400,
      'ERR_BAD_REQUEST',
      /^Invalid request\. missing field `version`/,
    ],
    [[], 400, 'ERR_BAD_REQUEST', /^Invalid request\. /],
    ['{"appId":', 400, 'ERR_BAD_REQUEST', /^Invalid request\. /],
    ['', 400, 'ERR_BAD_REQUEST', /^Invalid request\. /],
  ]
  for (const [manifest, status, code, message] of cases) {
    const body = typeof manifest === 'string' ? manifest : JSON.stringify(manifest)
    const reply = await ask(url, '/api/v2/auth', { method: 'POST', body })
    t.equal(reply.status, status, body)
    if (code !== undefined) t.match(errorOf(reply), [status, code, message], body)
  }
  const below = await ask(url, '/api/v2/auth/any/thing', { method: 'POST', body: JSON.stringify(app('com.example.z')) })
  t.match(tokens.verify((JSON.parse(below.text) as { token: string }).token), { appId: 'com.example.z', mode: 'trial' })
})

t.test('tokens are told apart: good, expired, forged, and no token at all', async (t) => {
  const { url, token } = await startApi(t)
  const middle = token.length >> 1
  const changed = token.slice(0, middle) + (token[middle] === 'A' ? 'B' : 'A') + token.slice(middle + 1)
  const stranger = new SignedTokens([Buffer.alloc(32, 1)], systemClock)
  const yesterday = new SignedTokens([TEST_KEY], {
    ...systemClock,
    nowMicros: () => systemClock.nowMicros() - 86_401e6,
  })
  const holder = { appId: 'com.example.a', version: '1', mode: 'trial' } as const
  const invalid = (text: string, cause: string): string =>
    `Invalid token: '${text}'. ${cause} Please provide a valid bearer token.`
  const cases: [Record<string, string>, string, number, string, string?][] = [
    [{}, '', 401, 'ERR_MISSING_AUTH_HEADER', '"Authorization" header is missing.'],
    [{ authorization: `Bearer ${changed}` }, '', 401, 'ERR_TOKEN_UNAUTHORIZED', 'Unauthorized token.'],
    [{ authorization: `Bearer ${stranger.issue(holder)}` }, '', 401, 'ERR_TOKEN_UNAUTHORIZED'],
    [{ authorization: `Bearer ${token.slice(0, -4)}` }, '', 401, 'ERR_TOKEN_UNAUTHORIZED'],
    [{ authorization: `Bearer ${yesterday.issue(holder)}` }, '', 401, 'ERR_TOKEN_EXPIRED', 'Expired token.'],
    [
      { authorization: 'Bearer invalid' },
      '',
      400,
      'ERR_TOKEN_INVALID',
      invalid('invalid', 'Cannot parse token bytes.'),
    ],
    [{ authorization: 'Bearer a!==' }, '', 400, 'ERR_TOKEN_INVALID', invalid('a!==', 'Cannot parse token bytes.')],
    [{ authorization: 'Bearer AAAA' }, '', 400, 'ERR_TOKEN_INVALID', invalid('AAAA', 'Not a signed token.')],
    [{ authorization: 'Bearer' }, '', 400, 'ERR_TOKEN_INVALID', invalid('', 'Missing token bytes.')],
    [
      { authorization: `bearer ${token}` },
      '',
      401,
      'ERR_UNSUPPORTED_AUTH_TYPE',
      `Unsupported authentication type 'bearer'. Only "Bearer" is supported.`,
    ],
    [{ authorization: 'Basic Zm9v' }, '', 401, 'ERR_UNSUPPORTED_AUTH_TYPE'],
    [{ authorization: `Bearer ${token}` }, '?access_token=AAAA', 400, 'ERR_TOKEN_INVALID'],
    [{ authorization: `Bearer ${token}` }, '?access_token=', 400, 'ERR_TOKEN_INVALID'],
    [{}, '?access_token=%E0%A4%A', 400, 'ERR_TOKEN_INVALID'],
    [{}, `?${token}`, 401, 'ERR_MISSING_AUTH_HEADER'],
  ]
  for (const [headers, query, status, code, message] of cases) {
    const [got, gotCode, gotMessage] = errorOf(await ask(url, OFFSETS + query, { headers }))
    t.same([got, gotCode], [status, code], JSON.stringify(headers) + query)
    if (message !== undefined) t.equal(gotMessage, message)
  }
  const escaped = Array.from(token, (character) => `%${character.charCodeAt(0).toString(16)}`).join('')
  for (const query of [`?access_token=${token}`, `?a=b&access_token=${escaped}`]) {
    t.equal((await ask(url, OFFSETS + query, { headers: { authorization: 'x' } })).status, 200)
  }
})

t.test('tokens survive a restart, and expire when the key is renewed', async (t) => {
  const file = join(t.testdir(), 'token.key')
  const keys = await openTokenKeys(file)
  t.equal(lstatSync(file).mode & 0o777, 0o600)
  const holder = { appId: 'com.example.a', version: '1', mode: 'trial' } as const
  const token = new SignedTokens(keys, systemClock).issue(holder)
  const restarted = await openTokenKeys(file)
  t.match(new SignedTokens(restarted, systemClock).verify(token), holder)
  const renewed = new SignedTokens(await renewTokenKeys(file, restarted), systemClock)
  t.throws(() => renewed.verify(token), { code: 'ERR_TOKEN_EXPIRED' })
  const reopened = new SignedTokens(await openTokenKeys(file), systemClock)
  t.throws(() => reopened.verify(token), { code: 'ERR_TOKEN_EXPIRED' })
  t.match(reopened.verify(renewed.issue(holder)), holder)
  // A torn file is no reason not to start: tokens are fetched anew.
  writeFileSync(file, 'x')
  t.equal((await openTokenKeys(file))[0]?.length, 32)
})

t.test('whatever single character of a token is changed, it is refused and never accepted', async (t) => {
  const tokens = new SignedTokens([TEST_KEY], systemClock)
  const token = tokens.issue({ appId: 'com.example.a', version: '1', mode: 'trial' })
  const character = fc.constantFrom(...Array.from(BASE64_CHARACTERS))
  fc.assert(
    fc.property(fc.nat(token.length - 1), character, (at, other) => {
      if (token[at] === other) return
      t.throws(() => tokens.verify(token.slice(0, at) + other + token.slice(at + 1)), {
        code: 'ERR_TOKEN_UNAUTHORIZED',
      })
    }),
    { numRuns: 200 },
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      t.throws(() => tokens.verify(text), { code: /^ERR_TOKEN_(INVALID|UNAUTHORIZED)$/ })
    }),
    { numRuns: 200 },
  )
})

t.test('paths, methods, tokens, accept and content types are checked in this order', async (t) => {
  const node = await startApi(t)
  const json = { 'content-type': 'application/json' }
  const cases: [string, string, Record<string, string>, number, string][] = [
    ['GET', '/', {}, 404, 'ERR_NOT_FOUND'],
    ['GET', '/api/v2', {}, 404, 'ERR_NOT_FOUND'],
    ['GET', '/api/v2/nothing', { accept: 'x' }, 404, 'ERR_NOT_FOUND'],
    ['GET', `${OFFSETS}/more`, {}, 404, 'ERR_NOT_FOUND'],
    ['GET', '/api/v2//node/id', {}, 404, 'ERR_NOT_FOUND'],
    ['GET', '/api/v2/openapi.json', {}, 404, 'ERR_NOT_FOUND'],
    ['GET', '/api/v2/files/x', {}, 404, 'ERR_FILES_NOT_SUPPORTED'],
    ['POST', '/api/v2/files', {}, 404, 'ERR_FILES_NOT_SUPPORTED'],
    ['POST', OFFSETS, { accept: 'x' }, 405, 'ERR_METHOD_NOT_ALLOWED'],
    ['GET', PUBLISH, {}, 405, 'ERR_METHOD_NOT_ALLOWED'],
    ['DELETE', '/api/v2/node/id', {}, 405, 'ERR_METHOD_NOT_ALLOWED'],
    ['OPTIONS', OFFSETS, {}, 405, 'ERR_METHOD_NOT_ALLOWED'],
    ['POST', '/api/v2/events', {}, 405, 'ERR_METHOD_NOT_ALLOWED'],
    ['GET', '/api/v2/events', {}, 426, 'ERR_UPGRADE_REQUIRED'],
    ['GET', OFFSETS, { authorization: 'Bearer AAAA', accept: 'x' }, 400, 'ERR_TOKEN_INVALID'],
    ['GET', OFFSETS, { accept: 'text/html' }, 406, 'ERR_NOT_ACCEPTABLE'],
    ['GET', OFFSETS, { accept: 'application/*' }, 406, 'ERR_NOT_ACCEPTABLE'],
    ['GET', OFFSETS, { accept: 'application/json;q=0' }, 406, 'ERR_NOT_ACCEPTABLE'],
    ['GET', '/api/v2/node/id', { accept: 'application/json' }, 406, 'ERR_NOT_ACCEPTABLE'],
    ['POST', QUERY, { accept: 'application/json', 'content-type': 'text/plain' }, 406, 'ERR_NOT_ACCEPTABLE'],
    ['POST', QUERY, { 'content-type': 'text/plain' }, 415, 'ERR_UNSUPPORTED_MEDIA_TYPE'],
    ['POST', PUBLISH, { 'content-type': 'application/jsonx' }, 415, 'ERR_UNSUPPORTED_MEDIA_TYPE'],
    ['POST', PUBLISH, { ...json, 'content-encoding': 'gzip' }, 415, 'ERR_UNSUPPORTED_MEDIA_TYPE'],
    ['POST', PUBLISH, { 'content-type': 'Application/JSON; charset=utf-8' }, 400, 'ERR_BAD_REQUEST'],
  ]
  for (const [method, path, headers, status, code] of cases) {
    const reply = await call(node, path, { method, headers })
    t.same(errorOf(reply).slice(0, 2), [status, code], `${method} ${path} ${JSON.stringify(headers)}`)
    t.equal(reply.headers['content-type'], 'application/json')
  }
  t.match((await call(node, '/api/v2/events')).headers, { upgrade: 'websocket', 'sec-websocket-version': '13' })
  t.equal((await call(node, OFFSETS, { method: 'PUT' })).headers['allow'], 'GET, HEAD')
  t.equal((await call(node, '/api/v2/blob/-/x', { method: 'PATCH' })).headers['allow'], 'GET, HEAD, PUT, DELETE, POST')
  const texts: [string, string][] = [
    [OFFSETS, 'application/json'],
    ['/api/v2/node/id', 'text/plain'],
  ]
  for (const [path, type] of texts) {
    const [, , message] = errorOf(await call(node, path, { headers: { accept: 'a/b, c/d' } }))
    const list = `the following type(s): */*, ${type}.`
    t.equal(
      message,
      `Content with type 'a/b, c/d' was requested but the resource is only capable of generating content of ${list}`,
    )
  }
  for (const accept of ['*/*', 'text/html, APPLICATION/json', 'application/json;q=0.9', 'x, */*;q=0.1']) {
    t.equal((await call(node, OFFSETS, { headers: { accept } })).status, 200, accept)
  }
})

t.test('the node tells its id to everybody and its state to apps', async (t) => {
  const node = await startApi(t)
  for (const path of ['/api/v2/node/id', '/api/v2/node/id/']) {
    const { status, headers, text } = await ask(node.url, path)
    t.same(
      [status, headers['content-type'], headers['cache-control'], text],
      [200, 'text/plain; charset=utf-8', 'no-cache', node.nodeId],
    )
  }
  const head = await ask(node.url, '/api/v2/node/id', { method: 'HEAD' })
  t.same([head.status, head.headers['content-length'], head.text], [200, '43', ''])
  const info = await call(node, '/api/v2/node/info', { headers: { accept: 'text/html' } })
  t.same(JSON.parse(info.text), {
    connectedNodes: 0,
    uptime: { secs: 1, nanos: 500250000 },
    version: '2.18.2-millrace-0.1.0',
    swarmState: { peersStatus: {} },
  })
  t.equal((await ask(node.url, '/api/v2/node/info')).status, 401)
})

t.test('pages of other origins and foreign host names are refused', async (t) => {
  const node = await startApi(t)
  const cases: [Record<string, string>, number][] = [
    [{ host: 'evil.example' }, 403],
    [{ host: 'evil.example:4454' }, 403],
    [{ host: 'localhost.evil.example' }, 403],
    [{ host: 'node.example:1' }, 200],
    [{ host: 'LOCALHOST:4454' }, 200],
    [{ host: '10.1.2.3' }, 200],
    [{ host: '[::1]:4454' }, 200],
    [{ origin: 'http://evil.example' }, 403],
    [{ origin: 'http://localhost.evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ origin: 'file://' }, 403],
    [{ origin: 'http://localhost@evil.example' }, 403],
    [{ origin: 'http://app.local:81' }, 403],
    [{ origin: 'http://app.local' }, 200],
    [{ origin: 'https://localhost:8080' }, 200],
    [{ origin: 'http://127.0.0.1:3000' }, 200],
    [{ origin: 'http://[::1]:3000' }, 200],
  ]
  for (const [headers, status] of cases) {
    const reply = await ask(node.url, '/api/v2/node/id', { headers })
    t.equal(reply.status, status, JSON.stringify(headers))
    const origin = status === 200 ? headers['origin'] : undefined
    t.equal(reply.headers['access-control-allow-origin'], origin)
    if (status === 403) t.equal(errorOf(reply)[1], 'ERR_FORBIDDEN')
  }
  const failing = await ask(node.url, OFFSETS, { headers: { origin: 'http://app.local' } })
  t.same([failing.status, failing.headers['access-control-allow-origin']], [401, 'http://app.local'])
  const onSocket = { socketPath: node.api.socket, headers: { host: 'anything' } }
  t.equal((await ask(node.url, '/api/v2/node/id', onSocket)).text, node.nodeId)
  node.api.setAccess({ apps: [], hosts: ['evil.example'], origins: [] })
  t.equal((await ask(node.url, '/api/v2/node/id', { headers: { host: 'evil.example' } })).status, 200)
})

t.test('a preflight names what is allowed', async (t) => {
  const { url } = await startApi(t)
  const preflight = (method: string | undefined, names?: string): Promise<Reply> =>
    ask(url, OFFSETS, {
      method: 'OPTIONS',
      headers: {
        origin: 'http://app.local',
        ...(method === undefined ? {} : { 'access-control-request-method': method }),
        ...(names === undefined ? {} : { 'access-control-request-headers': names }),
      },
    })
  const good = await preflight('DELETE', 'Authorization,accept, content-type')
  t.equal(good.status, 200)
  t.equal(good.headers['access-control-allow-origin'], 'http://app.local')
  t.match(good.headers['access-control-allow-methods'], /GET.*POST, PUT, DELETE/)
  t.equal(good.headers['access-control-allow-headers'], 'authorization, accept, content-type, last-event-id')
  for (const bad of [preflight('PATCH'), preflight('GET', 'x-mine'), preflight(undefined)]) {
    const { status, headers } = await bad
    t.same([status, headers['content-type']], [403, 'text/plain; charset=utf-8'])
  }
})

t.test('requests of the wrong shape name the fault and its place', async (t) => {
  const node = await startApi(t)
  const stream = `${node.nodeId}-0`
  const cases: [string, string, RegExp][] = [
    [PUBLISH, '{}', /^Invalid request\. missing field `data` at line 1 column 2$/],
    [PUBLISH, '{"data":[{"tags":[""],"payload":1}]}', /^Invalid request\. /],
    [QUERY, '{}', /^Invalid request\. missing field `query` at line 1 column 2$/],
    [QUERY, '{"query":"FROM allEvents"}', /^Invalid request\. missing field `order` at line 1 column 26$/],
    [
      QUERY,
      '{"query":"FROM allEvents","order":"up"}',
      /unknown variant `up`, expected one of `asc`, `desc`, `stream-asc`/,
    ],
    [QUERY, '{"query":"FROM allEvents","order":null}', /^Invalid request\. invalid type: expected a string/],
    [QUERY, '{"query":5,"order":"asc"}', /expected a string at line 1 column 10$/],
    [QUERY, '{"query":"a","query":"b","order":"asc"}', /duplicate field `query`/],
    [QUERY, '[]', /^Invalid request\. invalid type/],
    [QUERY, '{"query":"FROM x","order":"asc"}', /^Invalid request\. {2}--> 1:6\n/],
    [QUERY, '{"query":"FROM x","order":"asc"} x', /trailing characters at line 1 column 34$/],
    [QUERY, '\n{"query":', /EOF while parsing a value at line 2 column 10$/],
    [QUERY, 'nope', /^Invalid request\. /],
    [QUERY, `{"query":"FROM allEvents","order":"asc","lowerBound":{"${stream}":-2}}`, /^Invalid request\. /],
    [QUERY, `{"query":"FROM allEvents","order":"asc","lowerBound":{"${stream}":1.5}}`, /^Invalid request\. /],
    [QUERY, `{"query":"FROM allEvents","order":"asc","lowerBound":{"${stream}":1.0}}`, /^Invalid request\. /],
    [
      QUERY,
      `{"query":"FROM allEvents","order":"asc","lowerBound":{"${stream}":9007199254740992}}`,
      /^Invalid request\. /,
    ],
    [QUERY, `{"query":"FROM allEvents","order":"asc","lowerBound":{"${stream}-1":1}}`, /^Invalid request\. /],
    [QUERY, `{"query":"FROM allEvents","order":"asc","lowerBound":{"x":1}}`, /^Invalid request\. /],
    [QUERY, `{"query":"FROM allEvents","order":"asc","upperBound":[]}`, /^Invalid request\. /],
    [SUBSCRIBE, '{"lowerBound":{}}', /missing field `query`/],
    [MONOTONIC, '{"query":"FROM allEvents","lowerBound":{}}', /missing field `session`/],
    [MONOTONIC, '{"query":"FROM allEvents","session":"s"}', /missing field `lowerBound`/],
    [MONOTONIC, '{"query":"FROM allEvents","session":"s","lowerBound":null}', /^Invalid request\. /],
    [
      MONOTONIC,
      `{"query":"FROM allEvents","session":"s","lowerBound":{"${stream}":7}}`,
      /^Invalid request\. Query bounds out of range: upper bound must be within the known present\.$/,
    ],
  ]
  for (const [path, body, message] of cases) {
    t.match(errorOf(await post(node, path, body)), [400, 'ERR_BAD_REQUEST', message], `${path} ${body}`)
  }
  const notUtf8 = Buffer.concat([Buffer.from('{"query":"'), Buffer.from([0xff]), Buffer.from('","order":"asc"}')])
  t.equal((await call(node, QUERY, { method: 'POST', body: notUtf8 })).status, 400)
  t.match(errorOf(await post(node, SUBSCRIBE, { query: "FROM 'a' AGGREGATE x" })), [
    418,
    'ERR_UNSUPPORTED_FEATURE',
    /^Feature `aggregate`/,
  ])
  const lenient = `{"x":[{}],"query":"FROM allEvents","order":"asc","lowerBound":null,"upperBound":{"${stream}":-1}}`
  t.same(linesOf((await post(node, QUERY, lenient)).text), ['{"type":"offsets","offsets":{}}'])
  t.match(errorOf(await post(node, QUERY, { query: 'crash', order: 'asc' })), [
    500,
    'ERR_INTERNAL',
    'Internal server error.',
  ])
  t.same(node.logged, [{ level: 'error', message: 'request failed' }], 'only the defect is logged')
})

t.test('bodies beyond the limit are refused while they come in', async (t) => {
  const node = await startApi(t, { limits: { bodyBytes: 100_000, messageBytes: 1e8, memoryBytes: 1e7 } })
  const big = `{"data":[],"pad":"${'x'.repeat(3_000_000)}"}`
  t.same(errorOf(await call(node, PUBLISH, { method: 'POST', body: big })), [
    413,
    'ERR_PAYLOAD_TOO_LARGE',
    `Payload too large (${String(big.length)} > 100000).`,
  ])
  const chunked = errorOf(await call(node, PUBLISH, { method: 'POST', body: big, chunked: true }))
  t.match(chunked, [413, 'ERR_PAYLOAD_TOO_LARGE', /^Payload too large \(\d+ > 100000\)\.$/])
  // The answer comes although the body never ends.
  const endless = request(`${node.url}${PUBLISH}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${node.token}`, 'content-length': '900000000' },
  })
  endless.write('{')
  const [early] = (await once(endless, 'response')) as [IncomingMessage]
  t.equal(early.statusCode, 413)
  endless.destroy()
  t.equal((await post(node, PUBLISH, '{"data":[]}')).status, 200)
  t.equal(node.api.memoryBytes, 0)
})

t.test('a store that takes no events answers 503 with the reason, and says when to try again', async (t) => {
  const node = await startApi(t)
  const body = '{"data":[{"tags":[],"payload":1}]}'
  for (const error of [new StoreFullError('no room'), new StoreIoError('broken'), new StoreReadOnlyError('damaged')]) {
    const gate: Promise<undefined> = Promise.reject(error)
    gate.catch(() => undefined)
    node.events.gate = gate
    const reply = await post(node, PUBLISH, body)
    t.same(errorOf(reply), [503, 'ERR_SERVICE_OVERLOADED', `Service overloaded. ${error.message}`])
    t.equal(reply.headers['retry-after'], '1')
  }
  node.events.gate = undefined
  t.equal((await post(node, PUBLISH, body)).status, 200)
})

t.test('a body that stops coming in is given up', async (t) => {
  const node = await startApi(t, { timers: { bodyStallMs: 20 } })
  const stalled = request(`${node.url}${PUBLISH}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${node.token}`, 'content-length': '100' },
  })
  stalled.write('{')
  const [reply] = (await once(stalled, 'response')) as [IncomingMessage]
  t.equal(reply.statusCode, 408)
  stalled.destroy()
  stalled.on('error', () => undefined)
  t.equal(node.api.memoryBytes, 0)
})

t.test('more bodies than fit in memory at once wait for each other and are all answered', async (t) => {
  const node = await startApi(t, { limits: { bodyBytes: 1e7, messageBytes: 1e8, memoryBytes: 300_000 } })
  const body = `{"data":[],"pad":"${'x'.repeat(200_000)}"}`
  const replies = await Promise.all(
    Array.from({ length: 20 }, (_, n) => call(node, PUBLISH, { method: 'POST', body, chunked: n % 2 === 0 })),
  )
  t.same(new Set(replies.map(({ status }) => status)), new Set([200]))
  t.equal(node.api.memoryBytes, 0)
})

t.test('a stream is copied as it is, and stays alive in silence', async (t) => {
  const node = await startApi(t, { timers: { keepAliveMs: 20 } })
  await post(node, PUBLISH, '{"data":[{"tags":["a"],"payload":1}]}')
  const burst = await post(node, QUERY, { query: 'burst 3', order: 'asc' })
  t.equal(burst.text, '{"n":0}\n{"n":1}\n{"n":2}\n')
  const until = (text: string): boolean => text.endsWith('\n\n\n')
  const live = await call(node, SUBSCRIBE, { method: 'POST', body: '{"query":"FROM \'a\'"}', until })
  t.match(live.text, /^\{"type":"event".*\}\n\{"type":"offsets".*\}\n\n\n+$/)
  const failed = await post(node, QUERY, { query: 'explode', order: 'asc' })
  t.same(
    [failed.status, linesOf(failed.text)],
    [200, ['{"n":1}', '{"type":"diagnostic","severity":"error","message":"Service overloaded. the disk is gone"}']],
  )
  t.equal(failed.headers['transfer-encoding'], 'chunked')
  t.same(node.logged, [], 'nothing of this is a defect')
})

t.test('a client that leaves ends its stream', async (t) => {
  const node = await startApi(t)
  for (const query of ['endless 1000', 'endless 1000000']) {
    await call(node, QUERY, { method: 'POST', body: JSON.stringify({ query, order: 'asc' }), lines: 1 })
    await eventually(() => node.events.open === 0)
  }
  await call(node, SUBSCRIBE, { method: 'POST', body: '{"query":"FROM \'a\'"}', lines: 1 })
  await eventually(() => node.events.open === 0)
  t.equal(node.api.counters.httpStreamsOpen, 0)
})

t.test('a reader that takes nothing is paused, and cut in the end', async (t) => {
  const node = await startApi(t, { timers: { stallMs: 50 } })
  const reading = request(`${node.url}${QUERY}`, { method: 'POST', headers: { authorization: `Bearer ${node.token}` } })
  reading.end(JSON.stringify({ query: 'endless 100000', order: 'asc' }))
  reading.on('error', () => undefined)
  const [response] = (await once(reading, 'response')) as [IncomingMessage]
  response.on('error', () => undefined)
  await eventually(() => node.events.open === 0)
  t.equal(node.api.counters.readersCut, 1)
  response.resume()
  await new Promise((resolve) => response.on('close', resolve))
  t.notOk(response.complete)
})

t.test('a big answer that is not taken is cut in the end, too', async (t) => {
  const node = await startApi(t, { timers: { stallMs: 30 } })
  const blob = '/api/v2/blob/-/big'
  t.equal((await call(node, blob, { method: 'PUT', body: Buffer.alloc(10_000_000) })).status, 204)
  const sockets = Array.from({ length: 3 }, () => connect(Number(new URL(node.url).port), '127.0.0.1'))
  const closed = sockets.map(
    (socket) => new Promise((resolve) => socket.on('error', () => undefined).on('close', resolve)),
  )
  for (const socket of sockets) {
    socket.pause()
    socket.write(`GET ${blob}?access_token=${node.token} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
  }
  await eventually(() => node.api.counters.readersCut === 3)
  for (const socket of sockets) socket.resume()
  await Promise.all(closed)
})

t.test('a stream whose source is always ready leaves turns to other connections', async (t) => {
  const node = await startApi(t)
  // Chunks without any wait between them, until another request has been answered.
  let answered = false
  let chunks = 0
  node.events.query = () =>
    Promise.resolve(
      (async function* () {
        while (!answered) {
          chunks += 1
          yield Buffer.from('{}\n')
        }
      })(),
    )
  const streaming = post(node, QUERY, { query: 'any', order: 'asc' })
  await eventually(() => chunks > 0)
  t.equal((await ask(node.url, '/health')).status, 200)
  answered = true
  t.equal((await streaming).status, 200)
})

t.test('many streams at once end together without a warning', async (t) => {
  const node = await startApi(t)
  const warnings: Error[] = []
  const note = (warning: Error): number => warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const streams = Array.from({ length: 100 }, () => post(node, SUBSCRIBE, { query: 'FROM allEvents' }))
  await eventually(() => node.events.open === 100)
  await node.api.close()
  for (const { text } of await Promise.all(streams)) t.match(text, /Service shutting down/)
  t.equal(node.events.open, 0)
  t.same(warnings, [])
})

t.test('blobs are kept by path, listed by folder, and written only by their owner', async (t) => {
  const node = await startApi(t)
  const blob = '/api/v2/blob/-/@pond/snap'
  const put = (path: string, body: string, type?: string): Promise<Reply> =>
    call(node, path, { method: 'PUT', body, headers: type === undefined ? {} : { 'content-type': type } })
  t.equal((await call(node, blob, { method: 'POST', body: '{}' })).status, 204)
  t.equal((await put(`${blob}/a%2Fb/1`, '{"x":1}', 'application/json')).status, 204)
  t.equal((await put(`${blob}/2`, 'xyz')).status, 204)
  const got = await call(node, `${blob}/a%2Fb/1`)
  t.same([got.status, got.headers['content-type'], got.text], [200, 'application/json', '{"x":1}'])
  t.equal((await call(node, `${blob}/2`)).headers['content-type'], 'application/octet-stream')
  const listing = JSON.parse((await call(node, `${blob}/`)).text) as object
  t.match(listing, { 'a/b': { type: 'folder' }, '2': { type: 'file', originalSize: 3, atimeMillis: null } })
  t.equal((await call(node, `${blob}/none`, { headers: { accept: 'image/png' } })).status, 204)
  for (const [accept, status] of [
    ['application/json', 200],
    ['application/*', 200],
    ['*/*', 200],
    ['text/html', 406],
  ] as const) {
    t.equal((await call(node, `${blob}/a%2Fb/1`, { headers: { accept } })).status, status, accept)
  }
  t.equal((await call(node, '/api/v2/blob/com.example.test/@pond/snap/2')).text, 'xyz')
  t.equal((await call(node, '/api/v2/blob/com.example.other/@pond/snap/2')).status, 204)
  for (const method of ['PUT', 'DELETE']) {
    const reply = await call(node, '/api/v2/blob/com.example.test/x', { method, body: 'x' })
    t.same(errorOf(reply).slice(0, 2), [400, 'ERR_BAD_REQUEST'], method)
  }
  t.match(errorOf(await call(node, blob, { method: 'PUT', body: 'abc', chunked: true })), [
    413,
    'ERR_PAYLOAD_TOO_LARGE',
    'Payload length unknown. Limit is 10485760',
  ])
  t.equal((await put(blob, 'x'.repeat(10_485_761))).status, 413)
  for (const path of ['/api/v2/blob', '/api/v2/blob/']) t.equal((await call(node, path)).status, 404)
  for (const path of ['/api/v2/blob/Bad/x', '/api/v2/blob/-/%FF']) t.equal((await call(node, path)).status, 400, path)
  t.equal((await ask(node.url, blob)).status, 401)
  t.equal((await call(node, blob, { method: 'DELETE' })).status, 204)
  t.equal((await call(node, `${blob}/2`)).status, 204)
})

/** A configuration as the API sees it, without a file. */
const DESK: NonNullable<ApiOptions['configuration']> = {
  settings: () => [
    {
      path: 'data',
      value: './data',
      isSecret: false,
      isSet: true,
      isWaiting: false,
      source: { kind: 'file', file: 'node.yml', line: 3 },
    },
    {
      path: 'swarm.key',
      value: 'must not be seen',
      isSecret: true,
      isSet: true,
      isWaiting: true,
      source: { kind: 'environment', variable: 'MILLRACE_SWARM_KEY' },
    },
  ],
  routing: () => ({ file: 'node.yml', text: 'routes: []\n', version: '1', fixed: undefined }),
  check: (draft) => {
    const note = { source: 'draft', line: 1, column: 1, length: 1, reason: 'no', mend: undefined, text: 'no' }
    const drops = [{ name: 'a', blocks: 1, events: 5, storedBytes: 100 }]
    const changes = { settings: [], looked: 9, moves: [{ from: 'a', into: 'b', events: 3 }], drops, newStreams: [] }
    if (draft !== '') return Promise.resolve({ errors: [note], warnings: [], changes: undefined })
    return Promise.resolve({ errors: [], warnings: [{ ...note, mend: 'so' }], changes })
  },
  explainRoute: () => ({
    into: 'default',
    streamNumber: undefined,
    route: undefined,
    routes: [],
    retention: undefined,
  }),
  applyRouting: () => Promise.resolve({ applied: ['eventRouting.routes'], waiting: [], warnings: [], version: '2' }),
}

/** Blocks in every state that the API tells of. */
function blocksOf(stream: string): BlockPage {
  const block = {
    events: 2,
    storedBytes: 100,
    oldestTimestamp: 1,
    newestTimestamp: 2,
    sealed: true,
    state: 'ok',
  } as const
  const hole = { storedBytes: undefined, oldestTimestamp: undefined, newestTimestamp: undefined, fate: undefined }
  const held = { kind: 'held', limit: 'maxAge', untilMicros: 9, isOld: true } as const
  return {
    stream,
    firstOffset: 0,
    nextOffset: 8,
    nextPruneMicros: 7,
    decidingLimit: undefined,
    cuts: { maxEvents: undefined, maxSize: undefined, maxAge: { offset: 1, timestamp: -5 } },
    blocks: [
      { ...block, number: 0, firstOffset: 0, fate: { kind: 'goes', by: 'maxSize' } },
      { ...block, ...hole, number: undefined, firstOffset: 2, state: 'missing' },
      ...HOLDERS.map((by, at) => ({ ...block, number: at, firstOffset: 4, fate: { ...held, by } })),
    ],
    hasMore: false,
    open: undefined,
  }
}

t.test('the additions answer as their OpenAPI description says', async (t) => {
  let ready = true
  const retention = { maxEvents: 10, maxStoredBytes: Infinity, maxAgeMicros: Infinity, maxBlockAgeMicros: Infinity }
  const node = await startApi(t, {
    configuration: DESK,
    views: {
      ...viewsFor('x'),
      blocks: (stream) => Promise.resolve(stream.endsWith('-0') ? blocksOf(stream) : undefined),
      alarms: () => [
        {
          kind: 'disk',
          reason: 'low',
          stream: undefined,
          peer: undefined,
          sinceMicros: 5,
          message: 'it is nearly full',
          advice: 'free space',
        },
      ],
    },
    health: () => ({ ready, reasons: ready ? [] : ['the disk is full'] }),
    metrics: () => 'up 1\n',
    explain: ({ query, order }, appId) => {
      if (query === 'FROM') throw new AqlSyntaxError('expected array or tag_expr', query, 4)
      const branches = [{ tags: ['a'], appId, time: { from: '2026-01-01T00:00:00Z' } }]
      const reads = { streams: 1, blocks: 2, blocksSkipped: 3, tailEvents: 4 }
      return Promise.resolve({ ...NOTHING_EXPLAINED, order: order ?? 'asc', branches, reads })
    },
    explainRoute: ({ tags }) =>
      tags.length === 0
        ? { into: 'default', streamNumber: 0, route: undefined, routes: [], retention: undefined }
        : {
            into: 'brief',
            streamNumber: 3,
            route: 1,
            routes: [
              { from: "'x'", into: 'other', matches: false, atoms: [{ atom: "'x'", holds: false }] },
              { from: "'a'", into: 'brief', matches: true, atoms: [] },
            ],
            retention,
          },
    streams: () =>
      Promise.resolve([
        {
          stream: 's-0',
          name: undefined,
          number: 0,
          own: true,
          events: 3,
          firstOffset: 0,
          nextOffset: 3,
          blocks: 0,
          tailEvents: 3,
          storedBytes: 100,
          oldestTimestamp: undefined,
          newestTimestamp: 5,
          retention,
          nextPrune: { blocks: 0, events: 0, storedBytes: 0, heldBackBy: 'unsealed' },
          nextPruneMicros: 7,
          decidingLimit: 'maxEvents',
          cuts: { maxEvents: { offset: 1, timestamp: 4 }, maxSize: undefined, maxAge: undefined },
        },
      ]),
  })
  const api = await OpenApi.of(node.url)
  const check = (method: string, path: string, options?: AskOptions): Promise<unknown> =>
    api.check(method, path, options)
  t.same(await check('GET', '/health'), { status: 'ok' })
  t.same(await check('GET', '/ready'), { ready: true, reasons: [] })
  ready = false
  t.same(await check('GET', '/ready'), { ready: false, reasons: ['the disk is full'] })
  t.equal(await check('GET', '/metrics'), 'up 1\n')
  await check('GET', '/api/millrace/v1/openapi.json')
  t.match(await check('GET', '/api/millrace/v1/streams'), {
    streams: [
      { name: null, oldestTimestamp: null, newestTimestamp: 5, retention: { maxEvents: 10, maxAgeMicros: null } },
    ],
  })
  const body = '{"query":"FROM allEvents","order":"desc"}'
  t.match(await check('POST', '/api/millrace/v1/explain', { body }), { order: 'desc', branches: [{ appId: '-' }] })
  t.match(await check('POST', '/api/millrace/v1/explain', { body: '{"query":"FROM"}' }), {
    code: 'ERR_BAD_REQUEST',
    line: 1,
    column: 5,
    offset: 4,
    reason: 'expected array or tag_expr',
  })
  await check('POST', '/api/millrace/v1/explain', { body: '{}' })
  const route = (body: string): Promise<unknown> => check('POST', '/api/millrace/v1/route', { body })
  t.same(await route('{"tags":["b","a","b"],"appId":"com.acme.x"}'), {
    stream: 'brief',
    number: 3,
    route: 1,
    tags: ['a', 'b'],
    appId: 'com.acme.x',
    routes: [
      { from: "'x'", into: 'other', matches: false, atoms: [{ atom: "'x'", holds: false }] },
      { from: "'a'", into: 'brief', matches: true, atoms: [] },
    ],
    retention: { maxEvents: 10, maxStoredBytes: null, maxAgeMicros: null, maxBlockAgeMicros: null },
  })
  t.match(await route('{"tags":[],"appId":null}'), { stream: 'default', route: null, appId: '-', retention: null })
  for (const body of ['{}', '{"tags":[""]}', '{"tags":["a"],"appId":"A"}']) {
    t.match(await route(body), { code: 'ERR_BAD_REQUEST', message: /^Invalid request\. / }, body)
  }
  await check('GET', '/ready', { headers: { authorization: 'Basic x' } })
  const socket = { socketPath: node.api.socket }
  t.match(await check('GET', '/api/millrace/v1/audit', socket), { code: 'ERR_NOT_FOUND' })
  t.same(await check('GET', '/api/millrace/v1/topics'), { topics: [{ name: 'a', bytesOnDisk: 1, active: true }] })
  t.match(await check('DELETE', '/api/millrace/v1/topics/b%2Fc', socket), { name: 'b/c' })
  t.match(await check('DELETE', '/api/millrace/v1/topics/b'), { code: 'ERR_FORBIDDEN', message: /Unix socket/ })
  t.match(await check('GET', '/api/millrace/v1/identity'), { nodeId: node.nodeId, epoch: 0 })
  t.match(await check('POST', '/api/millrace/v1/identity/epoch', socket), { epoch: 1 })
  const headers = { authorization: `Bearer ${node.token}` }
  t.match(await check('POST', '/api/millrace/v1/identity/epoch', { headers }), { code: 'ERR_FORBIDDEN' })
  t.equal((await ask(node.url, '/api/millrace/v1/topics/%zz', { method: 'DELETE', ...socket })).status, 400)
  t.equal((await ask(node.url, '/api/millrace/v1/topics/b')).status, 405)
  await check('POST', '/api/millrace/v1/verify', socket)
  await check('POST', '/api/millrace/v1/backup', socket)
  t.match(await check('GET', '/api/millrace/v1/peers'), { peers: [] })
  await post(node, PUBLISH, '{"data":[{"tags":["a"],"payload":1}]}')
  for (const name of ['query', 'subscribe', 'subscribe_monotonic']) {
    const url = `/api/millrace/v1/events/${name}?query=FROM%20'a'`
    const request = JSON.stringify({ query: "FROM 'a'", order: 'asc', session: '', lowerBound: {} })
    for (const accept of ['application/x-ndjson', 'text/event-stream', 'application/cloudevents+json']) {
      const options = { headers: { ...headers, accept }, lines: 2 }
      await check('GET', url, options)
      await check('POST', url, { ...options, body: request })
    }
    const batch = { headers: { ...headers, accept: 'application/cloudevents-batch+json' } }
    await check('GET', url, batch)
    await check('GET', url, { headers: { ...headers, accept: 'text/html' } })
    await check('GET', `/api/millrace/v1/events/${name}`, { headers })
    await check('GET', url)
  }
  const running = { kind: 'query', query: "FROM 'a'", appId: 'com.example.test', since: 5, rows: 7 } as const
  node.events.answers = [
    { id: '1', ...running },
    { id: '2', ...running, appId: 'com.example.other' },
  ]
  const queries = '/api/millrace/v1/queries'
  t.match(await check('GET', queries, { headers }), { queries: [{ id: '1', rows: 7 }] })
  t.match(await check('GET', queries, socket), { queries: [{ id: '1' }, { id: '2' }] })
  t.match(await check('GET', queries), { code: 'ERR_MISSING_AUTH_HEADER' })
  t.match(await check('DELETE', `${queries}/2`, { headers }), { code: 'ERR_NOT_FOUND' })
  t.match(await check('DELETE', `${queries}/2`, socket), { id: '2' })
  t.match(await check('DELETE', `${queries}/1`, { headers }), { id: '1' })
  t.match(await check('GET', '/api/millrace/v1/log?level=info&after=0&limit=5'), {
    entries: [{ number: 1, level: 'info', message: 'x' }],
  })
  await check('GET', '/api/millrace/v1/log?level=x')
  const ingest = (body: string, more: Readonly<Record<string, string>> = {}): Promise<unknown> =>
    check('POST', '/api/millrace/v1/events/ingest', { headers: { ...headers, ...more }, body })
  const ingested = linesOf(String(await ingest('{"tags":["a"],"payload":1}\n{"tags":[""],"payload":1}\n')))
  t.same(
    ingested.map((line) => (JSON.parse(line) as { type: string }).type),
    ['accepted', 'refused', 'done'],
  )
  await ingest('', { 'content-type': 'application/json' })
  t.match(await check('POST', '/api/millrace/v1/reload'), { code: 'ERR_FORBIDDEN' })
  t.match(await check('POST', '/api/millrace/v1/reload', socket), { code: 'ERR_NOT_FOUND' }, 'nothing to read again')
  const stream = encodeURIComponent(`${node.nodeId}-0`)
  t.match(await check('GET', `/api/millrace/v1/streams/${stream}/blocks?limit=5`), { open: null, more: false })
  t.match(await check('GET', `/api/millrace/v1/streams/${encodeURIComponent(`${node.nodeId}-1`)}/blocks`), {
    code: 'ERR_NOT_FOUND',
  })
  for (const path of [`${stream}/blocks?order=up`, `${stream}/blocks?from=-1`, 'x/blocks', '%zz/blocks']) {
    t.match(await check('GET', `/api/millrace/v1/streams/${path}`), { code: 'ERR_BAD_REQUEST' }, path)
  }
  t.equal((await ask(node.url, `/api/millrace/v1/streams/${stream}`)).status, 404)
  t.same(await check('GET', '/api/millrace/v1/tags?prefix=a&limit=1'), { tags: ['a'], complete: true })
  await check('GET', '/api/millrace/v1/tags?limit=x')
  t.match(await check('GET', '/api/millrace/v1/swarm'), { swarm: false, nodes: [] })
  t.match(await check('GET', '/api/millrace/v1/alarms'), { alarms: [{ kind: 'disk', reason: 'low', stream: null }] })
  const config = '/api/millrace/v1/config'
  t.match(await check('GET', config), {
    settings: [
      { path: 'data', value: './data', source: { kind: 'file' } },
      { secret: true, set: true, value: null },
    ],
  })
  t.match(await check('GET', `${config}/eventRouting`), { text: 'routes: []\n', mayApply: false })
  t.match(await check('POST', `${config}/check`, { body: '{"draft":"x"}' }), { errors: [{ line: 1 }], changes: null })
  t.match(await check('POST', `${config}/check`, { body: '{"draft":""}' }), { changes: { elsewhere: 3, dropped: 5 } })
  await check('POST', `${config}/check`, { body: '{}' })
  const change = { body: '{"draft":"","version":"1","mayDrop":true}' }
  t.match(await check('PUT', `${config}/eventRouting`, change), { code: 'ERR_MISSING_AUTH_HEADER' })
  t.match(await check('PUT', `${config}/eventRouting`, { ...change, headers }), { code: 'ERR_FORBIDDEN' })
  t.match(await check('PUT', `${config}/eventRouting`, { ...change, ...socket }), { version: '2' })
  t.match(await check('POST', '/api/millrace/v1/token'), { code: 'ERR_FORBIDDEN' })
  const made = (await check('POST', '/api/millrace/v1/token', socket)) as { token: string }
  const asOperator = { headers: { authorization: `Bearer ${made.token}` } }
  t.match(await check('PUT', `${config}/eventRouting`, { ...change, ...asOperator }), { version: '2' })
  t.match(await check('GET', `${config}/eventRouting`, asOperator), { mayApply: true })
  node.events.answers = [{ id: '3', ...running, appId: 'com.example.other' }]
  t.match(await check('GET', queries, asOperator), { queries: [{ id: '3' }] }, 'it sees those of all apps')
  t.match(
    await check('POST', '/api/millrace/v1/reload', asOperator),
    { code: 'ERR_FORBIDDEN' },
    'the rest stays closed',
  )
  t.match(await route('{"tags":["a"],"draft":"routes: []"}'), { number: null, stream: 'default' })
  t.equal(api.paths.length, 51, 'every path is checked here; those of the state in their own test')
})

t.test('the Unix socket serves the same API, with a mode of its own', async (t) => {
  const node = await startApi(t)
  const path = node.api.socket ?? ''
  const directory = temporaryDirectory(t)
  t.equal(lstatSync(path).mode & 0o777, 0o660)
  const headers = { authorization: `Bearer ${node.token}` }
  t.equal((await ask(node.url, OFFSETS, { socketPath: path, headers })).status, 200)
  await t.rejects(
    startApi(t, { listen: [], socket: path }),
    { code: 'ERR_ADDRESS_IN_USE' },
    'a living daemon keeps its socket',
  )
  const file = join(directory, 'file')
  writeFileSync(file, '')
  await t.rejects(startApi(t, { listen: [], socket: file }), { code: 'ERR_ADDRESS_IN_USE' }, 'a file is not replaced')
  await t.rejects(startApi(t, { listen: [], socket: `/${'x'.repeat(200)}` }), { code: 'ERR_ADDRESS_IN_USE' })
  const port = Number(new URL(node.url).port)
  await t.rejects(startApi(t, { listen: [{ host: '127.0.0.1', port }] }), { code: 'ERR_ADDRESS_IN_USE' })
  const stale = join(directory, 'stale.sock')
  const script = `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script])
  t.ok(lstatSync(stale).isSocket())
  const second = await startApi(t, { listen: [], socket: stale })
  t.equal((await ask(node.url, '/health', { socketPath: second.api.socket })).status, 200)
})

t.test('closing ends streams with a reason, lets publishes finish and refuses what comes later', async (t) => {
  const node = await startApi(t)
  let open = (): void => undefined
  node.events.gate = new Promise((resolve) => (open = resolve))
  const publishing = post(node, PUBLISH, '{"data":[{"tags":["a"],"payload":1}]}')
  const live = post(node, SUBSCRIBE, { query: "FROM 'a'" })
  await eventually(() => node.events.published.length === 1 && node.events.open === 1)
  const closed = node.api.close()
  t.equal(node.api.close(), closed, 'closing twice is closing once')
  t.same(linesOf((await live).text), [
    '{"type":"offsets","offsets":{}}',
    '{"type":"diagnostic","severity":"error","message":"Service shutting down."}',
  ])
  open()
  t.equal((await publishing).status, 200)
  await closed
  await t.rejects(ask(node.url, '/health'), { code: 'ECONNREFUSED' })
})

t.test('closing does not wait for ever for a client that stalls', async (t) => {
  const node = await startApi(t, { timers: { closeMs: 30 } })
  const idle = connect(Number(new URL(node.url).port), '127.0.0.1')
  await once(idle, 'connect')
  idle.write(
    `POST ${PUBLISH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${node.token}\r\ncontent-length: 5\r\n\r\n{`,
  )
  await eventually(() => node.api.counters.httpRequests === 1)
  await node.api.close()
  idle.destroy()
  t.pass('closed')
})

/** Sends raw bytes and returns what comes back until the connection ends or nothing follows. */
function raw({ url }: ApiNode, bytes: string | Uint8Array): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    let text = ''
    socket.setEncoding('latin1').on('data', (part: string) => (text += part))
    socket
      .on('error', () => undefined)
      .on('close', () => {
        resolve(text)
      })
    socket.end(bytes)
  })
}

t.test('what is not HTTP gets an error body and a closed connection', async (t) => {
  const node = await startApi(t)
  const garbage = await raw(node, 'nonsense\r\n\r\n')
  t.match(garbage, /^HTTP\/1\.1 400 [^]*\{"code":"ERR_BAD_REQUEST","message":"Invalid request\. /)
  const huge = await raw(node, `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`)
  t.match(huge, /^HTTP\/1\.1 431 [^]*"ERR_HEADERS_TOO_LARGE"/)
  const absolute = await raw(
    node,
    `GET http://localhost/api/v2/node/id HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`,
  )
  t.match(absolute, new RegExp(`${node.nodeId.replaceAll('.', '\\.')}$`))
  const offer = 'connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n'
  t.match(await raw(node, `GET /api/v2/node/id HTTP/1.1\r\nhost: localhost\r\n${offer}\r\n`), /^HTTP\/1\.1 200 /)
  const nameless = await raw(node, 'GET /api/v2/node/id HTTP/1.1\r\nconnection: close\r\n\r\n')
  t.match(nameless, /^HTTP\/1\.1 400 [^]*\{"code":"ERR_BAD_REQUEST","message":"Invalid request\. The header Host /)
  const expecting = 'GET /api/v2/node/id HTTP/1.1\r\nhost: localhost\r\nexpect: miracles\r\nconnection: close\r\n\r\n'
  t.match(await raw(node, expecting), /^HTTP\/1\.1 200 /, 'an unknown expectation is passed over')
  const old = await raw(node, 'GET /api/v2/node/id HTTP/1.0\r\n\r\n')
  t.match(old, /^HTTP\/1\.1 200 /)
})

t.test('no bytes that a client sends end the process or answer with a server error', async (t) => {
  const node = await startApi(t)
  const word = fc.constantFrom(
    'GET ',
    'POST ',
    'PUT ',
    ' HTTP/1.1\r\n',
    'host: localhost\r\n',
    '\r\n',
    '\r\n\r\n',
    `authorization: Bearer ${node.token}\r\n`,
    'content-length: 3\r\n',
    'transfer-encoding: chunked\r\n',
    '5\r\n',
    '{}',
    '{"data":[',
    '"',
    '\0',
    '\u00ff',
    PUBLISH,
    QUERY,
    SUBSCRIBE,
    '/api/v2/blob/-/%',
    '?access_token=',
    'upgrade: websocket\r\nconnection: upgrade\r\n',
    'sec-websocket-version: 13\r\n',
    ': ',
  )
  const request = fc.tuple(
    fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD', 'CONNECT'),
    fc.constantFrom(
      PUBLISH,
      QUERY,
      MONOTONIC,
      '/api/v2/auth',
      '/api/v2/blob/-/a',
      '/api/millrace/v1/explain',
      '/api/v2/events',
    ),
    fc.string({ unit: 'binary', maxLength: 60 }),
  )
  const wellFormed = request.map(
    ([method, path, body]) =>
      `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${node.token}\r\ncontent-length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`,
  )
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.array(word, { maxLength: 30 }).map((words) => words.join('')),
        wellFormed,
      ),
      async (text) => {
        const reply = await raw(node, text)
        t.notMatch(reply, /HTTP\/1\.1 5/)
      },
    ),
    { numRuns: 400 },
  )
  t.equal((await call(node, OFFSETS)).status, 200)
  t.equal(node.api.memoryBytes, 0)
  t.same(
    node.logged.filter(({ level }) => level === 'error'),
    [],
  )
})

t.test('an API that cannot listen everywhere listens nowhere', async (t) => {
  const node = await startApi(t)
  const port = Number(new URL(node.url).port)
  const listen = [
    { host: '127.0.0.1', port: 0 },
    { host: '127.0.0.1', port },
  ]
  await t.rejects(startApi(t, { listen }), { code: 'ERR_ADDRESS_IN_USE' })
  const socket = join(temporaryDirectory(t), 'none', 'api.sock')
  await t.rejects(startApi(t, { socket }), { code: 'ERR_ADDRESS_IN_USE', message: /directory .* does not exist/ })
})

/** One request over an HTTP/2 session. */
function askHttp2(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const stream = session.request(headers, { endStream: body === undefined })
    let text = ''
    let got: IncomingHttpHeaders & IncomingHttpStatusHeader = {}
    stream.on('response', (response) => (got = response))
    stream.setEncoding('utf8').on('data', (part: string) => (text += part))
    stream.on('end', () => resolve({ status: Number(got[':status']), headers: got, text })).on('error', reject)
    if (body !== undefined) stream.end(body)
  })
}

t.test('HTTP/2 with prior knowledge is spoken on the same port', async (t) => {
  const node = await startApi(t)
  const session = connectHttp2(node.url)
  const authorization = `Bearer ${node.token}`
  const post = { ':method': 'POST', authorization, 'content-type': 'application/json' }
  const ids = await Promise.all(Array.from({ length: 20 }, () => askHttp2(session, { ':path': '/api/v2/node/id' })))
  t.same(new Set(ids.map(({ text }) => text)), new Set([node.nodeId]))
  const published = await askHttp2(session, { ...post, ':path': PUBLISH }, '{"data":[{"tags":["a"],"payload":1}]}')
  t.equal(published.status, 200)
  const answer = await askHttp2(session, { ...post, ':path': QUERY }, '{"query":"FROM \'a\'","order":"asc"}')
  t.same([answer.status, answer.headers['content-type'], linesOf(answer.text).length], [200, 'application/x-ndjson', 2])
  t.equal((await askHttp2(session, { ...post, ':path': QUERY }, '{}')).status, 400)
  t.equal((await askHttp2(session, { ':path': OFFSETS })).status, 401)
  const noUpgrade = await askHttp2(session, { ':path': '/api/v2/events' })
  t.match([noUpgrade.status, noUpgrade.text], [426, /"ERR_UPGRADE_REQUIRED"/], 'HTTP/2 knows no upgrades')
  t.equal((await askHttp2(session, { ':path': '/x', ':authority': 'evil.example' })).status, 403)
  const blob = { ...post, ':method': 'PUT', ':path': '/api/v2/blob/-/x', 'content-length': '2' }
  t.equal((await askHttp2(session, blob, 'ab')).status, 204)
  const left = session.request({ ...post, ':path': QUERY })
  left.end('{"query":"endless 100000","order":"asc"}')
  await once(left, 'response')
  await eventually(() => node.events.open === 1)
  left.destroy()
  await eventually(() => node.events.open === 0)
  const live = askHttp2(session, { ...post, ':path': SUBSCRIBE }, '{"query":"FROM \'a\'"}')
  await eventually(() => node.events.open === 1)
  const gone = once(session, 'close')
  await node.api.close()
  t.match((await live).text, /Service shutting down\."\}\n$/)
  await gone
})

t.test('a preface that comes byte by byte, and one that never ends, do no harm', async (t) => {
  const node = await startApi(t)
  const slow = connect(Number(new URL(node.url).port), '127.0.0.1')
  slow.setNoDelay(true)
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')
  const first = once(slow, 'data')
  for (const byte of preface) {
    slow.write(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.equal(((await first) as [Buffer])[0][3], 4, 'a settings frame')
  slow.destroy()
  for (const text of [
    '',
    'P',
    'PRI * HTTP/2.0\r\n\r\nSM',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage that is no frame',
  ]) {
    await raw(node, Buffer.from(text))
  }
  t.match(await raw(node, 'PROPFIND / HTTP/1.1\r\nhost: localhost\r\n\r\n'), /^HTTP\/1\.1 404 /)
  const undecided = connect(Number(new URL(node.url).port), '127.0.0.1')
  undecided.on('error', () => undefined)
  undecided.write('PRI')
  await once(undecided, 'connect')
  const cut = new Promise((resolve) => undecided.on('close', resolve))
  await node.api.close()
  undecided.resume()
  await cut
})
