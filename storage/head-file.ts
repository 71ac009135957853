import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { decodeBase64, encodeBase64, parseStreamId, streamIdOf, type StreamId } from '../core/index.js'
import { readFileIfExists } from './files.js'
import { errorCode } from './store-errors.js'

/** What the node remembers of a stream outside of LevelDB. */
export interface Head {
  /** Offset after the newest event that was acknowledged. */
  readonly nextOffset: number
  /** Offset after the newest event that was acknowledged and synced. */
  readonly syncedOffset: number
}

/** Slots never cross a disk sector, so a power cut leaves the old or the new one. */
const SLOT_LENGTH = 64
const CRC_AT = 60
const MAGIC = 'millrace head 1\n'

/**
 * A small file beside the databases that says how far each stream had got: written, but not synced, after each commit.
 * LevelDB opens without a word when its log lost records; a head beyond what the database holds tells that apart from a
 * write that was never finished.
 *
 *     slot 0: magic (16 bytes), boot id (36 bytes), stream names registered (u32), 4 free bytes, CRC-32
 *     slot n: node id (32 bytes), stream number (u64), next offset (u64), synced offset (u64), 4 free bytes, CRC-32
 *
 * Little-endian. A CRC-32 covers the 60 bytes before it.
 */
export class HeadFile {
  readonly #file: number
  readonly #slots: Map<StreamId, number>
  /** Slots as they were written last, so that a commit changes only its numbers. */
  readonly #written = new Map<StreamId, Buffer>()
  #nextSlot: number
  /** What the file held when it was opened. */
  readonly found: ReadonlyMap<StreamId, Head>
  /** Slots that could not be read. */
  readonly damagedSlots: number
  /** Names that were on record; `undefined` for a new or unreadable file. */
  readonly foundNames: number | undefined
  /** Whether the file was written during this boot, so that even unsynced writes must still be there. */
  readonly sameBoot: boolean

  private constructor(file: number, content: ParsedFile, boot: string) {
    this.#file = file
    this.#slots = content.slots
    this.#nextSlot = content.nextSlot
    this.found = content.heads
    this.damagedSlots = content.damaged
    this.foundNames = content.names
    this.sameBoot = content.boot === boot && boot !== ''
  }

  /** Nothing is written before {@link HeadFile.begin}. */
  static open(directory: string, boot: string): HeadFile {
    const path = join(directory, 'head')
    let content = Buffer.alloc(0)
    try {
      content = readFileSync(path)
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') throw error
    }
    const file = openSync(path, content.length === 0 ? 'w+' : 'r+', 0o600)
    return new HeadFile(file, parseFile(content), boot)
  }

  /** Notes the running boot and the number of registered names. */
  begin(boot: string, names: number): void {
    const slot = Buffer.alloc(SLOT_LENGTH)
    slot.write(MAGIC, 0, 'latin1')
    slot.write(boot.slice(0, 36), 16, 'latin1')
    slot.writeUInt32LE(names, 52)
    this.#writeSlot(0, slot)
  }

  /** Some microseconds: the page cache takes it. */
  write(stream: StreamId, head: Head): void {
    let index = this.#slots.get(stream)
    if (index === undefined) this.#slots.set(stream, (index = this.#nextSlot++))
    let slot = this.#written.get(stream)
    if (slot === undefined) this.#written.set(stream, (slot = newSlot(stream)))
    writeInteger(slot, head.nextOffset, 40)
    writeInteger(slot, head.syncedOffset, 48)
    this.#writeSlot(index, slot)
  }

  #writeSlot(index: number, slot: Buffer): void {
    slot.writeUInt32LE(crc32(slot.subarray(0, CRC_AT)), CRC_AT)
    writeSync(this.#file, slot, 0, SLOT_LENGTH, index * SLOT_LENGTH)
  }

  sync(): void {
    fsyncSync(this.#file)
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** What the file of a store that is not open says. Creates none. */
export async function readHeads(
  directory: string,
  boot: string,
): Promise<{ readonly heads: ReadonlyMap<StreamId, Head>; readonly sameBoot: boolean }> {
  const content = (await readFileIfExists(join(directory, 'head'))) ?? Buffer.alloc(0)
  const parsed = parseFile(content)
  return { heads: parsed.heads, sameBoot: parsed.boot === boot && boot !== '' }
}

interface ParsedFile {
  readonly slots: Map<StreamId, number>
  readonly heads: Map<StreamId, Head>
  readonly boot: string
  readonly names: number | undefined
  readonly damaged: number
  readonly nextSlot: number
}

function parseFile(content: Buffer): ParsedFile {
  const slots = new Map<StreamId, number>()
  const heads = new Map<StreamId, Head>()
  let damaged = content.length % SLOT_LENGTH === 0 ? 0 : 1
  const first = content.subarray(0, SLOT_LENGTH)
  const known = isIntact(first) && first.toString('latin1', 0, 16) === MAGIC
  if (content.length > 0 && !known) damaged++
  for (let at = SLOT_LENGTH; at + SLOT_LENGTH <= content.length; at += SLOT_LENGTH) {
    const slot = content.subarray(at, at + SLOT_LENGTH)
    const stream = isIntact(slot) ? readStream(slot) : undefined
    if (stream === undefined) {
      damaged++
      continue
    }
    slots.set(stream, at / SLOT_LENGTH)
    heads.set(stream, { nextOffset: Number(slot.readBigUInt64LE(40)), syncedOffset: Number(slot.readBigUInt64LE(48)) })
  }
  const nextSlot = Math.max(1, Math.ceil(content.length / SLOT_LENGTH))
  const boot = known ? first.toString('latin1', 16, 52).replace(/\0+$/, '') : ''
  return { slots, heads, boot, names: known ? first.readUInt32LE(52) : undefined, damaged, nextSlot }
}

function newSlot(stream: StreamId): Buffer {
  const { nodeId, number } = parseStreamId(stream)
  const slot = Buffer.alloc(SLOT_LENGTH)
  slot.set(decodeBase64(nodeId) ?? [], 0)
  writeInteger(slot, number, 32)
  return slot
}

/** Two 32-bit halves are several times quicker than a BigInt. */
function writeInteger(slot: Buffer, value: number, at: number): void {
  slot.writeUInt32LE(value % 2 ** 32, at)
  slot.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4)
}

function isIntact(slot: Buffer): boolean {
  return slot.length === SLOT_LENGTH && crc32(slot.subarray(0, CRC_AT)) === slot.readUInt32LE(CRC_AT)
}

function readStream(slot: Buffer): StreamId {
  return streamIdOf(encodeBase64(slot.subarray(0, 32)), Number(slot.readBigUInt64LE(32)))
}
