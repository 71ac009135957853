import { mkdir, open, readdir, rm, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import type { AuditSink } from './sink.js'

/** What {@link FileSink} needs. */
export interface FileSinkOptions {
  readonly directory: string
  /** Bytes at which the next file begins. */
  readonly maxBytes: number
  /** Files that are kept, the one in use included. */
  readonly maxFiles: number
}

/** Files are numbered; the number only grows. */
const NAME = /^audit-([0-9]{6,15})\.jsonl$/

const LINE_FEED = 0x0a

/** Bytes in which the end of a file is looked through. */
const PIECE = 64 * 1024

interface OpenFile {
  readonly number: number
  readonly handle: FileHandle
  /** Bytes that are whole lines, all on disk. */
  size: number
}

/**
 * Lines of JSON in numbered files. A batch that could not be written is taken back, so neither a full disk nor a crash leaves
 * half a line.
 */
export class FileSink implements AuditSink {
  readonly name = 'file'
  readonly #options: FileSinkOptions
  #file: OpenFile | undefined
  /** Bytes may lie behind `size`. */
  #isTorn = false

  constructor(options: FileSinkOptions) {
    this.#options = options
  }

  async open(): Promise<string | undefined> {
    const { directory } = this.#options
    await this.close()
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const numbers = await this.#numbers()
    this.#file = await openFile(directory, numbers.at(-1) ?? 1)
    // What follows the last whole line is what a crash has left of a write that nobody was told about.
    this.#isTorn = true
    return this.#newestLine(numbers)
  }

  async write(lines: readonly string[]): Promise<void> {
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
    let file = this.#file ?? (await this.#next(undefined))
    if (file.size > 0 && file.size + bytes.length > this.#options.maxBytes) file = await this.#next(file)
    if (this.#isTorn) await file.handle.truncate(file.size)
    this.#isTorn = true
    try {
      await writeAll(file.handle, bytes, file.size)
    } catch (error) {
      // Where that fails too, it is done before the next write.
      await file.handle.truncate(file.size).catch(() => undefined)
      throw error
    }
    await this.#sync(file)
    file.size += bytes.length
    this.#isTorn = false
  }

  async close(): Promise<void> {
    await this.#file?.handle.close()
    this.#file = undefined
    this.#isTorn = false
  }

  /** After a failed sync nobody knows what is on disk, and another sync would not tell: the next batch goes into a file of its own. */
  async #sync(file: OpenFile): Promise<void> {
    try {
      await file.handle.datasync()
    } catch (error) {
      await file.handle.truncate(file.size).catch(() => undefined)
      await this.close()
      throw error
    }
  }

  async #next(before: OpenFile | undefined): Promise<OpenFile> {
    const { directory, maxFiles } = this.#options
    if (before !== undefined && this.#isTorn) await before.handle.truncate(before.size)
    const number = (before?.number ?? (await this.#numbers()).at(-1) ?? 0) + 1
    const file = await openFile(directory, number)
    this.#file = file
    this.#isTorn = false
    await before?.handle.close()
    for (const old of (await this.#numbers()).slice(0, -maxFiles)) await rm(pathOf(directory, old), { force: true })
    return file
  }

  /** Of the files that are there, lowest first. */
  async #numbers(): Promise<number[]> {
    const names = await readdir(this.#options.directory)
    return names
      .flatMap((name) => NAME.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b)
  }

  async #newestLine(numbers: readonly number[]): Promise<string | undefined> {
    for (const number of numbers.toReversed()) {
      const handle = await open(pathOf(this.#options.directory, number), 'r')
      try {
        const line = await lastLine(handle)
        if (line !== undefined) return line
      } finally {
        await handle.close()
      }
    }
    return undefined
  }
}

function pathOf(directory: string, number: number): string {
  return join(directory, `audit-${String(number).padStart(6, '0')}.jsonl`)
}

async function openFile(directory: string, number: number): Promise<OpenFile> {
  // Not for appending: writes say where they begin, so what a failed one has left is written over.
  const path = pathOf(directory, number)
  const handle = await open(path, 'r+').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return open(path, 'wx+', 0o600)
  })
  try {
    await syncDirectory(directory)
    return { number, handle, size: await endOfLines(handle) }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at)
    at += bytesWritten
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Bytes up to and with the last line feed. */
async function endOfLines(handle: FileHandle): Promise<number> {
  const { size } = await handle.stat()
  return (await lineFeedBefore(handle, size)) + 1
}

async function lastLine(handle: FileHandle): Promise<string | undefined> {
  const end = (await endOfLines(handle)) - 1
  if (end < 0) return undefined
  const start = (await lineFeedBefore(handle, end)) + 1
  const line = Buffer.alloc(end - start)
  await handle.read(line, 0, line.length, start)
  return line.toString()
}

/** Where the last line feed before `end` is; -1 for nowhere. */
async function lineFeedBefore(handle: FileHandle, end: number): Promise<number> {
  const piece = Buffer.alloc(PIECE)
  while (end > 0) {
    const start = Math.max(0, end - PIECE)
    const { bytesRead } = await handle.read(piece, 0, end - start, start)
    const found = piece.subarray(0, bytesRead).lastIndexOf(LINE_FEED)
    if (found >= 0) return start + found
    end = start
  }
  return -1
}
