import { once } from 'node:events'
import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import fc from 'fast-check'
import t from 'tap'
import { StoreFullError } from '../../storage/index.js'
import { LineCutter } from '../../node/api/upload-lines.js'
import { App } from '../support/app.js'
import { ask, linesOf } from '../support/ask.js'
import { DaemonProcess } from '../support/daemon.js'
import { startApi } from './support/api-node.js'

const INGEST = '/api/millrace/v1/events/ingest'
const LINES = { 'content-type': 'application/x-ndjson' }

interface Run {
  readonly line: number
  readonly events: number
  readonly stream: string
  readonly offset: number
  readonly lamport: number
}

interface AnswerLine {
  readonly type: 'accepted' | 'refused' | 'done' | 'failed'
  readonly fromLine: number
  readonly toLine: number
  readonly events: number
  readonly runs: readonly Run[]
  readonly line: number
  readonly column: number
  readonly code: string
  readonly message: string
}

const parse = (text: string): AnswerLine[] => linesOf(text).map((line) => JSON.parse(line) as AnswerLine)

/** An upload that stays open: lines go in, lines come out. */
class OpenUpload {
  readonly #request: ClientRequest
  readonly #answer: AsyncGenerator<AnswerLine>

  constructor(url: string, token: string) {
    const headers = { ...LINES, authorization: `Bearer ${token}` }
    this.#request = request(`${url}${INGEST}`, { method: 'POST', headers, agent: false })
    this.#request.on('error', () => undefined)
    // Without somebody who listens the response would be thrown away.
    const response = once(this.#request, 'response')
    response.catch(() => undefined)
    this.#answer = answerOf(response)
  }

  /** Resolves when the bytes have left. */
  send(text: string | Buffer): Promise<void> {
    return new Promise((resolve) => this.#request.write(text, () => resolve()))
  }

  end(): void {
    this.#request.end()
  }

  break(): void {
    this.#request.destroy()
  }

  async next(): Promise<AnswerLine | undefined> {
    const step = await this.#answer.next()
    return step.done === true ? undefined : step.value
  }
}

async function* answerOf(arrives: Promise<unknown[]>): AsyncGenerator<AnswerLine> {
  const [response] = (await arrives) as [IncomingMessage]
  let rest = ''
  for await (const text of response.setEncoding('utf8') as AsyncIterable<string>) {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield JSON.parse(line) as AnswerLine
  }
}

function ingest({ url, token }: { readonly url: string; readonly token: string }): OpenUpload {
  return new OpenUpload(url, token)
}

const line = (payload: unknown, ...tags: string[]): string => `${JSON.stringify({ tags, payload })}\n`

const CONFIG = `
swarm: { mdns: false }
eventRouting:
  streams: { other: {} }
  routes:
    - { from: "'b'", into: other }
`

void t.test('lines are stored while they come in, and each is where the answer says', async (t) => {
  const daemon = await DaemonProcess.start({ config: CONFIG })
  t.teardown(() => daemon.close())
  const app = await App.at(daemon.url)
  const upload = ingest(app)
  await upload.send(line(1, 'a') + line(2, 'a') + line(3, 'b') + '\n' + line(4, 'a'))
  const first = await upload.next()
  t.match(first, { type: 'accepted', fromLine: 1, toLine: 5, events: 4 })
  t.same(
    first?.runs.map(({ line, events, stream }) => [line, events, stream.slice(-2)]),
    [
      [1, 2, '-0'],
      [3, 1, '-1'],
      [5, 1, '-0'],
    ],
  )
  await upload.send('{"tags":["a"],"payl')
  await upload.send('oad":5}\n' + line(6, 'a').trimEnd())
  t.match(await upload.next(), { type: 'accepted', fromLine: 6, toLine: 6, events: 1 })
  upload.end()
  t.match(await upload.next(), { type: 'accepted', fromLine: 7, toLine: 7 }, 'the last line needs no line feed')
  t.match(await upload.next(), { type: 'done', lines: 7, accepted: 6, refused: 0 })
  t.equal(await upload.next(), undefined)

  const many = Array.from({ length: 20_000 }, (_, at) => line(at, 'many', at % 1000 === 0 ? 'b' : 'a'))
  const { text } = await app.post(INGEST, many.join(''), LINES)
  const answer = parse(text)
  t.match(answer.at(-1), { type: 'done', lines: 20_000, accepted: 20_000, refused: 0 })
  const said = answer
    .flatMap(({ runs = [] }) => runs)
    .flatMap((run) => Array.from({ length: run.events }, (_, at) => [run.stream, run.offset + at, run.line - 1 + at]))
  const stored = linesOf((await app.post('/api/v2/events/query', { query: "FROM 'many'", order: 'asc' })).text)
    .slice(0, -1)
    .map((text) => JSON.parse(text) as { stream: string; offset: number; payload: number })
  t.same(
    stored.map(({ stream, offset, payload }) => [stream, offset, payload]),
    said,
    'in the order of the upload',
  )
  const groups = answer.filter(({ type }) => type === 'accepted')
  t.ok(groups.length < 200, 'a commit takes many lines')
  for (const [at, { fromLine }] of groups.entries()) t.equal(fromLine, at === 0 ? 1 : (groups[at - 1]?.toLine ?? 0) + 1)
})

void t.test('a bad line is refused with its place and stops none of the others', async (t) => {
  const { url, token, events } = await startApi(t)
  const app = { url, token }
  const bad: readonly (readonly [text: string | Buffer, column: number, code: string, message: RegExp])[] = [
    ['{"tags":["a"],"payload":}', 25, 'ERR_BAD_REQUEST', /^Invalid request\. expected value$/],
    ['{"tags":["a"],"payload":1', 26, 'ERR_BAD_REQUEST', /^Invalid request\. EOF/],
    ['{"tags":["a"]}', 14, 'ERR_BAD_REQUEST', /missing field `payload`$/],
    ['{"tags":["a",""],"payload":1}', 14, 'ERR_BAD_REQUEST', /Tag must not be empty$/],
    ['{"tags":"a","payload":1}', 9, 'ERR_BAD_REQUEST', /expected a sequence/],
    ['[1]', 1, 'ERR_BAD_REQUEST', /expected struct PublishEvent/],
    ['{"tags":[],"payload":1}x', 24, 'ERR_BAD_REQUEST', /trailing characters$/],
    ['{"tags":[],"payload":1e400}', 22, 'ERR_BAD_REQUEST', /out of range$/],
    [Buffer.from([0x7b, 0xff, 0x7d]), 1, 'ERR_BAD_REQUEST', /invalid UTF-8$/],
    [`{"tags":[],"payload":"${'x'.repeat(4 * 1024 * 1024)}"}`, 1, 'ERR_PAYLOAD_TOO_LARGE', /^Payload too large \(/],
  ]
  const upload = ingest(app)
  for (const [text] of bad) {
    await upload.send(line('good'))
    await upload.send(text)
    await upload.send('\n \t\r\n')
  }
  upload.end()
  const answer: AnswerLine[] = []
  for (let next = await upload.next(); next !== undefined; next = await upload.next()) answer.push(next)
  const refused = answer.filter(({ type }) => type === 'refused')
  t.match(
    refused,
    bad.map(([, column, code, message], at) => ({ line: at * 3 + 2, column, code, message })),
  )
  t.match(answer.at(-1), { type: 'done', lines: bad.length * 3, accepted: bad.length, refused: bad.length })
  t.equal(events.lines.length, bad.length)
  for (const type of ['application/json', 'text/plain']) {
    const reply = await new Promise<number | undefined>((resolve) => {
      request(`${url}${INGEST}`, {
        method: 'POST',
        headers: { 'content-type': type, authorization: `Bearer ${token}` },
      })
        .on('response', (response) => resolve(response.resume().statusCode))
        .end('{}')
    })
    t.equal(reply, 415, type)
  }
})

void t.test('what was acknowledged survives a kill, and nothing of a broken connection is made up', async (t) => {
  const daemon = await DaemonProcess.start()
  t.teardown(() => daemon.close())
  const app = await App.at(daemon.url)
  const upload = ingest(app)
  let acknowledged = 0
  for (let at = 0; acknowledged < 500; at += 100) {
    await upload.send(Array.from({ length: 100 }, (_, index) => line(at + index, 'a')).join(''))
    acknowledged += (await upload.next())?.events ?? 0
  }
  await upload.send(line('unfinished', 'a').slice(0, -3))
  await daemon.kill()
  await daemon.startAgain()
  const again = await App.at(daemon.url)
  const payloads = async (): Promise<unknown[]> =>
    linesOf((await again.post('/api/v2/events/query', { query: "FROM 'a'", order: 'asc' })).text)
      .slice(0, -1)
      .map((text) => (JSON.parse(text) as { payload: unknown }).payload)
  const stored = await payloads()
  t.ok(stored.length >= acknowledged)
  t.same(stored, [...stored.keys()])
  const broken = ingest(again)
  await broken.send(line('whole', 'a') + line('half', 'a').slice(0, -5))
  t.match(await broken.next(), { type: 'accepted', events: 1 })
  broken.break()
  t.same(await payloads(), [...stored, 'whole'])
  t.equal(await daemon.stop(), 0)
})

void t.test('an upload ends before its time with the line from which on nothing was stored', async (t) => {
  const node = await startApi(t, { timers: { bodyStallMs: 60 } })
  const stalled = ingest(node)
  await stalled.send(line(1) + line(2))
  t.match(await stalled.next(), { type: 'accepted' })
  t.match(await stalled.next(), { type: 'failed', line: 3, code: 'ERR_REQUEST_TIMEOUT' })
  t.equal(await stalled.next(), undefined)

  const store = node.events.store.bind(node.events)
  const full = ingest(node)
  await full.send(line(1))
  t.match(await full.next(), { type: 'accepted' })
  node.events.store = () => Promise.reject(new StoreFullError('no space left', undefined))
  await full.send('no event\n' + line(2) + line(3))
  t.match(await full.next(), { type: 'failed', line: 2, code: 'ERR_SERVICE_OVERLOADED', message: /no space/ })
  const app = { headers: { ...LINES, authorization: `Bearer ${node.token}` }, method: 'POST', body: line(1) }

  const refused = await ask(node.url, INGEST, app)
  t.equal(refused.status, 503)
  t.ok(refused.headers['retry-after'])
  node.events.store = store

  const ended = ingest(node)
  await ended.send(line(1))
  t.match(await ended.next(), { type: 'accepted' })
  const closed = node.api.close()
  t.match(await ended.next(), { type: 'failed', line: 2, code: 'ERR_SHUTTING_DOWN' })
  ended.end()
  await closed
  t.equal(node.api.memoryBytes, 0)
})

void t.test('while the store is busy no more is read than fits a small window', async (t) => {
  const node = await startApi(t)
  let open: () => void = () => undefined
  node.events.gate = new Promise((resolve) => {
    open = resolve
  })
  const upload = ingest(node)
  let sent = 0
  const chunk = line('x'.repeat(1000)).repeat(1000)
  const sending = (async () => {
    for (let at = 0; at < 40; at++) {
      await upload.send(chunk)
      sent += chunk.length
    }
    upload.end()
  })()
  const start = performance.now()
  while (performance.now() - start < 300) await new Promise((resolve) => setImmediate(resolve))
  t.ok(sent < 30_000_000, 'the client is held up')
  t.ok(node.api.memoryBytes < 2_000_000)
  open()
  node.events.gate = undefined
  let last: AnswerLine | undefined
  for (let next = await upload.next(); next !== undefined; next = await upload.next()) last = next
  await sending
  t.match(last, { type: 'done', lines: 40_000, accepted: 40_000 })
})

void t.test('an upload is cut into the same lines wherever its chunks end', (t) => {
  const text = fc.string({ unit: fc.constantFrom('a', 'é', '\n', 'bcdefgh'), maxLength: 60 })
  fc.assert(
    fc.property(text, fc.array(fc.nat(20), { minLength: 1 }), (text, sizes) => {
      const bytes = Buffer.from(text)
      const cutter = new LineCutter(30)
      const lines = []
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const size = 1 + (sizes[turn % sizes.length] ?? 0)
        lines.push(...cutter.cut(bytes.subarray(at, at + size)))
        at += size
      }
      lines.push(...cutter.rest())
      const expected = text.split('\n')
      if (expected.at(-1) === '') expected.pop()
      t.same(
        lines.map(({ number, bytes, length }) => [number, bytes?.toString(), length]),
        expected.map((line, at) => {
          const length = Buffer.byteLength(line)
          return [at + 1, length > 30 ? undefined : line, length]
        }),
      )
      t.equal(cutter.heldBytes, 0)
    }),
    { numRuns: 100 },
  )
  t.end()
})
