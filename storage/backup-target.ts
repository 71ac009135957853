import { mkdir, open, readdir, rename, rm, stat, writeFile, type FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { BackupTargetError } from './backup-errors.js'
import { MANIFEST, type BackupManifest } from './backup-manifest.js'
import { discarding, readBackup, type BackupSink } from './backup-source.js'
import { syncDirectory, writeFileDurably } from './files.js'
import { describeError, errorCode } from './store-errors.js'
import { readTar } from './tar.js'

/** In the folder of a backup that is not finished, so that nobody takes it for one, and we know it as ours. */
const MARKER = 'BACKUP-IS-NOT-FINISHED'

/** A backup that is on disk. */
export interface SavedBackup {
  readonly manifest: BackupManifest
  readonly bytes: number
}

/**
 * Writes a backup as it comes from a node: into a new folder, or as one file when the name ends in `.tar`. It is on disk,
 * and was checked against its manifest, when this returns; before, it has another name.
 *
 * @param begin called when there is a place for it
 * @param onBytes told of all bytes so far
 * @throws BackupTargetError, BackupInvalidError when it was cut off
 */
export async function saveBackup(
  begin: () => Promise<AsyncIterable<Uint8Array>>,
  target: string,
  onBytes: (bytes: number) => void,
): Promise<SavedBackup> {
  let bytes = 0
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of await begin()) {
      bytes += chunk.length
      onBytes(bytes)
      yield chunk
    }
  }
  const path = resolve(target)
  try {
    const manifest = path.endsWith('.tar') ? await saveFile(counted(), path) : await saveFolder(counted(), path)
    return { manifest, bytes }
  } catch (error) {
    const code = errorCode(error) ?? ''
    if (!/^E(?:ACCES|EXIST|INVAL|ISDIR|NOENT|NOSPC|NOTDIR|NOTEMPTY|PERM|ROFS|IO|DQUOT|MFILE)$/.test(code)) throw error
    throw new BackupTargetError(`cannot write the backup to ${target}: ${describeError(error)}`, { cause: error })
  }
}

async function saveFile(backup: AsyncIterable<Uint8Array>, path: string): Promise<BackupManifest> {
  if (await exists(path)) throw new BackupTargetError(`${path} exists already; name a file that does not`)
  const partial = `${path}.partial`
  await using file = await open(partial, 'w', 0o600)
  const manifest = await readBackup(
    readTar(copied(backup, file)),
    discarding(() => undefined),
  )
  await file.sync()
  await rename(partial, path)
  await syncDirectory(dirname(path))
  return manifest
}

async function* copied(backup: AsyncIterable<Uint8Array>, file: FileHandle): AsyncGenerator<Uint8Array> {
  for await (const chunk of backup) {
    await file.appendFile(chunk)
    yield chunk
  }
}

async function saveFolder(backup: AsyncIterable<Uint8Array>, path: string): Promise<BackupManifest> {
  if ((await exists(path)) && (await readdir(path)).length > 0) {
    throw new BackupTargetError(`${path} is not empty; name a folder that is, or a new one`)
  }
  const partial = `${path}.partial`
  await removePartial(partial)
  await mkdir(partial, { recursive: true, mode: 0o700 })
  await writeFile(join(partial, MARKER), '')
  const manifest = await readBackup(readTar(backup), new FolderSink(partial))
  await syncFolders(partial)
  await rm(join(partial, MARKER))
  await rename(partial, path)
  await syncDirectory(dirname(path))
  return manifest
}

async function removePartial(partial: string): Promise<void> {
  if (!(await exists(partial))) return
  // Whoever is killed before it has marked its folder leaves an empty one.
  const isOurs = (await exists(join(partial, MARKER))) || (await readdir(partial)).length === 0
  if (!isOurs) {
    throw new BackupTargetError(`${partial} is in the way: it is no unfinished backup; move it elsewhere`)
  }
  await rm(partial, { recursive: true })
}

/** Writes files below a folder, each of them synced. */
export class FolderSink implements BackupSink {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async file(path: string, chunks: AsyncIterable<Buffer>): Promise<void> {
    const target = join(this.#folder, path)
    await mkdir(dirname(target), { recursive: true, mode: 0o700 })
    await using file = await open(target, 'wx', 0o600)
    for await (const chunk of chunks) await file.appendFile(chunk)
    await file.sync()
  }

  done(manifestText: string): Promise<void> {
    return writeFileDurably(join(this.#folder, MANIFEST), manifestText)
  }
}

/** Makes the names of all files and folders below survive a power cut. */
export async function syncFolders(path: string): Promise<void> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  for (const entry of entries) if (entry.isDirectory()) await syncDirectory(join(entry.parentPath, entry.name))
  await syncDirectory(path)
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}
