import { BackupInvalidError } from './backup-errors.js'

/** Archives as POSIX ustar has them, only as far as backups need it: plain files with short names. */

const BLOCK = 512
const MAX_NAME = 100
/** Twelve characters hold eleven octal digits. */
const MAX_SIZE = 8 ** 11 - 1

/** What stands before the bytes of a file. */
export function tarHeader(name: string, size: number, mtimeSeconds: number): Buffer {
  if (Buffer.byteLength(name) > MAX_NAME || size > MAX_SIZE)
    throw new RangeError(`${name} does not fit into an archive`)
  const header = Buffer.alloc(BLOCK)
  header.write(name, 0)
  header.write('0000600\0', 100)
  header.write('0000000\0', 108)
  header.write('0000000\0', 116)
  header.write(`${octal(size, 11)}\0`, 124)
  header.write(`${octal(Math.floor(mtimeSeconds), 11)}\0`, 136)
  header.write('0', 156)
  header.write('ustar\x0000', 257, 'latin1')
  header.write(`${octal(checksumOf(header), 6)}\0 `, 148)
  return header
}

/** What stands behind the bytes of a file. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)
}

/** What ends an archive. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK)
}

/** A file of an archive; its bytes are to be read before the next one is asked for. */
export interface TarEntry {
  readonly name: string
  readonly size: number
  readonly chunks: AsyncIterable<Buffer>
}

/** The files of an archive in order. @throws BackupInvalidError when it is damaged or ends too early */
export async function* readTar(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<TarEntry> {
  const reader = new ChunkReader(bytes)
  try {
    for (;;) {
      const header = await reader.exactly(BLOCK)
      if (header.every((byte) => byte === 0)) break
      const { name, size } = parseHeader(header)
      yield { name, size, chunks: reader.some(size) }
      await reader.exactly((BLOCK - (size % BLOCK)) % BLOCK)
    }
    await reader.drain()
  } finally {
    await reader.close()
  }
}

function parseHeader(header: Buffer): { readonly name: string; readonly size: number } {
  const said = parseOctal(header.subarray(148, 156))
  const isOurs = header.toString('latin1', 257, 262) === 'ustar' && header[156] === 0x30
  const size = parseOctal(header.subarray(124, 136))
  if (!isOurs || said !== checksumOf(header) || size === undefined) {
    throw new BackupInvalidError('the backup is damaged, or none: it is no archive from millrace backup')
  }
  return {
    name: header.toString('utf8', 0, header.indexOf(0) < 0 ? MAX_NAME : Math.min(MAX_NAME, header.indexOf(0))),
    size,
  }
}

/** With blanks in place of itself. */
function checksumOf(header: Buffer): number {
  let sum = 8 * 0x20
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += header[at] ?? 0
  return sum
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

function parseOctal(field: Buffer): number | undefined {
  const [digits] = /^[0-7]+/.exec(field.toString('latin1')) ?? []
  return digits === undefined ? undefined : parseInt(digits, 8)
}

/** Cuts a stream of chunks where it is told to. */
class ChunkReader {
  readonly #chunks: AsyncIterator<Uint8Array>
  #rest: Buffer = Buffer.alloc(0)

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#chunks = bytes[Symbol.asyncIterator]()
  }

  async exactly(length: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for await (const piece of this.some(length)) pieces.push(piece)
    return Buffer.concat(pieces)
  }

  async *some(length: number): AsyncGenerator<Buffer> {
    for (let left = length; left > 0;) {
      if (this.#rest.length === 0) this.#rest = await this.#next()
      const piece = this.#rest.subarray(0, left)
      this.#rest = this.#rest.subarray(piece.length)
      left -= piece.length
      yield piece
    }
  }

  /** What makes the bytes may have something to do at their end. */
  async drain(): Promise<void> {
    while ((await this.#chunks.next()).done !== true) continue
  }

  async close(): Promise<void> {
    await this.#chunks.return?.()
  }

  async #next(): Promise<Buffer> {
    const next = await this.#chunks.next()
    if (next.done === true) throw new BackupInvalidError('the backup ends too early: it is only a part of one')
    const { buffer, byteOffset, byteLength } = next.value
    return Buffer.from(buffer, byteOffset, byteLength)
  }
}
