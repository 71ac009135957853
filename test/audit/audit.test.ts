import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setImmediate as immediate } from 'node:timers/promises'
import t from 'tap'
import { AuditLog, type AuditOptions } from '../../audit/audit-log.js'
import { clickHouseForm, ndjsonForm } from '../../audit/batch-form.js'
import { AuditSinkError } from '../../audit/errors.js'
import { FileSink } from '../../audit/file-sink.js'
import { HttpSink } from '../../audit/http-sink.js'
import { redact } from '../../audit/redaction.js'
import type { AuditSink } from '../../audit/sink.js'
import { systemClock } from '../../core/index.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

interface Line {
  readonly type: string
  readonly id: string
  readonly app: string | null
  readonly operation?: unknown
  readonly outcome?: Record<string, unknown>
  readonly count?: number
  readonly previous?: string
}

/** Keeps lines in memory; can be told to refuse, or to wait. */
class TestSink implements AuditSink {
  readonly name = 'test'
  readonly lines: string[] = []
  isDown = false
  writes = 0
  gate: Promise<void> = Promise.resolve()
  #tried: () => void = () => undefined

  open(): Promise<string | undefined> {
    return Promise.resolve(this.lines.at(-1))
  }

  async write(lines: readonly string[]): Promise<void> {
    this.writes++
    this.#tried()
    await this.gate
    if (this.isDown) throw new AuditSinkError('down')
    this.lines.push(...lines)
  }

