import { cp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { MillraceError } from '../../core/index.js'
import { event, openTestStore, publish, readAll, until, type PlainEvent } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** Faults tried; a few hundred find nothing more. */
const FAULTS = Number(process.env['MILLRACE_FAULTS'] ?? 40)

/** A generator of its own, so that a fault can be repeated by its number. */
function numbers(seed: number): () => number {
  let state = (seed * 7919 + 1) % 2147483647
  return () => (state = (state * 48271) % 2147483647) / 2147483647
}

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  // LOG and LOCK hold nothing; the reserve is only room.
  return files.filter((path) => !/\/(LOG|LOG\.old|LOCK|lock|reserve)$/.test(path)).sort()
}

const FAULT_KINDS = ['flip', 'cut', 'zero', 'delete'] as const

/** One fault in one file. Returns what it did, or nothing when there was nothing to do. */
async function damage(directory: string, random: () => number): Promise<string | undefined> {
  const files = await filesBelow(directory)
  const path = files[Math.floor(random() * files.length)] ?? ''
  const kind = FAULT_KINDS[Math.floor(random() * FAULT_KINDS.length)] ?? 'flip'
  const size = (await stat(path)).size
  const at = Math.floor(random() * size)
  const what = `${kind} ${path.slice(directory.length)} at ${String(at)} of ${String(size)}`
  if (kind === 'delete') {
    await rm(path)
    return what
  }
  if (size === 0) return undefined
  if (kind === 'cut') {
    await truncate(path, at)
    return what
  }
  const bytes = await readFile(path)
  if (kind === 'zero') bytes.fill(0, at, Math.min(size, at + 4096))
  else bytes[at] = (bytes[at] ?? 0) ^ (1 << Math.floor(random() * 8))
  await writeFile(path, bytes)
  return what
}

/** What the damaged store gives: a refusal, or an error somewhere, or all there is. */
async function outcome(path: string, expected: readonly PlainEvent[]): Promise<string> {
  let opened
  try {
    opened = await openTestStore(path)
  } catch (error) {
    return error instanceof MillraceError ? 'refused' : `raw error at open: ${String(error)}`
  }
  try {
    for (const order of ['asc', 'desc'] as const) {
      const found = await readAll(opened.store, order)
      const wanted = order === 'asc' ? expected : expected.toReversed()
      if (JSON.stringify(found) !== JSON.stringify(wanted)) {
        return `wrong: ${String(found.length)} of ${String(expected.length)} events, ${JSON.stringify(opened.store.health)}`
      }
    }
    const { writable } = opened.store.health
    if (!writable) return 'read-only'
    const names = await opened.store.registerStreams(['default', 'x', 'y'])
    if (names.get('x') !== 1 || names.get('y') !== 2) return 'wrong: names have other numbers'
    const [next] = await publish(opened.store, [event('next')])
    const newest = Math.max(-1, ...expected.filter(({ stream }) => stream.endsWith('-0')).map(({ offset }) => offset))
    const lamport = Math.max(-1, ...expected.map((each) => each.lamport))
    if (next?.offset !== newest + 1) return `wrong: offset ${String(next?.offset)} follows ${String(newest)}`
    return next.lamport > lamport ? 'complete' : `wrong: lamport ${String(next.lamport)} follows ${String(lamport)}`
  } catch (error) {
    return error instanceof MillraceError ? 'error' : `raw error: ${String(error)}`
  } finally {
    await opened.close()
  }
}

t.test('a single fault in any file never gives wrong data and never hides acknowledged events', async (t) => {
  const path = temporaryDirectory(t)
  const original = join(path, 'original')
  const opened = await openTestStore(original)
  await opened.store.registerStreams(['default', 'x', 'y'])
  for (let round = 0; round < 60; round++) {
    const count = round % 10 === 0 ? 20 : 1 + (round % 3)
    await publish(
      opened.store,
      Array.from({ length: count }, (_, at) => event({ round, at }, ['a'], (round + at) % 3)),
    )
    if (round === 30) {
      // A second life, so that tables and older logs exist.
      await until(() => opened.store.metrics().sealedBlocks >= 3)
    }
  }
  await opened.close()
  const again = await openTestStore(original)
  await publish(again.store, [event('second life')])
  const expected = await readAll(again.store)
  await again.close()
  const seen = new Map<string, number>()
  for (let fault = 0; fault < FAULTS; fault++) {
    const copy = join(path, `copy-${String(fault)}`)
    await cp(original, copy, { recursive: true })
    const what = await damage(copy, numbers(fault))
    if (what !== undefined) {
      const result = await outcome(copy, expected)
      const kind = result.split(':')[0] ?? ''
      seen.set(kind, (seen.get(kind) ?? 0) + 1)
      if (result.startsWith('wrong') || result.startsWith('raw')) t.fail(`fault ${String(fault)}: ${what}: ${result}`)
    }
    await rm(copy, { recursive: true })
  }
  t.comment(JSON.stringify([...seen]))
  t.ok((seen.get('complete') ?? 0) > 0 && seen.size >= 2, 'faults of several kinds came about')
})
