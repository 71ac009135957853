import { join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { checkHistory } from './check-history.js'
import { formatHistory, parseHistory, readHistory, writeHistory } from './history-file.js'
import type { Operation } from './kinds.js'
import { recordHistory } from './record-history.js'

const get = { op: 'get' } as const

/** An answer that comes when the test says so. */
function heldBack(): { readonly answer: Promise<{ value: string }>; readonly give: (value: string) => void } {
  let give: (value: string) => void = () => undefined
  const answer = new Promise<{ value: string }>((resolve) => {
    give = (value) => resolve({ value })
  })
  return { answer, give }
}

t.test('answers, failures and silence of concurrent clients are put down', async (t) => {
  const refused = new Error('refused')
  const recorder = recordHistory({ endingOf: (error) => (error === refused ? 'fail' : 'unknown') })
  const [one, two, three, four] = [recorder.client(), recorder.client(), recorder.client(), recorder.client()]
  const { answer, give } = heldBack()
  const slow = one.perform('counter', 'k', { op: 'increment', delta: '1' }, () => answer)
  t.match(await two.perform('counter', 'k', get, async () => ({ value: '0' })), {
    outcome: 'ok',
    output: { value: '0' },
  })
  t.match(await three.perform('counter', 'k', get, () => Promise.reject(refused)), { outcome: 'fail' })
  await four.perform('counter', 'k', { op: 'increment', delta: '1' }, () => Promise.reject(new Error('cut off')))
  t.same(
    recorder.history().map(({ client, outcome }) => [client, outcome]),
    [
      [0, 'unknown'],
      [1, 'ok'],
      [2, 'fail'],
      [3, 'unknown'],
    ],
    'what is under way has no answer yet',
  )
  give('1')
  await slow
  const history = recorder.history()
  t.match(history[0], { outcome: 'ok', output: { value: '1' } })
  t.ok(history.every((operation) => operation.outcome === 'unknown' || operation.returned > operation.invoked))
  t.equal(checkHistory(history).verdict, 'linearizable')
})

t.test('a client has one operation at a time, and goes on when it gives one up', async (t) => {
  const recorder = recordHistory()
  const client = recorder.client()
  const { answer, give } = heldBack()
  const first = client.perform('counter', 'k', { op: 'increment', delta: '1' }, () => answer)
  await t.rejects(
    client.perform('counter', 'k', get, async () => ({ value: '0' })),
    /client 0 is still waiting for .*increment/,
  )
  client.abandon()
  await client.perform('counter', 'k', get, async () => ({ value: '0' }))
  give('1')
  t.match(await first, { outcome: 'unknown' }, 'an answer that comes later is not put down')
  t.same(
    recorder.history().map(({ outcome }) => outcome),
    ['unknown', 'ok'],
  )
})

t.test('work that throws before it waits is put down too', async (t) => {
  const client = recordHistory().client()
  const thrown = await client.perform('counter', 'k', get, () => {
    throw new Error('no such thing')
  })
  t.equal(thrown.outcome, 'unknown')
})

t.test('times are rounded so that an operation never seems shorter than it was', async (t) => {
  const times = [1999n, 2001n]
  const recorder = recordHistory({ clock: () => times.shift()! })
  t.match(await recorder.client().perform('counter', 'k', get, async () => ({ value: '0' })), {
    invoked: 1,
    returned: 3,
  })
})

t.test('a history is the same when it was written and read', async (t) => {
  const recorder = recordHistory()
  const client = recorder.client()
  await client.perform('register', 'a "key"\n', { op: 'set', value: { deep: [null, 'ü'] } }, async () => ({
    version: '1',
  }))
  await client.perform('register', 'a "key"\n', { op: 'get' }, async () => ({
    entry: { value: { deep: [null, 'ü'] }, version: '1' },
  }))
  await client.perform('lock', 'b', { op: 'acquire', ttlMs: 100 }, () => Promise.reject(new Error('cut off')))
  const file = join(temporaryDirectory(t), 'history.ndjson')
  await writeHistory(file, recorder.history())
  const read = await readHistory(file)
  t.same(read, recorder.history())
  t.equal(checkHistory(read).verdict, 'linearizable')
})

t.test('a file that is no history is refused with the line', async (t) => {
  const good: Operation = { client: 0, kind: 'counter', key: 'k', input: get, outcome: 'unknown', invoked: 5 }
  const faults: [part: object, message: RegExp][] = [
    [{ client: 'one' }, /client is no whole number/],
    [{ kind: 'queue' }, /kind is none of register, lock/],
    [{ key: 1 }, /key is no string/],
    [{ input: {} }, /input has no op/],
    [{ invoked: 0.5 }, /invoked is no whole number/],
    [{ outcome: 'maybe' }, /outcome is none of/],
    [{ outcome: 'fail' }, /returned is no whole number/],
    [{ outcome: 'fail', returned: 4 }, /returned is before invoked/],
    [{ outcome: 'ok', returned: 6 }, /output is no object/],
  ]
  for (const [part, message] of faults) {
    const text = formatHistory([good, { ...good, ...part }])
    t.throws(() => parseHistory(text), { name: 'SyntaxError', message: new RegExp(`line 2: ${message.source}`) })
  }
  t.throws(() => parseHistory('{"client":'), /line 1 is no JSON/)
  t.throws(() => parseHistory('null'), /line 1: not an object/)
})
