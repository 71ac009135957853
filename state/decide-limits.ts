import type { Draft } from './draft.js'
import type { LimitPart, TakeAnswer, TakeRequest } from './limit-types.js'
import { HEAD_KEY, limitKey, requestCountKey, requestKey } from './record-keys.js'
import { decodeStored } from './records.js'
import { recall, remember } from './request-memory.js'
import type { StateTime } from './state-time.js'

/** Parts of a sliding window that are counted apart. */
const BUCKETS = 60

/** What was taken in a part of a window, by the number of the part since 1970. */
type Bucket = readonly [index: number, count: number]

/** A take that can be given back. */
interface Taken {
  readonly answer: TakeAnswer
  readonly parts: readonly { readonly part: LimitPart; readonly index: number }[]
  readonly isRefunded?: true
}

/** Keys of all records that deciding about a take looks at. */
export function keysOfTake({ app, parts, requestId }: TakeRequest): readonly Buffer[] {
  return [HEAD_KEY, ...parts.map(limitKey), ...(requestId === undefined ? [] : keysOfMemory(app, requestId))]
}

/** As {@link keysOfTake}, of a take that is given back. */
export function keysOfRefund(app: string, requestId: string, memory: Buffer): readonly Buffer[] {
  const { parts } = JSON.parse(decodeStored(memory).text) as Taken
  return [HEAD_KEY, ...parts.map(({ part }) => limitKey(part)), ...keysOfMemory(app, requestId)]
}

/** Where a take is remembered. */
export function memoryKey(app: string, requestId: string): Buffer {
  return requestKey(memoryOf(app), requestId)
}

/** Takes all or nothing. @throws StateFullError */
export function decideTake(draft: Draft, { app, parts, requestId }: TakeRequest): TakeAnswer {
  const known = requestId === undefined ? undefined : recall(draft, memoryOf(app), requestId)
  if (known !== undefined) return (JSON.parse(known) as Taken).answer
  const found = parts.map((part) => ({ part, buckets: bucketsOf(draft, part) }))
  const waits = found.map(({ part, buckets }) => waitMs(buckets, part, draft.time.nowMs))
  const ok = waits.every((wait) => wait === 0)
  const answer = {
    ok,
    retryAfterMs: Math.max(...waits),
    parts: found.map(({ part, buckets }, at) => ({
      name: part.name,
      used: sum(buckets) + (ok ? part.n : 0),
      retryAfterMs: waits[at] ?? 0,
    })),
  }
  if (!ok) return answer
  const taken = found.map(({ part, buckets }) => {
    const index = indexAt(part, draft.time.nowMs)
    store(draft, part, added(buckets, index, part.n))
    return { part, index }
  })
  if (requestId !== undefined) remember(draft, memoryOf(app), requestId, JSON.stringify({ answer, parts: taken }))
  return answer
}

/** Gives back what was taken, as far as its window still counts. Whether it was there to be given back. */
export function decideRefund(draft: Draft, app: string, requestId: string): boolean {
  const known = recall(draft, memoryOf(app), requestId)
  if (known === undefined) return false
  const taken = JSON.parse(known) as Taken
  if (taken.isRefunded) return false
  for (const { part, index } of taken.parts) {
    const buckets = bucketsOf(draft, part)
    if (buckets.some(([each]) => each === index)) store(draft, part, added(buckets, index, -part.n))
  }
  remember(draft, memoryOf(app), requestId, JSON.stringify({ ...taken, isRefunded: true }))
  return true
}

/** Takes are remembered apart from other requests, which would be pushed out by many of them. */
function memoryOf(app: string): string {
  return `${app}/limits`
}

function keysOfMemory(app: string, requestId: string): readonly Buffer[] {
  return [memoryKey(app, requestId), requestCountKey(memoryOf(app))]
}

/** What counts now. A part that lies ahead, as the clock was set back while the node was down, counts as the newest. */
function bucketsOf(draft: Draft, part: LimitPart): readonly Bucket[] {
  const stored = draft.record(limitKey(part))
  if (stored === undefined) return []
  const { nowMs } = draft.time
  const newest = indexAt(part, nowMs)
  // The part in which the window begins counts as a whole: rather too little is taken than too much.
  const oldest = part.align === 'epoch' ? newest : indexAt(part, nowMs - part.windowMs)
  return (JSON.parse(stored.text) as readonly Bucket[])
    .filter(([index]) => index >= oldest)
    .reduce<readonly Bucket[]>((all, [index, count]) => added(all, Math.min(index, newest), count), [])
}

function added(buckets: readonly Bucket[], index: number, count: number): readonly Bucket[] {
  const last = buckets.find(([each]) => each === index)
  if (last === undefined) return [...buckets, [index, count]]
  return buckets.map((bucket) => (bucket === last ? [index, Math.max(0, bucket[1] + count)] : bucket))
}

/** Oldest first. */
function store(draft: Draft, part: LimitPart, buckets: readonly Bucket[]): void {
  const { nowMs } = draft.time
  // A sliding window reaches into one part more. By the clock of the run alone: that of the wall may have been set.
  const ttlMs =
    part.align === 'epoch' ? (indexAt(part, nowMs) + 1) * part.windowMs - nowMs : part.windowMs + bucketMs(part)
  const lifetime = runLifetime(draft.time, Math.max(1, ttlMs))
  draft.keep(limitKey(part), JSON.stringify(buckets), lifetime)
}

function runLifetime(time: StateTime, ttlMs: number) {
  const lifetime = time.lifetime(ttlMs)
  return { ...lifetime, wallDeadlineMs: lifetime.runDeadlineMs }
}

/** How long it is until so much can be taken, milliseconds; 0 when it can be now. */
function waitMs(buckets: readonly Bucket[], part: LimitPart, nowMs: number): number {
  let over = sum(buckets) + part.n - part.max
  if (over <= 0) return 0
  for (const [index, count] of buckets) {
    over -= count
    const end = (index + 1) * bucketMs(part) + (part.align === 'epoch' ? 0 : part.windowMs)
    if (over <= 0) return Math.max(1, Math.ceil(end - nowMs))
  }
  // Nothing of this limit is taken, and it is less than what is wanted.
  return part.windowMs
}

function sum(buckets: readonly Bucket[]): number {
  return buckets.reduce((total, [, count]) => total + count, 0)
}

function bucketMs({ windowMs, align }: LimitPart): number {
  return align === 'epoch' ? windowMs : windowMs / BUCKETS
}

function indexAt(part: LimitPart, ms: number): number {
  return Math.floor(ms / bucketMs(part))
}
