import type { Lifetime } from './state-time.js'

/** The state as a whole. */
export interface Head {
  /** Of the newest change. */
  readonly revision: number
  /** Keys and values of all entries. */
  readonly bytes: number
  readonly entries: number
  /** The wall clock at the newest commit, milliseconds since 1970. */
  readonly wallMs: number
  /** Counts the openings of the state. */
  readonly run: number
  /** Epoch of the store when it was opened last. */
  readonly epoch: number
}

/** An entry, or another record that may expire. */
export interface Stored {
  /** Revision of the commit that wrote it; 0 for what has none. */
  readonly version: number
  readonly lifetime: Lifetime | undefined
  /** JSON text. */
  readonly text: string
}

/** Numbers are stored as doubles, which hold all that is counted here, exactly up to 2^53. */
const NUMBER = 8
const NO_LIFETIME = 0
const WITH_LIFETIME = 1
const LIFETIME_AT = 1 + NUMBER
const LIFETIME_NUMBERS = 4

export const FIRST_HEAD: Head = { revision: 0, bytes: 0, entries: 0, wallMs: 0, run: 0, epoch: 0 }

export function encodeHead({ revision, bytes, entries, wallMs, run, epoch }: Head): Buffer {
  const content = Buffer.allocUnsafe(6 * NUMBER)
  writeNumbers(content, 0, [revision, bytes, entries, wallMs, run, epoch])
  return content
}

export function decodeHead(content: Buffer | undefined): Head {
  if (content === undefined) return FIRST_HEAD
  const [revision = 0, bytes = 0, entries = 0, wallMs = 0, run = 0, epoch = 0] = readNumbers(content, 0, 6)
  return { revision, bytes, entries, wallMs, run, epoch }
}

export function encodeStored({ version, lifetime, text }: Stored): Buffer {
  const at = LIFETIME_AT + (lifetime === undefined ? 0 : LIFETIME_NUMBERS * NUMBER)
  const content = Buffer.allocUnsafe(at + Buffer.byteLength(text))
  content[0] = lifetime === undefined ? NO_LIFETIME : WITH_LIFETIME
  content.writeDoubleBE(version, 1)
  if (lifetime !== undefined) {
    const { ttlMs, wallDeadlineMs, runDeadlineMs, run } = lifetime
    writeNumbers(content, LIFETIME_AT, [ttlMs, wallDeadlineMs, runDeadlineMs, run])
  }
  content.write(text, at)
  return content
}

export function decodeStored(content: Buffer): Stored {
  const version = content.readDoubleBE(1)
  if (content[0] === NO_LIFETIME) return { version, lifetime: undefined, text: content.toString('utf8', LIFETIME_AT) }
  const [ttlMs = 0, wallDeadlineMs = 0, runDeadlineMs = 0, run = 0] = readNumbers(
    content,
    LIFETIME_AT,
    LIFETIME_NUMBERS,
  )
  const lifetime = { ttlMs, wallDeadlineMs, runDeadlineMs, run }
  return { version, lifetime, text: content.toString('utf8', LIFETIME_AT + LIFETIME_NUMBERS * NUMBER) }
}

/** Bytes that an entry counts with. */
export function sizeOfEntry(record: Buffer, { text }: Stored): number {
  return record.length - 1 + Buffer.byteLength(text)
}

function writeNumbers(content: Buffer, at: number, numbers: readonly number[]): void {
  numbers.forEach((each, index) => content.writeDoubleBE(each, at + index * NUMBER))
}

function readNumbers(content: Buffer, at: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => content.readDoubleBE(at + index * NUMBER))
}
