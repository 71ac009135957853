import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import t from 'tap'
import { systemClock } from '../../core/index.js'
import { LogTail } from '../../node/log-tail.js'
import { App } from '../support/app.js'
import { ask, linesOf } from '../support/ask.js'
import { DaemonProcess } from '../support/daemon.js'
import { silentLogger } from '../support/daemon-settings.js'

const QUERIES = '/api/millrace/v1/queries'
const LOG = '/api/millrace/v1/log'

interface Listed {
  readonly id: string
  readonly kind: string
  readonly query: string
  readonly appId: string
  readonly since: number
  readonly rows: number
}

/** An answer that is being read. */
class Reading {
  text = ''
  readonly ended: Promise<unknown>
  readonly #response: IncomingMessage

  private constructor(response: IncomingMessage) {
    this.#response = response
    response.setEncoding('utf8').on('data', (text: string) => {
      this.text += text
    })
    this.ended = once(response, 'end')
  }

  static async of(app: App, path: string, body: object): Promise<Reading> {
    const headers = { authorization: `Bearer ${app.token}` }
    const asked = request(app.url + path, { method: 'POST', headers, agent: false })
    const arrives = once(asked, 'response')
    asked.end(JSON.stringify(body))
    return new Reading(((await arrives) as [IncomingMessage])[0])
  }

  leave(): void {
    this.#response.destroy()
    this.ended.catch(() => undefined)
  }

  async lines(count: number): Promise<string[]> {
    while (linesOf(this.text).length < count) await new Promise((resolve) => setImmediate(resolve))
    return linesOf(this.text)
  }
}

async function list(daemon: DaemonProcess, app?: App): Promise<readonly Listed[]> {
  const reply =
    app === undefined ? await ask(daemon.url, QUERIES, { socketPath: daemon.socket }) : await app.call(QUERIES)
  return (JSON.parse(reply.text) as { queries: Listed[] }).queries
}

void t.test('answers under way are listed with what they have done, and can be ended', async (t) => {
  const daemon = await DaemonProcess.start()
  t.teardown(() => daemon.close())
  const [one, other] = [await App.at(daemon.url, 'com.example.one'), await App.at(daemon.url, 'com.example.other')]
  await one.publish([['a'], 1], [['a'], 2], [['b'], 3])
  const before = Date.now() * 1000
  const first = await Reading.of(one, '/api/v2/events/subscribe', { query: "FROM 'a'" })
  const monotonic = { query: "FROM 'b' SELECT _", session: '', lowerBound: {} }
  const second = await Reading.of(other, '/api/v2/events/subscribe_monotonic', monotonic)
  const counting = await Reading.of(one, '/api/v2/events/subscribe', { query: "FROM 'a' FILTER _ > 1" })
  await Promise.all([first.lines(3), second.lines(2), counting.lines(2)])
  await one.publish([['a'], 4])
  await Promise.all([first.lines(4), counting.lines(3)])

  const all = await list(daemon)
  t.match(all, [
    { kind: 'subscribe', query: "FROM 'a'", appId: 'com.example.one', rows: 3 },
    { kind: 'subscribe_monotonic', query: "FROM 'b' SELECT _", appId: 'com.example.other', rows: 1 },
    { kind: 'subscribe', query: "FROM 'a' FILTER _ > 1", appId: 'com.example.one', rows: 2 },
  ])
  t.ok(all.every(({ since }) => since >= before && since <= Date.now() * 1000))
  t.same(
    (await list(daemon, one)).map(({ appId }) => appId),
    ['com.example.one', 'com.example.one'],
  )
  t.same((await list(daemon, other)).length, 1)
  t.equal((await ask(daemon.url, QUERIES)).status, 401, 'over TCP only with a token')

  const [a, b, c] = all.map(({ id }) => id)
  t.equal((await other.call(`${QUERIES}/${String(a)}`, { method: 'DELETE' })).status, 404, 'not that of another app')
  t.equal((await one.call(`${QUERIES}/${String(a)}`, { method: 'DELETE' })).status, 200)
  await first.ended
  t.match(JSON.parse((await first.lines(5))[4] ?? ''), { type: 'diagnostic', severity: 'error', message: /operator/ })
  const end = { method: 'DELETE', socketPath: daemon.socket }
  const ended = await ask(daemon.url, `${QUERIES}/${String(b)}`, end)
  t.match(JSON.parse(ended.text), { id: b, appId: 'com.example.other' })
  await second.ended
  t.equal((await ask(daemon.url, `${QUERIES}/${String(b)}`, end)).status, 404, 'it is over')
  t.same(
    (await list(daemon)).map(({ id }) => id),
    [c],
  )
  counting.leave()
  while ((await list(daemon)).length > 0) await new Promise((resolve) => setImmediate(resolve))
})

