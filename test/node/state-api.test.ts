import { request, type IncomingMessage } from 'node:http'
import { on, once } from 'node:events'
import { createInterface } from 'node:readline'
import t from 'tap'
import { WebSocket } from 'ws'
import { startDaemon } from '../../node/index.js'
import { App } from '../support/app.js'
import type { AskOptions } from '../support/ask.js'
import { auditSettings, daemonSettings, silentLogger } from '../support/daemon-settings.js'
import { DaemonProcess } from '../support/daemon.js'
import { OpenApi } from '../support/open-api.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const STATE = '/api/millrace/v1/state'
const KV = `${STATE}/kv`

type Json = Record<string, unknown>

/** A node with its API, whose answers are held against its description. */
async function start(t: { teardown: (work: () => unknown) => void }) {
  const grants = new Map([['com.example.other', ['com.example.test']]])
  const settings = daemonSettings(temporaryDirectory(t), {
    state: { backend: 'embedded', url: undefined, maxBytes: 2 ** 22, grants },
  })
  const daemon = await startDaemon({ settings, logger: silentLogger, version: '0.1.0' })
  t.teardown(() => daemon.close())
  const url = daemon.addresses.api[0] ?? ''
  const app = await App.at(url)
  const api = await OpenApi.of(url)
  const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Json> => {
    const options: AskOptions = {
      headers: { authorization: `Bearer ${app.token}`, ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    }
    return api.check(method, path, options) as Promise<Json>
  }
  return { daemon, url, app, api, call }
}

t.test('an entry is written, read and deleted under the conditions of its headers', async (t) => {
  const { app, call } = await start(t)
  const key = `${KV}/order/4711`
  t.match(await call('GET', key), { code: 'ERR_NOT_FOUND' })
  const { version } = (await call('PUT', key, '{ "n" : 5.0 }', { 'if-none-match': '*' })) as { version: string }
  t.match(await call('PUT', key, '1', { 'if-none-match': '*' }), {
    code: 'ERR_STATE_CONFLICT',
    current: { key: 'com.example.test/order/4711', version },
  })
  const got = await app.call(key)
  t.equal(got.headers.etag, `"${version}"`)
  t.equal(got.text, `{"key":"com.example.test/order/4711","value":{"n":5.0},"version":"${version}"}`, 'digit for digit')
  t.equal((await app.call(key, { headers: { 'if-none-match': `"${version}"` } })).status, 304)
  t.match(await call('PUT', key, '2', { 'if-match': '"999"' }), { code: 'ERR_STATE_CONFLICT' })
  const next = (await call('PUT', key, '2', { 'if-match': `"${version}"` })) as { version: string }
  t.ok(BigInt(next.version) > BigInt(version))
  t.match(await call('DELETE', key, undefined, { 'if-match': `"${version}"` }), { current: { value: 2 } })
  t.same(await call('DELETE', key, undefined, { 'if-match': '*' }), { deleted: true })
  t.same(await call('DELETE', key), { deleted: false })
  t.match(await call('DELETE', key, undefined, { 'if-match': '*' }), { code: 'ERR_STATE_CONFLICT', current: null })
  const odd = `${KV}/${encodeURIComponent('k/ü \u0001 😀/')}`
  await call('PUT', odd, '"odd"')
  t.match(await call('GET', odd), { key: 'com.example.test/k/ü \u0001 😀/', value: 'odd' })
})

t.test('what cannot be understood is refused with what is wrong', async (t) => {
  const { call } = await start(t)
  const cases: [string, string, string | undefined, Record<string, string>, string][] = [
    ['PUT', `${KV}/a/b`, '{"n":}', {}, 'ERR_BAD_REQUEST'],
    ['PUT', `${KV}/a/b`, '1 2', {}, 'ERR_BAD_REQUEST'],
    ['PUT', `${KV}/a/b`, '1', { 'if-match': 'W/"1"' }, 'ERR_BAD_REQUEST'],
    ['PUT', `${KV}/a/b`, '1', { 'if-none-match': '"1"' }, 'ERR_BAD_REQUEST'],
    ['PUT', `${KV}/a/b`, '1', { 'millrace-ttl': '0' }, 'ERR_BAD_REQUEST'],
    ['PUT', `${KV}/a/b`, '1', { 'idempotency-key': 'x'.repeat(300) }, 'ERR_BAD_REQUEST'],
    ['PUT', `${KV}/${'x'.repeat(1100)}`, '1', {}, 'ERR_STATE_TOO_LARGE'],
    ['PUT', `${KV}/a/b`, JSON.stringify('x'.repeat(2 ** 20)), {}, 'ERR_STATE_TOO_LARGE'],
    ['PUT', `${KV}/com.example.other/x/y`, '1', {}, 'ERR_STATE_FORBIDDEN'],
    ['PUT', `${KV}/mr/x/y`, '1', {}, 'ERR_STATE_FORBIDDEN'],
    ['GET', `${KV}/%zz`, undefined, {}, 'ERR_BAD_REQUEST'],
    ['GET', `${KV}?limit=0`, undefined, {}, 'ERR_BAD_REQUEST'],
    ['GET', `${KV}?atRevision=x`, undefined, {}, 'ERR_BAD_REQUEST'],
    ['POST', `${STATE}/txn`, '{"iff":[]}', {}, 'ERR_BAD_REQUEST'],
    ['POST', `${STATE}/txn`, '{"if":[{"key":"a/b"}]}', {}, 'ERR_BAD_REQUEST'],
    ['POST', `${STATE}/txn`, '{"if":[{"stream":"nowhere","offset":1}]}', {}, 'ERR_BAD_REQUEST'],
    ['POST', `${STATE}/txn`, '{"then":[{"op":"put","key":"a/b"}]}', {}, 'ERR_BAD_REQUEST'],
    ['POST', `${STATE}/txn`, '{"then":[{"op":"set","key":"a/b"}]}', {}, 'ERR_BAD_REQUEST'],
    ['POST', `${STATE}/txn`, '{"append":[{"tags":[""],"payload":1}]}', {}, 'ERR_BAD_REQUEST'],
    [
      'POST',
      '/api/millrace/v1/events/publish',
      '{"data":[{"tags":["a"],"payload":1,"expectedOfset":1}]}',
      {},
      'ERR_BAD_REQUEST',
    ],
  ]
  for (const [method, path, body, headers, code] of cases) {
    t.match(
      await call(method, path, body, headers),
      { code },
      `${method} ${path.slice(0, 60)} ${body?.slice(0, 60) ?? ''}`,
    )
  }
})

t.test('a transaction changes entries and stores events in one commit', async (t) => {
  const { app, call } = await start(t)
  const txn = (body: unknown): Promise<Json> => call('POST', `${STATE}/txn`, body)
  const order = {
    if: [
      { key: 'order/1', exists: false },
      { stream: 'default', offset: -1 },
    ],
    then: [
      { op: 'set', key: 'order/1', value: { state: 'new' } },
      { op: 'increment', key: 'count/orders', delta: '1', max: 9 },
      { op: 'get', key: 'order/1' },
    ],
    else: [{ op: 'get', key: 'order/1' }],
    append: [{ tags: ['order'], payload: { id: 1 }, expectedOffset: -1, idempotencyKey: 'order-1' }],
    requestId: 'r-1',
  }
  const done = (await txn(order)) as { revision: string }
  const { revision } = done
  t.match(done, {
    succeeded: true,
    results: [{ version: revision }, { value: '1', version: revision }, { entry: { version: revision } }],
    appended: [{ offset: 0, duplicate: false }],
  })
  t.same(await txn(order), done, 'a retry gets the same answer')
  t.match(await txn({ ...order, requestId: 'r-2' }), { succeeded: false, appended: [], results: [{ entry: {} }] })
  const value = { if: [{ key: 'order/1', value: { state: 'new' } }], then: [{ op: 'delete', key: 'order/1' }] }
  t.match(await txn(value), { succeeded: true, results: [{ deleted: true }] })
  const late = { append: [{ tags: ['order'], payload: 2, expectedOffset: -1 }] }
  t.match(await txn(late), { code: 'ERR_OFFSET_CONFLICT', stream: 'default', expected: -1, actual: 0 })
  t.match(await txn({ then: [{ op: 'increment', key: 'count/orders', delta: 9, max: 9 }] }), {
    code: 'ERR_COUNTER_RANGE',
  })
  const { text } = await app.post('/api/v2/events/query', { query: "FROM 'order'", order: 'asc' })
  t.match(text, /"payload":\{"id":1\}/)
  t.equal(text.match(/"type":"event"/g)?.length, 1)
})

t.test('publishing can expect offsets, and is done once for an idempotency key', async (t) => {
  const { call } = await start(t)
  const publish = (body: unknown, headers = {}): Promise<Json> =>
    call('POST', '/api/millrace/v1/events/publish', body, headers)
  const two = {
    data: [
      { tags: ['a'], payload: 1, expectedOffset: -1 },
      { tags: ['a'], payload: 2 },
    ],
  }
  const key = { 'idempotency-key': 'k' }
  t.match(await publish(two, key), { data: [{ offset: 0, duplicate: false }, { offset: 1 }] })
  t.match(await publish(two, key), {
    data: [
      { offset: 0, duplicate: true },
      { offset: 1, duplicate: true },
    ],
  })
  t.match(await publish(two), { code: 'ERR_OFFSET_CONFLICT', actual: 1 })
  t.same(await publish({ data: [] }), { data: [] })
})

t.test('keys are listed by prefix, page by page; other namespaces need a grant, and the socket none', async (t) => {
  const { daemon, url, api, call } = await start(t)
  for (let at = 0; at < 5; at++) await call('PUT', `${KV}/k/${String(at)}`, String(at))
  const first = (await call('GET', `${KV}?prefix=k/&limit=3`)) as { entries: Json[]; next: string; revision: string }
  t.equal(first.entries.length, 3)
  await call('DELETE', `${KV}/k/4`)
  const rest = await call('GET', `${KV}?prefix=k/&limit=3&after=${first.next}&atRevision=${first.revision}`)
  t.match(rest, { entries: [{ value: 3 }, { value: 4 }], next: null, revision: first.revision })
  const other = await App.at(url, 'com.example.other')
  const headers = { authorization: `Bearer ${other.token}` }
  t.match(await api.check('GET', `${KV}/com.example.test/k/1`, { headers }), { value: 1 })
  t.match(await api.check('GET', KV, { headers }), { entries: [] })
  const socketPath = daemon.addresses.socket
  t.match(await api.check('GET', KV, { socketPath }), { entries: { length: 4 } })
  t.match(await api.check('GET', `${STATE}/info`, { socketPath }), { backend: 'embedded', entries: 4, scope: 'node' })
  t.match(await api.check('GET', KV), { code: 'ERR_MISSING_AUTH_HEADER' })
})

interface Watch {
  next(): Promise<Json>
  end(): void
}

async function watch(url: string, token: string, query: string, accept = 'application/x-ndjson'): Promise<Watch> {
  const call = request(`${url}${STATE}/watch${query}`, {
    headers: { authorization: `Bearer ${token}`, accept },
    agent: false,
  })
  call.end()
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  const lines = createInterface({ input: response })[Symbol.asyncIterator]()
  return {
    next: async () => {
      for (;;) {
        const { value } = (await lines.next()) as { value: string }
        const text = value.replace(/^data: /, '')
        if (text.startsWith('{')) return JSON.parse(text) as Json
      }
    },
    end: () => {
      call.destroy()
    },
  }
}

t.test('a watch tells each commit once, and goes on where another one has ended', async (t) => {
  const { url, app, call } = await start(t)
  for (const accept of ['application/x-ndjson', 'text/event-stream']) {
    const first = await watch(url, app.token, '?prefix=k/', accept)
    const { revision } = await first.next()
    await call('PUT', `${KV}/other/1`, '1')
    await call('POST', `${STATE}/txn`, {
      then: [
        { op: 'set', key: 'k/1', value: 1 },
        { op: 'set', key: 'k/2', value: 2 },
      ],
    })
    await call('DELETE', `${KV}/k/1`)
    const seen = [await first.next(), await first.next()]
    t.match(seen, [
      { type: 'changes', changes: [{ key: 'com.example.test/k/1', value: 1 }, { value: 2 }] },
      { changes: [{ key: 'com.example.test/k/1', deleted: true }] },
    ])
    first.end()
    const again = await watch(url, app.token, `?prefix=k/&from=${String(revision)}`)
    t.match(await again.next(), { type: 'watching', revision })
    t.same([await again.next(), await again.next()], seen)
    again.end()
  }
  t.match(await call('GET', `${STATE}/watch?from=x`), { code: 'ERR_BAD_REQUEST' })
})

t.test('a watch over the WebSocket tells the same, and ends when it is cancelled', async (t) => {
  const { daemon, url, app, call } = await start(t)
  const socket = new WebSocket(`${url.replace('http', 'ws')}/api/v2/events?${app.token}`)
  t.teardown(() => {
    socket.terminate()
  })
  const messages = on(socket, 'message')
  const next = async (): Promise<Json> => {
    const { value } = (await messages.next()) as { value: [Buffer] }
    return JSON.parse(value[0].toString()) as Json
  }
  const ask = (requestId: number, payload: unknown): void => {
    socket.send(JSON.stringify({ type: 'request', requestId, serviceId: 'state_watch', payload }))
  }
  await once(socket, 'open')
  ask(1, { prefix: 'k/' })
  const first = (await next()) as { payload: { revision: string }[] }
  t.match(first, { type: 'next', requestId: 1, payload: [{ type: 'watching' }] })
  await call('PUT', `${KV}/other/1`, '1')
  await call('PUT', `${KV}/k/1`, '5.0')
  const seen = { type: 'changes', changes: [{ key: 'com.example.test/k/1', value: 5 }] }
  t.match(await next(), { type: 'next', requestId: 1, payload: [seen] })
  socket.send(JSON.stringify({ type: 'cancel', requestId: 1 }))
  ask(2, { prefix: 'k/', from: first.payload[0]?.revision })
  const again = [await next()]
  while (!JSON.stringify(again).includes('changes')) again.push(await next())
  t.match(
    again.flatMap(({ payload }) => payload as Json[]),
    [{ type: 'watching' }, seen],
  )
  const refused: [payload: unknown, kind: Json][] = [
    [{ prefix: 'com.example.other/x' }, { type: 'serviceError' }],
    [{ from: 'x' }, { type: 'serviceError' }],
    [{ prefix: 1 }, { type: 'badRequest' }],
  ]
  for (const [payload, kind] of refused) {
    ask(3, payload)
    t.match(await next(), { type: 'error', requestId: 3, kind }, JSON.stringify(payload))
    t.match(await next(), { type: 'complete', requestId: 3 })
  }
  await daemon.close()
  t.match(await next(), { type: 'error', requestId: 2 })
})

t.test('a lock is granted, prolonged and released, and its fence guards writes', async (t) => {
  const { daemon, api, call } = await start(t)
  const lock = (action: string, body: unknown): Promise<Json> => call('POST', `${STATE}/locks/jobs/${action}`, body)
  const grant = (await lock('acquire', { ttlMs: 60_000 })) as { fence: string }
  t.match(grant, { name: 'com.example.test/jobs', mode: 'write', owner: 'com.example.test', fence: /^[0-9]+$/ })
  t.match(await lock('acquire', { ttlMs: 100, waitMs: 1 }), { code: 'ERR_LOCK_TIMEOUT' })
  t.match(await lock('extend', { fence: grant.fence, ttlMs: 120_000 }), { fence: grant.fence })
  t.match(await lock('extend', { fence: '999999', ttlMs: 100 }), { code: 'ERR_LOCK_LOST' })
  const fenced = { 'millrace-fence': `jobs:${grant.fence}` }
  t.match(await call('PUT', `${KV}/k/1`, '1', fenced), { version: /^[0-9]+$/ })
  const guarded = { then: [{ op: 'set', key: 'k/1', value: 2 }], fencedBy: { lock: 'jobs', fence: grant.fence } }
  t.match(await call('POST', `${STATE}/txn`, guarded), { succeeded: true })
  t.match(await call('GET', `${STATE}/locks`), { locks: [{ name: 'com.example.test/jobs', waiters: [] }] })
  t.match(await call('GET', `${STATE}/locks/jobs`), { locks: [{ holders: [{ fence: grant.fence }] }] })
  t.match(await call('GET', `${STATE}/locks/none`), { locks: [] })
  const { socket } = daemon.addresses
  t.match(await api.check('GET', `${STATE}/locks`, { socketPath: socket }), { locks: { length: 1 } })
  t.same(await lock('release', { fence: grant.fence }), { released: true })
  t.same(await lock('release', { fence: grant.fence }), { released: false })
  t.match(await call('PUT', `${KV}/k/1`, '3', fenced), { code: 'ERR_FENCED' })
  t.match(await call('DELETE', `${KV}/k/1`, undefined, fenced), { code: 'ERR_FENCED' })
  t.match(await call('POST', `${STATE}/txn`, guarded), { code: 'ERR_FENCED' })
  const condition = { if: [{ lock: 'jobs', fence: grant.fence }], else: [{ op: 'get', key: 'k/1' }] }
  t.match(await call('POST', `${STATE}/txn`, condition), { succeeded: false, results: [{ entry: { value: 2 } }] })
  const wrong: [string, unknown][] = [
    ['acquire', { ttlMs: 99 }],
    ['acquire', {}],
    ['acquire', { ttlMs: 100, waitMS: 5 }],
    ['acquire', { ttlMs: 100, mode: 'both' }],
    ['extend', { ttlMs: 100 }],
    ['release', { fence: 'x' }],
  ]
  for (const [action, body] of wrong)
    t.match(await lock(action, body), { code: 'ERR_BAD_REQUEST' }, JSON.stringify(body))
  t.match(await call('PUT', `${KV}/k/1`, '3', { 'millrace-fence': 'jobs' }), { code: 'ERR_BAD_REQUEST' })
})

t.test('something is claimed, done once and told of afterwards', async (t) => {
  const { call } = await start(t)
  const dedup = (action: string, body: unknown): Promise<Json> => call('POST', `${STATE}/dedup/${action}`, body)
  const first = (await dedup('claim', { key: 'mail/7' })) as { token: string }
  t.match(first, { new: true, attempt: 1, token: /^[0-9]+:com\.example\.test\/mail\/7$/ })
  t.match(await dedup('claim', { key: 'mail/7' }), { inProgress: true, since: Number, attempt: 1 })
  t.match(await dedup('abandon', first), { code: 'ERR_BAD_REQUEST' }, 'only the token')
  t.same(await dedup('abandon', { token: first.token }), { abandoned: true })
  t.same(await dedup('abandon', { token: first.token }), { abandoned: false })
  t.match(await dedup('done', { token: first.token, result: 1 }), { code: 'ERR_FENCED' })
  const second = (await dedup('claim', { key: 'mail/7', windowMs: 60_000, staleMs: 60_000 })) as { token: string }
  t.not(second.token, first.token)
  const { at } = (await dedup('done', { token: second.token, result: { id: 5.0 } })) as { at: number }
  t.same(await dedup('done', { token: second.token, result: 2 }), { at }, 'the first result stays')
  t.same(await dedup('claim', { key: 'mail/7' }), { done: true, result: { id: 5 }, at })
  const same = { key: 'mail/8', requestId: 'r' }
  t.same(await dedup('claim', same), await dedup('claim', same))
  const wrong: [string, unknown][] = [
    ['claim', {}],
    ['claim', { key: 'a/b', staleMs: 0 }],
    ['claim', { key: 'a/b', window: 5 }],
    ['done', { result: 1 }],
    ['done', { token: 'x' }],
    ['abandon', { token: '12345678901234567890:a/b' }],
  ]
  for (const [action, body] of wrong) {
    t.match(await dedup(action, body), { code: 'ERR_BAD_REQUEST' }, JSON.stringify(body))
  }
  t.match(await dedup('claim', { key: 'com.example.other/a/b' }), { code: 'ERR_STATE_FORBIDDEN' })
  t.match(await dedup('done', { token: '1:com.example.other/a/b' }), { code: 'ERR_STATE_FORBIDDEN' })
})

t.test('limits are taken from at once or not at all, and given back', async (t) => {
  const { call } = await start(t)
  const limits = (action: string, body: unknown): Promise<Json> => call('POST', `${STATE}/limits/${action}`, body)
  const all = { name: 'mail/all', max: 3, windowMs: 86_400_000, align: 'epoch' }
  const one = { name: 'mail/one', n: 2, max: 2, windowMs: 86_400_000 }
  const name = 'com.example.test/mail/all'
  t.same(await limits('take', { limits: [all] }), {
    ok: true,
    retryAfterMs: 0,
    limits: [{ name, used: 1, retryAfterMs: 0 }],
  })
  const { token } = await limits('take', { limits: [all, one], requestId: 'r' })
  t.equal(token, 'r')
  t.match(await limits('take', { limits: [all, one], requestId: 'r' }), { ok: true, token })
  t.match(await limits('take', { limits: [all, one] }), {
    ok: false,
    limits: [{ used: 2, retryAfterMs: 0 }, { used: 2 }],
  })
  t.same(await limits('refund', { token }), { refunded: true })
  t.same(await limits('refund', { token }), { refunded: false })
  t.match(await limits('take', { limits: [one, { ...all, n: 0 }] }), { ok: true, limits: [{ used: 2 }, { used: 1 }] })
  const wrong: [string, unknown][] = [
    ['take', {}],
    ['take', { limits: [] }],
    ['take', { limits: [all, all] }],
    ['take', { limits: [{ ...all, n: 4 }] }],
    ['take', { limits: [{ ...all, n: 0.5 }] }],
    ['take', { limits: [{ ...all, windowMs: 0 }] }],
    ['take', { limits: [{ ...all, align: 'day' }] }],
    ['take', { limits: [{ name: 'mail/all', max: 3 }] }],
    ['take', { limits: Array.from({ length: 65 }, (_, at) => ({ ...all, name: `mail/${String(at)}` })) }],
    ['refund', {}],
  ]
  for (const [action, body] of wrong) {
    t.match(await limits(action, body), { code: 'ERR_BAD_REQUEST' }, JSON.stringify(body).slice(0, 80))
  }
  t.match(await limits('take', { limits: [{ ...all, name: 'com.example.other/a/b' }] }), {
    code: 'ERR_STATE_FORBIDDEN',
  })
})

t.test('a lock that is bound to a connection goes with it, and so does the turn of somebody who waits', async (t) => {
  const { url, app, call } = await start(t)
  const ask = (body: Json) => {
    const asked = request(`${url}${STATE}/locks/jobs/acquire`, {
      method: 'POST',
      headers: { authorization: `Bearer ${app.token}`, 'content-type': 'application/json' },
      agent: false,
    })
    asked.on('error', () => undefined)
    asked.end(JSON.stringify({ ttlMs: 600_000, waitMs: 60_000, ...body }))
    return asked
  }
  const waiters = async (): Promise<number> => {
    const { locks } = (await call('GET', `${STATE}/locks`)) as { locks: { waiters: unknown[] }[] }
    return locks[0]?.waiters.length ?? 0
  }
  const bound = ask({ bound: 'connection' })
  const [response] = (await once(bound, 'response')) as [IncomingMessage]
  const [line] = (await once(response, 'data')) as [Buffer]
  t.match(JSON.parse(line.toString()), { type: 'granted', name: 'com.example.test/jobs' })
  response.on('error', () => undefined)
  const gone = ask({ owner: 'gone' })
  while ((await waiters()) < 1) continue
  const next = ask({ owner: 'next' })
  while ((await waiters()) < 2) continue
  gone.destroy()
  while ((await waiters()) > 1) continue
  bound.destroy()
  const [granted] = (await once(next, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of granted) text += String(chunk)
  t.match(JSON.parse(text), { owner: 'next' })
})

t.test('what was acknowledged is there after kill -9, and retries get their first answers', async (t) => {
  await using daemon = await DaemonProcess.start()
  let app = await App.at(daemon.url)
  let acknowledged = 0
  for (let life = 0; life < 3; life++) {
    const body = (at: number) => ({
      then: [{ op: 'increment', key: 'c/1' }],
      append: [{ tags: ['n'], payload: at }],
      requestId: `r-${String(life)}-${String(at)}`,
    })
    const asked = Array.from({ length: 40 }, (_, at) =>
      app.post(`${STATE}/txn`, body(at)).then(
        ({ text }) => ({ at, text }),
        () => ({ at, text: undefined }),
      ),
    )
    await asked[5]
    await daemon.kill()
    const answers = await Promise.all(asked)
    await daemon.startAgain()
    app = await App.at(daemon.url)
    for (const { at, text } of answers) {
      const again = await app.post(`${STATE}/txn`, body(at))
      if (text !== undefined) t.equal(again.text, text)
    }
    acknowledged += answers.length
    const { value } = JSON.parse((await app.call(`${KV}/c/1`)).text) as { value: number }
    t.equal(value, acknowledged, 'each once, however often it was asked for')
    const { text } = await app.call('/api/v2/events/offsets')
    t.match(Object.values((JSON.parse(text) as { present: Json }).present), [acknowledged - 1], 'and so are its events')
  }
})

t.test('the audit keeps what was done in a stream that only operators see', async (t) => {
  const data = temporaryDirectory(t)
  const audit = auditSettings(data, { sink: 'stream', mode: 'intent', hashChain: true, redact: [['**', 'value']] })
  const settings = daemonSettings(data, { audit })
  for (const life of [0, 1]) {
    const daemon = await startDaemon({ settings, logger: silentLogger, version: '0.1.0' })
    const url = daemon.addresses.api[0] ?? ''
    const app = await App.at(url)
    const api = await OpenApi.of(url)
    const headers = { authorization: `Bearer ${app.token}` }
    t.equal((await app.call(`${KV}/k/${String(life)}`, { method: 'PUT', headers, body: '{"pin":1}' })).status, 200)
    t.equal((await app.call(`${KV}/k/x`, { method: 'DELETE', headers: { ...headers, 'if-match': '"9"' } })).status, 412)
    await app.publish([['seen'], life])
    const answer = await app.post('/api/v2/events/query', { query: 'FROM allEvents', order: 'asc' })
    t.match(answer.text, /"payload":0/)
    t.notMatch(answer.text, /mr:audit/)
    const offsets = JSON.parse((await app.call('/api/v2/events/offsets')).text) as { present: object }
    t.same(Object.keys(offsets.present), [`${daemon.addresses.nodeId}-0`])
    t.match(await api.check('GET', '/api/millrace/v1/audit', { headers }), { code: 'ERR_FORBIDDEN' })
    const socketPath = daemon.addresses.socket
    const first = (await api.check('GET', '/api/millrace/v1/audit?limit=3', { socketPath })) as {
      records: { record: Json }[]
      next: number
    }
    t.match(
      first.records.map(({ record }) => record),
      [
        { type: 'intent', app: 'com.example.test', operation: { then: [{ op: 'set', value: '[redacted]' }] } },
        { type: 'outcome', outcome: { succeeded: true } },
        { type: 'intent', operation: { then: [{ op: 'delete', key: 'com.example.test/k/x' }] } },
      ],
    )
    t.equal(first.next, 2)
    const lines = JSON.stringify(await api.check('GET', '/api/millrace/v1/audit?after=2', { socketPath }))
    t.match(lines, /"succeeded":false/)
    const post = async (path: string, body: object): Promise<Json> =>
      JSON.parse((await app.post(`${STATE}/${path}`, body)).text) as Json
    const { fence } = await post('locks/jobs/acquire', { ttlMs: 60_000 })
    await post('txn', { then: [], fencedBy: { lock: 'jobs', fence } })
    await post('locks/jobs/release', { fence })
    const { token } = await post('dedup/claim', { key: `mail/${String(life)}` })
    await post('dedup/done', { token, result: 'secret' })
    await post('limits/take', {
      limits: [{ name: 'mail/all', max: 9, windowMs: 1 }],
      requestId: `take-${String(life)}`,
    })
    await post('limits/refund', { token: `take-${String(life)}` })
    const all = (await api.check('GET', '/api/millrace/v1/audit?limit=1000', { socketPath })) as typeof first
    const about = { lock: 'com.example.test/jobs', fence }
    t.match(
      all.records.slice(-14).map(({ record }) => record),
      [
        { action: 'state.lock.acquire', operation: { lock: about.lock, mode: 'write' } },
        { outcome: { fence } },
        { action: 'state.txn', operation: { fencedBy: about } },
        { outcome: { succeeded: true } },
        { action: 'state.lock.release', operation: about },
        { outcome: { released: true } },
        { action: 'state.dedup.claim', operation: { key: `com.example.test/mail/${String(life)}` } },
        { outcome: { claim: String(token).split(':')[0] } },
        { action: 'state.dedup.done', operation: { value: '[redacted]' } },
        { type: 'outcome' },
        { action: 'state.limits.take', operation: { limits: [{ name: 'com.example.test/mail/all', n: 1 }] } },
        { outcome: { ok: true } },
        { action: 'state.limits.refund', operation: { requestId: `take-${String(life)}` } },
        { outcome: { refunded: true } },
      ],
    )
    await daemon.close()
  }
})

t.test('moving and checking the state is for operators, as its description says', async (t) => {
  const { daemon, url, call } = await start(t)
  const api = await OpenApi.of(url)
  const socketPath = daemon.addresses.socket
  await call('PUT', `${KV}/k/1`, '{"n":1.0}')
  const publish = { method: 'POST', headers: { 'idempotency-key': 'e' } }
  t.match(
    await call('POST', '/api/millrace/v1/events/publish', '{"data":[{"tags":["a"],"payload":1}]}', publish.headers),
    {
      data: [{ duplicate: false }],
    },
  )
  const exported = String(await api.check('GET', `${STATE}/export`, { socketPath }))
  t.match(exported, /\n\{"type":"kv","key":"com.example.test\/k\/1","version":"\d+","value":\{"n":1.0\}\}\n/)
  t.match(exported, /\n\{"type":"dedup","app":"com.example.test","key":"e",/)
  t.match(await api.check('POST', `${STATE}/import?dryRun=true`, { socketPath, body: exported }), {
    imported: 0,
    same: 2,
  })
  const other = exported.replace('1.0', '2').replace('"key":"e"', '"key":"f"')
  t.match(await api.check('POST', `${STATE}/import?overwrite=true`, { socketPath, body: other }), {
    imported: 2,
    remarks: [{ type: 'kv', key: 'com.example.test/k/1', outcome: 'overwritten' }],
  })
  t.match(await api.check('POST', `${STATE}/import`, { socketPath, body: exported }), {
    imported: 0,
    same: 1,
    remarks: [{ outcome: 'kept' }],
  })
  t.match(await api.check('POST', `${STATE}/verify`, { socketPath }), { entries: 1, still: true, faults: [] })
  t.same(await api.check('POST', `${STATE}/compact`, { socketPath }), { compacted: true })
  for (const [path, reason] of [
    ['/export?kinds=kv,x', /`kinds`/],
    ['/import?dryRun=1', /`dryRun` is true or false/],
    ['/import', /first line/],
    ['/verify?repair=yes', /`repair`/],
  ] as const) {
    const method = path.startsWith('/export') ? 'GET' : 'POST'
    t.match(await api.check(method, STATE + path, { socketPath, body: '' }), {
      code: 'ERR_BAD_REQUEST',
      message: reason,
    })
  }
  for (const path of ['/import', '/verify', '/compact'])
    t.match(await call('POST', STATE + path, ''), { code: 'ERR_FORBIDDEN' })
  t.match(await call('GET', `${STATE}/export`), { code: 'ERR_FORBIDDEN' })
})
