import type { StateView } from '../storage/index.js'
import type { Change } from './change-log.js'
import { StateFullError } from './errors.js'
import { deadlineKey, entryKey, HEAD_KEY } from './record-keys.js'
import { decodeHead, decodeStored, encodeHead, encodeStored, sizeOfEntry, type Head, type Stored } from './records.js'
import type { Lifetime, StateTime } from './state-time.js'

/** How long what is written lives: without end, so many milliseconds, or as long as what it replaces. */
export type Ttl = { readonly ttlMs: number } | 'keep' | null

/** The state as one decision sees it, and what it changes of it. */
export class Draft {
  readonly view: StateView
  readonly time: StateTime
  readonly changes: Change[] = []
  readonly #maxBytes: number
  readonly #head: Head
  #bytes: number
  #entries: number
  #tookRevision = false

  constructor(view: StateView, time: StateTime, maxBytes: number) {
    this.view = view
    this.time = time
    this.#maxBytes = maxBytes
    this.#head = decodeHead(view.get(HEAD_KEY))
    this.#bytes = this.#head.bytes
    this.#entries = this.#head.entries
  }

  /** Of this decision, if it changes an entry; else that of the newest change. */
  get revision(): number {
    return this.#head.revision + (this.changes.length > 0 || this.#tookRevision ? 1 : 0)
  }

  /** Of the store, when the state was opened. */
  get epoch(): number {
    return this.#head.epoch
  }

  /** Revision that a change gets. */
  get nextRevision(): number {
    return this.#head.revision + 1
  }

  /** Keys and values of all entries, with what was changed. */
  get bytes(): number {
    return this.#bytes
  }

  /** A number that nobody got before, though no entry may change. */
  takeRevision(): number {
    this.#tookRevision = true
    return this.nextRevision
  }

  /** What is expired is as good as gone. */
  entry(key: string): Stored | undefined {
    return this.record(entryKey(key))
  }

  record(record: Buffer): Stored | undefined {
    const content = this.view.get(record)
    const stored = content === undefined ? undefined : decodeStored(content)
    return stored === undefined || this.time.hasEnded(stored.lifetime) ? undefined : stored
  }

  /** Milliseconds since 1970. */
  expiresAt({ lifetime }: Stored): number | undefined {
    return this.time.expiresAt(lifetime)
  }

  /** @throws StateFullError */
  set(key: string, text: string, ttl: Ttl): void {
    const record = entryKey(key)
    const before = this.view.get(record)
    const old = before === undefined ? undefined : decodeStored(before)
    const isThere = old !== undefined && !this.time.hasEnded(old.lifetime)
    const kept = ttl === 'keep' && isThere ? old.lifetime : undefined
    const lifetime = ttl === null || ttl === 'keep' ? kept : this.time.lifetime(ttl.ttlMs)
    const stored: Stored = { version: this.nextRevision, lifetime, text }
    this.#count(record, old, stored)
    this.#dropDeadline(record, old)
    this.#write(record, stored)
    this.changes.push({ key, value: text, isExpiry: false, before })
  }

  /** Whether there was anything to delete. */
  delete(key: string): boolean {
    const record = entryKey(key)
    const before = this.view.get(record)
    if (before === undefined) return false
    const old = decodeStored(before)
    const isExpiry = this.time.hasEnded(old.lifetime)
    this.#count(record, old, undefined)
    this.#dropDeadline(record, old)
    this.view.delete(record)
    this.changes.push({ key, value: undefined, isExpiry, before })
    return !isExpiry
  }

  /** Remembers something for a while that is no entry; it counts towards the size of the state. */
  remember(record: Buffer, text: string, ttlMs: number): void {
    this.keep(record, text, this.time.lifetime(ttlMs))
  }

  /** Writes a record that is no entry; it counts towards the size of the state. @throws StateFullError */
  keep(record: Buffer, text: string, lifetime: Lifetime): void {
    const before = this.view.get(record)
    const old = before === undefined ? undefined : decodeStored(before)
    const stored = { version: 0, lifetime, text }
    this.#bytes += sizeOfEntry(record, stored) - (old === undefined ? 0 : sizeOfEntry(record, old))
    this.#checkSize(this.#head.bytes)
    this.#dropDeadline(record, old)
    this.#write(record, stored)
  }

  /** Takes away what {@link remember} or {@link keep} has written. */
  forget(record: Buffer, old: Stored): void {
    this.#bytes -= sizeOfEntry(record, old)
    this.#dropDeadline(record, old)
    this.view.delete(record)
  }

  /** Gives a record of an earlier run its deadline by the time of this one. */
  adopt(record: Buffer, old: Stored): void {
    if (old.lifetime === undefined) return
    const runDeadlineMs = this.time.deadlineMs(old.lifetime)
    this.#dropDeadline(record, old)
    this.#write(record, { ...old, lifetime: { ...old.lifetime, runDeadlineMs, run: this.time.run } })
  }

  /** Writes down what has become of the state as a whole. Returns its revision. */
  finish(): number {
    const isSame = this.revision === this.#head.revision && this.#bytes === this.#head.bytes
    if (!isSame) this.putHead({ revision: this.revision, bytes: this.#bytes, entries: this.#entries })
    return this.revision
  }

  putHead(changed: Partial<Head>): void {
    const { wallMs, run } = this.time
    this.view.put(HEAD_KEY, encodeHead({ ...this.#head, wallMs, run, ...changed }))
  }

  #count(record: Buffer, old: Stored | undefined, next: Stored | undefined): void {
    const before = this.#bytes
    if (old !== undefined) {
      this.#bytes -= sizeOfEntry(record, old)
      this.#entries--
    }
    if (next !== undefined) {
      this.#bytes += sizeOfEntry(record, next)
      this.#entries++
    }
    this.#checkSize(before)
  }

  #checkSize(before: number): void {
    if (this.#bytes > this.#maxBytes && this.#bytes > before) throw new StateFullError(this.#bytes, this.#maxBytes)
  }

  #dropDeadline(record: Buffer, old: Stored | undefined): void {
    if (old?.lifetime !== undefined) this.view.delete(deadlineKey(old.lifetime.runDeadlineMs, record))
  }

  #write(record: Buffer, stored: Stored): void {
    this.view.put(record, encodeStored(stored))
    const { lifetime } = stored
    if (lifetime !== undefined) this.view.put(deadlineKey(lifetime.runDeadlineMs, record), NOTHING)
  }
}

const NOTHING = Buffer.alloc(0)
