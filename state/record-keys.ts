import type { LimitPart } from './limit-types.js'

/**
 * Keys of the records of the state: one byte for the kind, then
 *
 *     0x01                          the state as a whole: revision, size, time
 *     0x10 key                      entry
 *     0x18 deadline record          index of what expires, by time of run and key of its record
 *     0x20 app 0x00 request id      answer to a request
 *     0x21 app 0x00 deadline id     index of the answers of an app
 *     0x22 app                      how many answers of an app there are
 *     0x28 app 0x00 key             what was appended under an idempotency key
 *     0x30 name                     who has a lock
 *     0x31 key                      who does something once, or its result
 *     0x32 align window name        what was taken of a limit
 *     0x70 number                   copy of part of a commit to a table elsewhere; only in the node's own store
 */
export const RECORD = {
  head: 0x01,
  entry: 0x10,
  deadline: 0x18,
  request: 0x20,
  requestOrder: 0x21,
  requestCount: 0x22,
  appended: 0x28,
  lock: 0x30,
  dedup: 0x31,
  limit: 0x32,
  intent: 0x70,
} as const

export const HEAD_KEY = Buffer.of(RECORD.head)

/** Bytes of a number in a key: a double. */
const NUMBER_BYTES = 8

/** Bytes of a deadline in a key, which have the order of the times after 1970. */
const DEADLINE_BYTES = NUMBER_BYTES

export function entryKey(key: string): Buffer {
  return tagged(RECORD.entry, Buffer.from(key))
}

/** The key of an entry's record as text. */
export function nameOfEntry(record: Buffer): string {
  return record.toString('utf8', 1)
}

export function deadlineKey(deadlineMs: number, record: Buffer): Buffer {
  return Buffer.concat([Buffer.of(RECORD.deadline), deadlineBytes(deadlineMs), record])
}

/** All deadlines up to a time, that one included. */
export function deadlinesUntil(nowMs: number): { readonly gte: Buffer; readonly lt: Buffer } {
  return { gte: Buffer.of(RECORD.deadline), lt: deadlineKey(nowMs, Buffer.of(0xff)) }
}

/** The record that a deadline is about. */
export function recordOfDeadline(key: Buffer): Buffer {
  return key.subarray(1 + DEADLINE_BYTES)
}

export function requestKey(app: string, id: string): Buffer {
  return tagged(RECORD.request, Buffer.from(`${app}\0${id}`))
}

export function requestOrderKey(app: string, deadlineMs: number, id: string): Buffer {
  return Buffer.concat([requestsOf(app).gte, deadlineBytes(deadlineMs), Buffer.from(id)])
}

/** The index of the answers of an app, oldest first. */
export function requestsOf(app: string): { readonly gte: Buffer; readonly lt: Buffer } {
  return {
    gte: tagged(RECORD.requestOrder, Buffer.from(`${app}\0`)),
    lt: tagged(RECORD.requestOrder, Buffer.from(`${app}\x01`)),
  }
}

/** What an index key of an app's answers says. */
export function parseRequestOrder(key: Buffer, app: string): { readonly deadlineMs: number; readonly id: string } {
  const at = requestsOf(app).gte.length
  return { deadlineMs: key.readDoubleBE(at), id: key.toString('utf8', at + DEADLINE_BYTES) }
}

export function requestCountKey(app: string): Buffer {
  return tagged(RECORD.requestCount, Buffer.from(app))
}

/** What a key of {@link requestKey} names. */
export function parseRequestName(record: Buffer): { readonly app: string; readonly id: string } {
  const [app = '', ...rest] = record.toString('utf8', 1).split('\0')
  return { app, id: rest.join('\0') }
}

/** The app of a key of {@link requestCountKey}. */
export function appOfRequestCount(key: Buffer): string {
  return key.toString('utf8', 1)
}

export function appendedKey(app: string, idempotencyKey: string): Buffer {
  return tagged(RECORD.appended, Buffer.from(`${app}\0${idempotencyKey}`))
}

export function lockKey(name: string): Buffer {
  return tagged(RECORD.lock, Buffer.from(name))
}

/** The name of a lock from the key of its record. */
export function nameOfLock(record: Buffer): string {
  return record.toString('utf8', 1)
}

export function dedupKey(key: string): Buffer {
  return tagged(RECORD.dedup, Buffer.from(key))
}

/** Limits of other windows are other limits: what was counted for one says nothing of the other. */
export function limitKey({ name, windowMs, align }: LimitPart): Buffer {
  const window = Buffer.allocUnsafe(1 + NUMBER_BYTES)
  window[0] = align === 'epoch' ? 0 : 1
  window.writeDoubleBE(windowMs, 1)
  return tagged(RECORD.limit, Buffer.concat([window, Buffer.from(name)]))
}

/** The range of all locks whose names begin like this. */
export function locksBelow(prefix: string): { readonly gte: Buffer; readonly lt: Buffer } {
  return below(lockKey(prefix))
}

/** The range of all records of a kind. */
export function recordsOf(kind: number): { readonly gte: Buffer; readonly lt: Buffer } {
  return { gte: Buffer.of(kind), lt: Buffer.of(kind + 1) }
}

/** The range of all entries whose keys begin like this. */
export function entriesBelow(prefix: string): { readonly gte: Buffer; readonly lt: Buffer } {
  return below(entryKey(prefix))
}

function below(gte: Buffer): { readonly gte: Buffer; readonly lt: Buffer } {
  // No byte of UTF-8 text is as high.
  return { gte, lt: Buffer.concat([gte, Buffer.of(0xff)]) }
}

/** Parts of one commit, in their order. */
export function intentKey(at: number): Buffer {
  const key = Buffer.allocUnsafe(3)
  key[0] = RECORD.intent
  key.writeUInt16BE(at, 1)
  return key
}

function tagged(kind: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.of(kind), name])
}

function deadlineBytes(deadlineMs: number): Buffer {
  const bytes = Buffer.allocUnsafe(DEADLINE_BYTES)
  bytes.writeDoubleBE(Math.max(0, deadlineMs))
  return bytes
}
