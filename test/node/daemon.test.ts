import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { KEEP_EVERYTHING } from '../../storage/index.js'
import { startDaemon, type Daemon } from '../../node/index.js'
import { daemonSettings, silentLogger } from '../support/daemon-settings.js'

type Json = Record<string, unknown>

/** A client with a token. */
class Client {
  readonly #base: string
  readonly #token: string

  private constructor(base: string, token: string) {
    this.#base = base
    this.#token = token
  }

  static async of(daemon: Daemon): Promise<Client> {
    const base = `${String(daemon.addresses.api[0])}/api/v2`
    const manifest = { appId: 'com.example.test', displayName: 'test', version: '1' }
    const reply = await fetch(`${base}/auth`, { method: 'POST', body: JSON.stringify(manifest), headers: JSON_TYPE })
    return new Client(base, ((await reply.json()) as { token: string }).token)
  }

  send(path: string, body: unknown, signal?: AbortSignal): Promise<Response> {
    const headers = { ...JSON_TYPE, authorization: `Bearer ${this.#token}` }
    return fetch(this.#base + path, { method: 'POST', body: JSON.stringify(body), headers, signal: signal ?? null })
  }

  async publish(...events: readonly (readonly [tags: readonly string[], payload: unknown])[]): Promise<Json[]> {
    const reply = await this.send('/events/publish', { data: events.map(([tags, payload]) => ({ tags, payload })) })
    return ((await reply.json()) as { data: Json[] }).data
  }

  async query(query: string, more: Json = {}): Promise<Json[]> {
    const reply = await this.send('/events/query', { query, order: 'asc', ...more })
    return (await reply.text())
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Json)
  }

  async *follow(path: string, body: Json): AsyncGenerator<Json> {
    const controller = new AbortController()
    try {
      const reply = await this.send(path, body, controller.signal)
      let rest = ''
      for await (const chunk of reply.body as unknown as AsyncIterable<Uint8Array>) {
        const lines = (rest + Buffer.from(chunk).toString()).split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) if (line !== '') yield JSON.parse(line) as Json
      }
    } finally {
      controller.abort()
    }
  }
}

const JSON_TYPE = { 'content-type': 'application/json' }

async function withDirectory(t: Tap): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  return directory
}
type Tap = Pick<typeof t, 'teardown'>

const payloads = (rows: readonly Json[]): unknown[] =>
  rows.filter(({ type }) => type === 'event').map(({ payload }) => payload)

async function take(source: AsyncGenerator<Json>, count: number): Promise<Json[]> {
  const rows: Json[] = []
  while (rows.length < count) {
    const step = await source.next()
    if (step.done === true) break
    rows.push(step.value)
  }
  return rows
}

void t.test('what was published can be asked for, also after a restart', async (t) => {
  const data = await withDirectory(t)
  const daemon = await startDaemon({ settings: daemonSettings(data), logger: silentLogger, version: '0.0.0' })
  const client = await Client.of(daemon)
  const expected: number[] = []
  for (let batch = 0; batch < 10; batch++) {
    await client.publish([['a', `n:${String(batch)}`], batch], [['b'], -batch], [['a'], batch + 0.5])
    expected.push(batch, batch + 0.5)
  }
  t.same(payloads(await client.query("FROM 'a'")), expected)
  t.same(payloads(await client.query("FROM 'n:3'")), [3])
  const before = await client.query('FROM allEvents')
  t.same(payloads(await client.query('FROM allEvents', { order: 'desc' })), payloads(before).reverse())
  t.same(payloads(await client.query("FEATURES(aggregate) FROM 'a' AGGREGATE SUM(1)")), [20])
  await daemon.close()

  const again = await startDaemon({ settings: daemonSettings(data), logger: silentLogger, version: '0.0.0' })
  t.teardown(() => again.close())
  const client2 = await Client.of(again)
  t.same(await client2.query('FROM allEvents'), before)
  const [next] = await client2.publish([['a'], 1])
  t.equal(next?.['offset'], 30)
  t.ok(Number(next?.['lamport']) > Number(before[29]?.['lamport']))
})