  /** Resolves when a write begins. */
  tried(): Promise<void> {
    return new Promise((resolve) => (this.#tried = resolve))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  get records(): Line[] {
    return this.lines.map((line) => JSON.parse(line) as Line)
  }
}

const silent = { info: () => undefined, warn: () => undefined }

function logTo(sink: AuditSink, changes: Partial<AuditOptions> = {}): AuditLog {
  return new AuditLog({
    sink,
    mode: 'async',
    node: 'node-1',
    clock: systemClock,
    logger: silent,
    redact: [],
    hashChain: false,
    queueBytes: 2 ** 20,
    timeoutMs: 60_000,
    ...changes,
  })
}

/** One operation that comes to its number. */
function perform(log: AuditLog, number: number, run: () => Promise<number> = () => Promise.resolve(number)) {
  const operation = { action: 'test', app: 'com.example.test', detail: `{"n":${String(number)},"value":"secret"}` }
  return log.watch(operation, run, (result) => ({ result }))
}

t.test('in the mode async each operation is one record, also one that fails', async (t) => {
  const sink = new TestSink()
  const log = logTo(sink, { redact: [['value']] })
  t.equal(await perform(log, 1), 1)
  const failure = Object.assign(new Error('no'), { code: 'ERR_STATE_FULL' })
  await t.rejects(
    perform(log, 2, () => Promise.reject(failure)),
    failure,
  )
  await log.close()
  await log.close()
  t.match(sink.records, [
    { type: 'operation', app: 'com.example.test', operation: { n: 1, value: '[redacted]' }, outcome: { result: 1 } },
    { type: 'operation', operation: { n: 2 }, outcome: { error: 'ERR_STATE_FULL' } },
  ])
  t.equal(new Set(sink.records.map(({ id }) => id)).size, 2)
  t.match(log.counters, { written: 2, dropped: 0, queuedRecords: 0, queuedBytes: 0, isUp: true })
})

t.test(
  'a sink that is down delays nothing in the mode async, and what found no room is counted in its place',
  async (t) => {
    const sink = new TestSink()
    sink.isDown = true
    const log = logTo(sink, { queueBytes: 1_000 })
    for (let n = 0; n < 50; n++) t.equal(await perform(log, n), n)
    const { dropped, queuedBytes } = log.counters
    t.ok(dropped > 0 && queuedBytes <= 1_000)
    sink.isDown = false
    await sink.tried()
    await immediate()
    t.equal(log.counters.queuedRecords, 0)
    await perform(log, 50)
    await log.close()
    t.match(sink.records.at(-2), { type: 'dropped', count: dropped })
    t.match(sink.records.at(-1), { operation: { n: 50 } })
    t.equal(sink.records.length, 50 - dropped + 2)
    t.match(log.counters, { isUp: true, dropped })
  },
)

t.test('in the mode intent nothing is done before the record of it is kept', async (t) => {
  const sink = new TestSink()
  let open: () => void = () => undefined
  sink.gate = new Promise((resolve) => (open = resolve))
  const log = logTo(sink, { mode: 'intent' })
  let isDone = false
  const tried = sink.tried()
  const outcome = perform(log, 1, () => {
    isDone = true
    t.match(sink.records, [{ type: 'intent', operation: { n: 1 } }])
    return Promise.resolve(1)
  })
  await tried
  t.notOk(isDone)
  open()
  t.equal(await outcome, 1)
  await log.close()
  const [intent, result] = sink.records
  t.match(result, { type: 'outcome', id: intent?.id, outcome: { result: 1 } })
  await t.rejects(perform(log, 2), { code: 'ERR_AUDIT_UNAVAILABLE' }, 'nothing is done once it is closed')
})

t.test('in the mode intent a sink that is down or too slow has operations refused, and only while it is', async (t) => {
  const sink = new TestSink()
  const log = logTo(sink, { mode: 'intent', timeoutMs: 200 })
  const never = (): Promise<number> => t.fail('this must not be done') as never
  sink.isDown = true
  await t.rejects(perform(log, 1, never), { code: 'ERR_AUDIT_UNAVAILABLE', message: /down/ })
  sink.isDown = false
  t.equal(await perform(log, 2), 2)
  let open: () => void = () => undefined
  sink.gate = new Promise((resolve) => (open = resolve))
  await t.rejects(perform(log, 3, never), { code: 'ERR_AUDIT_UNAVAILABLE', message: /longer than 200 ms/ })
  open()
  t.equal(await perform(log, 4), 4)
  await log.close()
  t.equal(log.counters.refused, 2)
  const third = sink.records.filter(({ operation }) => (operation as { n?: number } | undefined)?.n === 3)
  t.match(
    sink.records.filter(({ id }) => id === third[0]?.id),
    [{ type: 'intent' }, { type: 'outcome', outcome: { error: 'ERR_AUDIT_UNAVAILABLE' } }],
    'a record that came too late is followed by what became of it',
  )
})

t.test('what is queued together is written together', async (t) => {
  const sink = new TestSink()
  const log = logTo(sink, { mode: 'intent' })
  await Promise.all(Array.from({ length: 100 }, (_, n) => perform(log, n)))
  await log.close()
  t.equal(sink.records.length, 200)
  t.ok(sink.writes < 20, String(sink.writes))
})

t.test('each record of a chain names the hash of the one before, also over a restart and a failed write', async (t) => {
  const directory = temporaryDirectory(t)
  const options = { directory, maxBytes: 600, maxFiles: 100 }
  for (const from of [0, 10]) {
    const log = logTo(new FileSink(options), { hashChain: true })
    for (let n = from; n < from + 10; n++) await perform(log, n)
    await log.close()
  }
  const lines = linesBelow(directory)
  t.equal(lines.length, 20)
  t.equal(readdirSync(directory).length, 2, 'over several files')
  lines.reduce((previous, line) => {
    t.equal((JSON.parse(line) as Line).previous, previous)
    return createHash('sha256').update(line).digest('hex')
  }, '0'.repeat(64))

  const sink = new TestSink()
  const log = logTo(sink, { hashChain: true })
  sink.isDown = true
  await perform(log, 1)
  await sink.tried()
  sink.isDown = false
  await perform(log, 2)
  await log.close()
  t.equal(
    sink.records[1]?.previous,
    createHash('sha256')
      .update(sink.lines[0] ?? '')
      .digest('hex'),
  )
})

t.test('files are rotated by size, the oldest go, and half a line that a crash left is taken away', async (t) => {
  const directory = join(temporaryDirectory(t), 'audit')
  const options = { directory, maxBytes: 100, maxFiles: 3 }
  const sink = new FileSink(options)
  t.equal(await sink.open(), undefined)
  for (let n = 0; n < 20; n++) await sink.write([`{"n":${String(n)},"x":"${'x'.repeat(30)}"}`])
  await sink.close()
  const names = readdirSync(directory).sort()
  t.same(names, ['audit-000008.jsonl', 'audit-000009.jsonl', 'audit-000010.jsonl'])
  appendFileSync(join(directory, 'audit-000010.jsonl'), '{"n":20,"half')
  writeFileSync(join(directory, 'note.txt'), 'not ours')
  const again = new FileSink(options)
  t.match(await again.open(), /^\{"n":19,/)
  await again.write(['{"n":20}'])
  await again.close()
  t.same(
    linesBelow(directory).map((line) => (JSON.parse(line) as { n: number }).n),
    [16, 17, 18, 19, 20],
  )
  t.ok(existsSync(join(directory, 'note.txt')))
})

t.test('a directory that cannot be made is tried again, and no record is lost meanwhile', async (t) => {
  const directory = temporaryDirectory(t)
  const place = join(directory, 'place')
  writeFileSync(place, 'a file where the directory should be')
  const log = logTo(new FileSink({ directory: join(place, 'audit'), maxBytes: 2 ** 20, maxFiles: 2 }))
  await perform(log, 1)
  while (log.counters.failures === 0) await immediate()
  t.equal(log.counters.isUp, false)
  rmSync(place)
  mkdirSync(place)
  await perform(log, 2)
  await log.close()
  t.match(
    linesBelow(join(place, 'audit')).map((line) => JSON.parse(line) as Line),
    [{ operation: { n: 1 } }, { operation: { n: 2 } }],
  )
})

t.test('a full disk leaves no half record, and what could not be written is when there is room', async (t) => {
  const directory = temporaryDirectory(t)
  const mount = (...args: string[]): number | null => spawnSync('mount', args).status
  if (mount('-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', directory) !== 0) return t.pass('mounting is not allowed here')
  t.teardown(() => spawnSync('umount', [directory]))
  const log = logTo(new FileSink({ directory, maxBytes: 2 ** 20, maxFiles: 2 }), { mode: 'intent', timeoutMs: 60_000 })
  writeFileSync(join(directory, 'filler'), Buffer.alloc(48 * 1024))
  let done = 0
  const filled = async (): Promise<void> => {
    for (;;) {
      await perform(log, done)
      done++
    }
  }
  await t.rejects(filled(), { code: 'ERR_AUDIT_UNAVAILABLE', message: /ENOSPC/ })
  t.ok(done > 0)
  const ids = linesBelow(directory).map((line) => (JSON.parse(line) as Line).id)
  t.ok(new Set(ids).size >= done, 'what is there are whole records')
  rmSync(join(directory, 'filler'))
  await perform(log, done)
  await log.close()
  const last = linesBelow(directory).map((line) => JSON.parse(line) as Line)
  t.match(last.at(-1), { type: 'outcome', outcome: { result: done } })
  t.equal(last.filter(({ type, outcome }) => type === 'outcome' && outcome?.['result'] !== undefined).length, done + 1)
})

t.test('batches go to a server as lines of JSON with the secret, and again until it takes them', async (t) => {
  const server = await listen(t)
  server.statuses.push(503)
  const sink = new HttpSink({
    name: 'http',
    form: ndjsonForm(`${server.url}/audit`),
    headers: () => Promise.resolve({ authorization: 'Bearer t0ken' }),
  })
  const log = logTo(sink)
  await perform(log, 1)
  await log.close()
  const [first, second] = server.requests
  t.match(first, { method: 'POST', path: '/audit', authorization: 'Bearer t0ken', type: 'application/x-ndjson' })
  t.same(second, first, 'the same batch has the same idempotency key')
  t.match(JSON.parse(second?.body ?? ''), { type: 'operation', operation: { n: 1 } })
  t.equal(log.counters.failures, 1)
})

t.test('a record goes nowhere but where it was sent, and a refusal is told', async (t) => {
  const server = await listen(t)
  const sink = new HttpSink({ name: 'http', form: ndjsonForm(server.url), headers: () => Promise.resolve({}) })
  server.statuses.push(307)
  await t.rejects(sink.write(['{}'], AbortSignal.timeout(10_000)), { code: 'ERR_AUDIT_SINK' })
  server.statuses.push(400)
  await t.rejects(sink.write(['{}'], AbortSignal.timeout(10_000)), { message: 'it answered 400: because of this' })
  t.same(
    server.requests.map(({ path }) => path),
    ['/', '/'],
  )
  server.stop()
  await t.rejects(sink.write(['{}'], AbortSignal.timeout(10_000)), { code: 'ERR_AUDIT_SINK' })
})

t.test('rows for ClickHouse have the columns of the table and the whole record', async (t) => {
  const server = await listen(t)
  const form = clickHouseForm(`${server.url}/?database=ops`, 'audit.millrace')
  const sink = new HttpSink({
    name: 'clickhouse',
    form,
    headers: () => Promise.resolve({ 'x-clickhouse-user': 'writer' }),
  })
  const record = '{"type":"operation","id":"a-1","at":17,"node":"n","app":null,"operation":{"n":1.0}}'
  await sink.write([record, record], AbortSignal.timeout(10_000))
  const [request] = server.requests
  const url = new URL(request?.path ?? '', server.url)
  t.equal(url.searchParams.get('database'), 'ops')
  t.equal(url.searchParams.get('query'), 'INSERT INTO audit.millrace (node, id, at, record) FORMAT JSONEachRow')
  const rows = (request?.body ?? '').trimEnd().split('\n')
  t.equal(rows.length, 2)
  t.same(JSON.parse(rows[0] ?? ''), { node: 'n', id: 'a-1', at: 17, record })
})

t.test('paths mask values wherever they lie and leave the rest to the letter', (t) => {
  const text = '{"a":{"value":1.50,"b":[{"value":"x"},{"c":2e3}]},"value":{"deep":[1,{"value":2}]},"list":[10,20]}'
  const cases: [paths: string[], expected: string][] = [
    [[], text],
    [['none.such'], text],
    [['value'], text.replace('{"deep":[1,{"value":2}]}', '"[redacted]"')],
    [
      ['**.value'],
      '{"a":{"value":"[redacted]","b":[{"value":"[redacted]"},{"c":2e3}]},"value":"[redacted]","list":[10,20]}',
    ],
    [['a.b.*.c', 'list.1'], text.replace('2e3', '"[redacted]"').replace('20]', '"[redacted]"]')],
    [['a.**.c'], text.replace('2e3', '"[redacted]"')],
    [['*.value'], text.replace('1.50', '"[redacted]"')],
  ]
  for (const [paths, expected] of cases) {
    t.equal(
      redact(
        text,
        paths.map((path) => path.split('.')),
      ),
      expected,
      paths.join(' '),
    )
  }
  t.end()
})

function linesBelow(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => name.startsWith('audit-'))
    .sort()
    .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'))
    .filter((line) => line !== '')
}

interface Received {
  readonly method: string | undefined
  readonly path: string | undefined
  readonly authorization: string | undefined
  readonly type: string | undefined
  readonly key: string | undefined
  readonly body: string
}

/** A server that takes batches; the next answers have the statuses that are put in line, then 200. */
async function listen(t: { teardown: (work: () => unknown) => void }) {
  const requests: Received[] = []
  const statuses: number[] = []
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += String(chunk)
    const { method, url: path, headers } = request
    const { authorization, 'content-type': type, 'idempotency-key': key } = headers
    requests.push({ method, path, authorization, type, key: key?.toString(), body })
    const status = statuses.shift() ?? 200
    response.writeHead(status, status === 307 ? { location: '/elsewhere' } : {})
    response.end(status === 200 ? '' : 'because\nof this\n')
  }
  const server = createServer((request, response) => void answer(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = (): void => {
    server.closeAllConnections()
    server.close()
  }
  t.teardown(stop)
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${String(port)}`,
    requests,
    statuses,
    stop,
  }
}
