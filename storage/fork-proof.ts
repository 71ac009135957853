import type { StreamId } from '../core/index.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import { CHECK_LENGTH, openValue, sealValue } from './checked-value.js'

/** Something that the owner of a stream has signed: the canonical bytes of a head or of a block, and the signature. */
export interface SignedStatement {
  readonly bytes: Buffer
  readonly signature: Buffer
}

/**
 * Two statements of one owner about one stream that cannot both be true: its key was copied, or the node goes on from an
 * older backup.
 */
export interface ForkProof {
  readonly stream: StreamId
  /** Where that shows. */
  readonly offset: number
  /** What contradicts what, for the operator. */
  readonly reason: string
  /** When it was found, µs since 1970. */
  readonly foundMicros: number
  /** What we hold, and what contradicts it. Ours is absent when only an event was held that nothing signed was kept for. */
  readonly statements: readonly SignedStatement[]
}

const VERSION = 1
const MAX_STATEMENTS = 2

export function encodeFork(proof: ForkProof): Buffer {
  const writer = new ByteWriter(1024)
  writer.u32(0) // the checksum comes here
  writer.u8(VERSION)
  writer.varint(proof.offset)
  writer.text(proof.reason)
  writer.varint(proof.foundMicros)
  writer.varint(proof.statements.length)
  for (const { bytes, signature } of proof.statements) {
    writer.sized(bytes)
    writer.sized(signature)
  }
  return sealValue(checkKey(proof.stream), writer.finish())
}

/** @throws CorruptRecordError */
export function decodeFork(stream: StreamId, value: Buffer): ForkProof {
  const place = { stream, offset: 0, part: 'proof of a fork' }
  const reader = new ByteReader(openValue(checkKey(stream), value, place), CHECK_LENGTH, place)
  const version = reader.u8()
  if (version !== VERSION) reader.fail(`its format ${String(version)} is not known to this version`)
  const offset = reader.varint()
  const reason = reader.text()
  const foundMicros = reader.varint()
  const statements = Array.from({ length: reader.count(MAX_STATEMENTS) }, () => ({
    bytes: reader.sized(),
    signature: reader.sized(),
  }))
  reader.end()
  return { stream, offset, reason, foundMicros, statements }
}

function checkKey(stream: StreamId): string {
  return `fork/${stream}/`
}
