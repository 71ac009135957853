import t from 'tap'
import { App } from '../support/app.js'
import { DaemonProcess } from '../support/daemon.js'
import { checkHistory } from '../linearizability/check-history.js'
import { recordHistory, type RecordingClient } from '../linearizability/record-history.js'

const STATE = '/api/millrace/v1/state'
const CLIENTS = 8
const ROUNDS = 12
const LEASE_MS = 300

/** An answer, unless it says nothing of the object. */
async function asked(app: App, method: string, path: string, body: unknown, headers: Record<string, string> = {}) {
  const { status, text } = await app.call(path, { method, headers, body: JSON.stringify(body) })
  if (status >= 500) throw new Error(text)
  return JSON.parse(text) as { readonly [name: string]: unknown; readonly code?: string }
}

/** Gets a lock, writes with its fence, and gives it back or keeps it; then swaps a value that somebody else may have swapped. */
async function useLock(client: RecordingClient, app: App, key: string, round: number): Promise<void> {
  const path = `${STATE}/locks/${key}`
  const input = { op: 'acquire', ttlMs: LEASE_MS } as const
  const acquired = await client.perform('lock', key, input, async () => {
    const { fence = null } = await asked(app, 'POST', `${path}/acquire`, { ttlMs: LEASE_MS })
    return { fence: fence as string | null }
  })
  if (acquired.outcome !== 'ok' || typeof acquired.output.fence !== 'string') return
  const { fence } = acquired.output
  await client.perform('lock', key, { op: 'write', fence }, async () => {
    const guarded = { 'millrace-fence': `${key}:${fence}` }
    const { code } = await asked(app, 'PUT', `${STATE}/kv/written/${key}`, round, guarded)
    return { done: code === undefined }
  })
  if (round % 4 === 3) return
  await client.perform('lock', key, { op: 'release', fence }, async () => {
    const { released } = await asked(app, 'POST', `${path}/release`, { fence })
    return { done: released === true }
  })
}

/** Claims, and says that it is done, failed, or nothing at all, after which the claim gets stale. */
async function doOnce(client: RecordingClient, app: App, key: string, round: number): Promise<void> {
  const path = `${STATE}/dedup`
  const claimed = await client.perform('dedup', key, { op: 'claim', staleMs: LEASE_MS }, async () => {
    const body = { key: `once/${key}`, staleMs: LEASE_MS, windowMs: LEASE_MS }
    const { new: isNew, done, token, result } = await asked(app, 'POST', `${path}/claim`, body)
    if (done === true) return { claim: 'done', result }
    return isNew === true ? { claim: 'new', token: String(token) } : { claim: 'inProgress' }
  })
  if (claimed.outcome !== 'ok') return
  const { token } = claimed.output
  if (token === undefined || round % 4 === 3) return
  if (round % 4 === 2) {
    await client.perform('dedup', key, { op: 'abandon', token }, async () => {
      const { abandoned } = await asked(app, 'POST', `${path}/abandon`, { token })
      return { done: abandoned === true }
    })
    return
  }
  await client.perform('dedup', key, { op: 'done', token, result: round, windowMs: LEASE_MS }, async () => {
    const { code } = await asked(app, 'POST', `${path}/done`, { token, result: round })
    return { done: code === undefined }
  })
}

interface Entry {
  readonly value: unknown
  readonly version: string
}

async function swap(client: RecordingClient, app: App, key: string, value: number): Promise<void> {
  const path = `${STATE}/txn`
  const read = await client.perform('register', key, { op: 'get' }, async () => {
    const { results } = await asked(app, 'POST', path, { then: [{ op: 'get', key: `r/${key}` }] })
    return { entry: entryIn(results) }
  })
  if (read.outcome !== 'ok') return
  const expected = read.output.entry?.version ?? '0'
  await client.perform('register', key, { op: 'cas', expected, value }, async () => {
    const { succeeded, results } = await asked(app, 'POST', path, {
      if: [{ key: `r/${key}`, version: expected }],
      then: [{ op: 'set', key: `r/${key}`, value }],
      else: [{ op: 'get', key: `r/${key}` }],
    })
    if (succeeded !== true) return { entry: entryIn(results) }
    return { version: (results as [{ version: string }])[0].version }
  })
}

function entryIn(results: unknown): Entry | null {
  const [{ entry }] = results as [{ entry: Entry | null }]
  return entry === null ? null : { value: entry.value, version: entry.version }
}

t.test(
  'locks, claims and entries are linearizable over kill -9, seen by concurrent clients over sockets',
  async (t) => {
    await using daemon = await DaemonProcess.start()
    const recorder = recordHistory()
    const app = await App.at(daemon.url)
    let back: Promise<unknown> = Promise.resolve()
    const clients = Array.from({ length: CLIENTS }, async (_, number) => {
      const client = recorder.client()
      for (let round = 0; round < ROUNDS; round++) {
        await back
        const key = `k${String((number + round) % 3)}`
        await useLock(client, app, key, round)
        await doOnce(client, app, key, round)
        await swap(client, app, key, number * ROUNDS + round)
        if (number === 0 && (round === 3 || round === 7)) back = daemon.kill().then(() => daemon.startAgain())
      }
    })
    await Promise.all(clients)
    const history = recorder.history()
    const { verdict, problems } = checkHistory(history)
    t.same(problems, [])
    t.equal(verdict, 'linearizable')
    const granted = history.filter(({ kind, outcome, ...rest }) => {
      return (
        kind === 'lock' &&
        outcome === 'ok' &&
        typeof (rest as { output?: { fence?: unknown } }).output?.fence === 'string'
      )
    })
    t.ok(granted.length > 0, 'locks were granted')
  },
)