void t.test('a query that is ended in its middle says so and gives no offsets', async (t) => {
  const daemon = await DaemonProcess.start()
  t.teardown(() => daemon.close())
  const app = await App.at(daemon.url)
  for (let round = 0; round < 10; round++) {
    await app.publish(...Array.from({ length: 20 }, () => [['a'], 'x'.repeat(100_000)] as const))
  }
  const headers = { authorization: `Bearer ${app.token}` }
  const asked = request(`${app.url}/api/v2/events/query`, { method: 'POST', headers, agent: false })
  const arrives = once(asked, 'response')
  asked.end(JSON.stringify({ query: "FROM 'a'", order: 'asc' }))
  const [response] = (await arrives) as [IncomingMessage]
  const [running] = await list(daemon)
  t.match(running, { kind: 'query', query: "FROM 'a'" })
  await app.call(`${QUERIES}/${running?.id ?? ''}`, { method: 'DELETE' })
  let text = ''
  for await (const part of response.setEncoding('utf8') as AsyncIterable<string>) text += part
  const types = linesOf(text).map((line) => (JSON.parse(line) as { type: string }).type)
  t.equal(types.at(-1), 'diagnostic')
  t.notOk(types.includes('offsets'))
  t.ok(types.length < 201)
})

void t.test('the tail of the log can be read, by level and from where one was', async (t) => {
  const daemon = await DaemonProcess.start()
  t.teardown(() => daemon.close())
  const read = async (query: string): Promise<{ number: number; level: string; message: string }[]> => {
    const { text } = await ask(daemon.url, `${LOG}${query}`)
    return (JSON.parse(text) as { entries: { number: number; level: string; message: string }[] }).entries
  }
  const all = await read('')
  t.match(all.at(-1), { level: 'info', message: 'ready' })
  t.same(await read(`?after=${String(all.at(-1)?.number)}`), [])
  t.same(await read('?level=error'), [])
  t.equal((await read('?limit=1')).length, 1)
  t.same(await read('?limit=0'), [])
  daemon.signal('SIGHUP')
  let news = await read(`?after=${String(all.at(-1)?.number)}`)
  while (news.length === 0) news = await read(`?after=${String(all.at(-1)?.number)}`)
  t.match(news[0], { level: 'info', message: 'settings reloaded' })
  for (const query of ['?level=loud', '?limit=-1', '?after=x'])
    t.equal((await ask(daemon.url, LOG + query)).status, 400)
})

void t.test('the tail is bounded, shows no secrets, and takes whatever is logged', (t) => {
  const tail = new LogTail({ ...silentLogger, isLevelEnabled: (level) => level !== 'debug' }, systemClock)
  tail.debug({}, 'left out, as in the log')
  const circle: Record<string, unknown> = {}
  circle['self'] = circle
  tail.warn({ swarmKey: 'abc', nested: [{ token: 'abc' }], url: '/x?access_token=abc&y=1' }, 'Bearer abc.def is odd')
  tail.error({ err: Object.assign(new Error('Bearer abc'), { code: 'ERR_X' }), size: 5n }, 'failed')
  tail.info(circle, 'circle')
  tail.info({ text: 'x'.repeat(100_000) }, 'y'.repeat(100_000))
  const entries = tail.entries('debug', 0, 1000)
  t.equal(entries.length, 4)
  t.notMatch(JSON.stringify(entries), /abc/)
  t.match(entries[0], { level: 'warn', details: { url: '/x?access_token=not shown&y=1' } })
  t.match(entries[1], { level: 'error', details: { err: { type: 'Error', code: 'ERR_X' }, size: '5' } })
  t.ok(JSON.stringify(entries).length < 20_000)
  for (let at = 0; at < 5000; at++) tail.info({ at }, 'again')
  const kept = tail.entries('debug', 0, 10_000)
  t.equal(kept.length, 1000)
  t.match(kept.at(-1), { number: 5004, details: { at: 4999 } })
  t.end()
})
