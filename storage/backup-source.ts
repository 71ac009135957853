import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../core/index.js'
import { BackupInvalidError } from './backup-errors.js'
import { checkPath, decodeManifest, MANIFEST, type BackupFile, type BackupManifest } from './backup-manifest.js'
import { describeError, errorCode } from './store-errors.js'
import { readTar, type TarEntry } from './tar.js'

/** Bytes that a manifest has at most: some hundred thousand files. */
const MAX_MANIFEST_BYTES = 64 * 1024 * 1024

/** What takes the files of a backup as they come, all of which have to be read. */
export interface BackupSink {
  file(path: string, chunks: AsyncIterable<Buffer>): Promise<unknown>
  /** Called at last, when all files are as the manifest says. */
  done(manifestText: string): Promise<void>
}

/**
 * For who only wants to know whether a backup is whole.
 *
 * @param onBytes told how many bytes were read so far
 */
export function discarding(onBytes: (bytes: number) => void): BackupSink {
  let bytes = 0
  return {
    file: async (_path, chunks) => {
      for await (const chunk of chunks) onBytes((bytes += chunk.length))
    },
    done: () => Promise.resolve(),
  }
}

/**
 * Reads a backup from its first byte to its last, and holds it against its manifest: every file, its length, its hash, none
 * missing, none too many. Only when it returns the files are good.
 *
 * @throws BackupInvalidError that names the file
 */
export async function readBackup(entries: AsyncIterable<TarEntry>, sink: BackupSink): Promise<BackupManifest> {
  const found = new Map<string, BackupFile>()
  let text: string | undefined
  for await (const { name, size, chunks } of entries) {
    checkPath(name)
    if (name === MANIFEST) {
      if (size > MAX_MANIFEST_BYTES) throw new BackupInvalidError(`the backup is damaged: its ${MANIFEST} is too long`)
      text = await textOf(chunks)
      continue
    }
    const hash = createHash('sha256')
    await sink.file(name, hashed(chunks, hash))
    found.set(name, { path: name, bytes: size, sha256: hash.digest('hex') })
  }
  if (text === undefined) throw new BackupInvalidError(`the backup is only a part of one: it has no ${MANIFEST}`)
  const manifest = decodeManifest(text)
  compare(manifest, found)
  await sink.done(text)
  return manifest
}

function compare(manifest: BackupManifest, found: Map<string, BackupFile>): void {
  for (const { path, bytes, sha256 } of manifest.files) {
    const file = found.get(path)
    found.delete(path)
    if (file === undefined) throw new BackupInvalidError(`the backup is damaged: ${path} is missing`)
    if (file.bytes !== bytes) {
      const lengths = `${String(file.bytes)} bytes instead of ${String(bytes)}`
      throw new BackupInvalidError(`the backup is damaged: ${path} has ${lengths}`)
    }
    if (file.sha256 !== sha256) {
      throw new BackupInvalidError(`the backup is damaged: ${path} is not what was written; its hash is another one`)
    }
  }
  const [extra] = found.keys()
  if (extra !== undefined) throw new BackupInvalidError(`the backup is damaged: ${extra} does not belong to it`)
}

async function* hashed(chunks: AsyncIterable<Buffer>, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk)
    yield chunk
  }
}

async function textOf(chunks: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  for await (const chunk of chunks) pieces.push(chunk)
  return Buffer.concat(pieces).toString()
}

/**
 * The files of a backup on disk, be it a folder or an archive.
 *
 * @throws BackupInvalidError
 */
export async function* openBackup(path: string): AsyncGenerator<TarEntry> {
  try {
    if (!(await stat(path)).isDirectory()) {
      yield* readTar(createReadStream(path) as AsyncIterable<Uint8Array>)
      return
    }
    const text = await readManifestFile(path)
    for (const { path: name } of decodeManifest(text).files) {
      const file = join(path, name)
      yield { name, size: (await stat(file)).size, chunks: createReadStream(file) as AsyncIterable<Buffer> }
    }
    const bytes = Buffer.from(text)
    yield { name: MANIFEST, size: bytes.length, chunks: once(bytes) }
  } catch (error) {
    if (error instanceof MillraceError || errorCode(error) === undefined) throw error
    throw new BackupInvalidError(`the backup ${path} is damaged, or none: ${describeError(error)}`, { cause: error })
  }
}

async function readManifestFile(path: string): Promise<string> {
  try {
    return await readFile(join(path, MANIFEST), 'utf8')
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error
    throw new BackupInvalidError(`${path} is no backup, or only a part of one: it has no ${MANIFEST}`, { cause: error })
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes)
}