void t.test(
  'a subscription delivers the past, the offsets and then what comes, in order and without gap',
  async (t) => {
    const data = await withDirectory(t)
    const daemon = await startDaemon({ settings: daemonSettings(data), logger: silentLogger, version: '0.0.0' })
    t.teardown(() => daemon.close())
    const client = await Client.of(daemon)
    for (let at = 0; at < 20; at++) await client.publish([['a'], at])
    const rows = client.follow('/events/subscribe', { query: "FROM 'a' FILTER _ >= 5" })
    const past = await take(rows, 16)
    t.same(payloads(past), [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
    t.equal(past[15]?.['type'], 'offsets')
    for (let at = 20; at < 60; at++) await client.publish([['a'], at], [['b'], 0])
    t.same(
      payloads(await take(rows, 40)),
      Array.from({ length: 40 }, (_, index) => index + 20),
    )
    await rows.return(undefined)
  },
)

void t.test('an aggregating subscription takes its old value back when a new one comes', async (t) => {
  const data = await withDirectory(t)
  const daemon = await startDaemon({ settings: daemonSettings(data), logger: silentLogger, version: '0.0.0' })
  t.teardown(() => daemon.close())
  const client = await Client.of(daemon)
  await client.publish([['a'], 1], [['a'], 2])
  const rows = client.follow('/events/subscribe', { query: "FEATURES(aggregate) FROM 'a' AGGREGATE SUM(_)" })
  t.same(
    (await take(rows, 2)).map(({ type, payload }) => [type, payload]),
    [
      ['event', 3],
      ['offsets', undefined],
    ],
  )
  await client.publish([['a'], 4])
  t.same(
    (await take(rows, 2)).map(({ type, payload }) => [type, payload]),
    [
      ['antiEvent', 3],
      ['event', 7],
    ],
  )
  await rows.return(undefined)
})

void t.test(
  'a monotonic subscription marks the last event at hand and ends with a time travel when order breaks',
  async (t) => {
    const data = await withDirectory(t)
    const routes = [{ from: "'b'", selection: { kind: 'tags' as const, anyOf: new Set(['b']) }, into: 'other' }]
    const daemon = await startDaemon({
      settings: daemonSettings(data, { routes }),
      logger: silentLogger,
      version: '0.0.0',
    })
    t.teardown(() => daemon.close())
    const client = await Client.of(daemon)
    const [a, b] = await client.publish([['a', 'x'], 0], [['b', 'x'], 1])
    t.equal(b?.['stream'], `${daemon.addresses.nodeId}-1`)
    const rows = client.follow('/events/subscribe_monotonic', { query: "FROM 'x'", session: 's', lowerBound: {} })
    t.same(
      (await take(rows, 3)).map(({ type, caughtUp }) => [type, caughtUp]),
      [
        ['event', false],
        ['event', false],
        ['offsets', undefined],
      ],
    )
    await client.publish([['a', 'x'], 2], [['b', 'x'], 3], [['a', 'x'], 4])
    t.same(
      (await take(rows, 3)).map(({ payload, caughtUp }) => [payload, caughtUp]),
      [
        [2, false],
        [3, false],
        [4, true],
      ],
    )
    await rows.return(undefined)

    const late = client.follow('/events/subscribe_monotonic', {
      query: "FROM 'x'",
      session: 's',
      lowerBound: { [String(b?.['stream'])]: b?.['offset'] },
    })
    const all = await take(late, 10)
    t.same(all, [
      { type: 'timeTravel', newStart: { lamport: a?.['lamport'], stream: a?.['stream'], offset: a?.['offset'] } },
    ])
  },
)

void t.test(
  'limits prune whole blocks and leave the newest, and a reload applies routes without a break',
  async (t) => {
    const data = await withDirectory(t)
    const all = { kind: 'all' as const }
    const daemon = await startDaemon({ settings: daemonSettings(data), logger: silentLogger, version: '0.0.0' })
    t.teardown(() => daemon.close())
    const client = await Client.of(daemon)
    const rows = client.follow('/events/subscribe', { query: 'FROM allEvents' })
    await client.publish([['a'], 'before'])
    t.same(payloads(await take(rows, 2)).length, 1)
    await daemon.reload(
      daemonSettings(data, {
        routes: [{ from: 'allEvents', selection: all, into: 'short' }],
        retention: new Map([['short', { ...KEEP_EVERYTHING, maxEvents: 10 }]]),
      }),
    )
    for (let at = 0; at < 100; at++) await client.publish([['a'], at])
    t.equal(payloads(await take(rows, 100)).length, 100, 'the open subscription goes on over the reload')
    const remaining = async (): Promise<unknown[]> => payloads(await client.query('FROM allEvents')).slice(1)
    let left = await remaining()
    while (left.length > 20) left = await remaining()
    t.ok(left.length >= 10, 'at least what the limit keeps is there')
    t.equal(left.at(-1), 99)
    t.equal(left.length, 100 - Number(left[0]), 'what is left is one run')
    await rows.return(undefined)
  },
)
