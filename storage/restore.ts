import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError, type Clock } from '../core/index.js'
import { BackupInvalidError, BackupTargetError } from './backup-errors.js'
import { restoreFolder } from './backup-folders.js'
import { KEYS, type BackupManifest } from './backup-manifest.js'
import { discarding, openBackup, readBackup } from './backup-source.js'
import { FolderSink, syncFolders } from './backup-target.js'
import type { CheckLine } from './check-report.js'
import { DataDirectory, encodeTopic } from './data-directory.js'
import { DirectoryLock } from './directory-lock.js'
import { isDirectory, makeDirectories, readFileIfExists, syncDirectory, writeFileDurably } from './files.js'
import { FORMAT_VERSION } from './format-file.js'
import { describeError, errorCode } from './store-errors.js'
import type { StoreOptions } from './store-options.js'
import { openStore } from './store.js'
import { checkTopic } from './topic-check.js'
import { writeTopicsFile } from './topics-file.js'

/** Which backup becomes which data directory. */
export interface RestoreOptions {
  /** Folder or archive. */
  readonly backup: string
  /** Data directory: new, or empty. */
  readonly data: string
  /** File with the key of the node, for a backup without. */
  readonly identity: string | undefined
  readonly clock: Clock
  /** How stores are opened, but for their place. */
  readonly store: Omit<StoreOptions, 'directory' | 'topic' | 'clock'>
  readonly signal: AbortSignal
  readonly onStep: (step: string) => void
}

/** What became of a backup. */
export interface Restored {
  readonly manifest: BackupManifest
  /** In which the node goes on, topic by topic; the same for all. */
  readonly epoch: number
  readonly events: number
}

/** Epochs of restored nodes are seconds since then, 2025-01-01, so that no two restores of one backup share one. */
const EPOCHS_BEGAN_SECONDS = 1_735_689_600

/** What a data directory consists of; where something else is, nothing of ours is removed either. */
const OURS = /^(?:restoring|snapshot|topics|format|topics\.json|identity.*\.key|token\.key|api\.sock)$/
/** What an empty disk has, and the lock that we hold. */
const NOTHING = /^(?:lost\+found|lock.*)$/

/**
 * That a backup is whole, byte for byte.
 *
 * @param onBytes told how many bytes were looked at so far
 * @throws BackupInvalidError that names the file
 */
export function checkBackup(path: string, onBytes: (bytes: number) => void): Promise<BackupManifest> {
  return readBackup(openBackup(path), discarding(onBytes))
}

/**
 * Makes a data directory of a backup. All is unpacked beside its place and checked, events and signatures too; each store
 * begins a new epoch, so that the node never writes at an offset that it may have written before. Only then it is put into
 * place. Whatever ends it before, a node refuses to start there, and another restore begins anew.
 *
 * @throws BackupTargetError, BackupInvalidError, StoreWrongNodeError and errors of the store
 */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  try {
    return await restoreInto(options.data, options)
  } catch (error) {
    if (error instanceof MillraceError || errorCode(error) === undefined) throw error
    throw new BackupTargetError(`cannot restore into ${options.data}: ${describeError(error)}`, { cause: error })
  }
}

async function restoreInto(data: string, options: RestoreOptions): Promise<Restored> {
  await makeDirectories(data)
  const lock = await DirectoryLock.acquire(data)
  try {
    await clear(data)
    const work = restoreFolder(data)
    await mkdir(work, { mode: 0o700 })
    await syncDirectory(data)
    try {
      const restored = await prepare(options, work)
      await putIntoPlace(join(work, 'new'), data)
      await rm(work, { recursive: true })
      await syncDirectory(data)
      return restored
    } catch (error) {
      // The directory is as empty as before.
      await clear(data)
      throw error
    }
  } finally {
    await lock.release()
  }
}

/** Removes what a restore left that was cut off. @throws BackupTargetError when there is anything else */
async function clear(data: string): Promise<void> {
  const names = (await readdir(data)).filter((name) => !NOTHING.test(name))
  const isUnfinished = await isDirectory(restoreFolder(data))
  if (names.length === 0) return
  if (!isUnfinished || !names.every((name) => OURS.test(name))) {
    throw new BackupTargetError(
      `${data} is not empty: a backup is restored into a new directory only, so that nothing is overwritten`,
    )
  }
  // The folder that says so goes last.
  for (const name of names) {
    if (join(data, name) !== restoreFolder(data)) await rm(join(data, name), { recursive: true, force: true })
  }
  await rm(restoreFolder(data), { recursive: true, force: true })
}

async function prepare(options: RestoreOptions, work: string): Promise<Restored> {
  const { backup, onStep, signal } = options
  onStep('unpacking')
  const [files, fresh] = [join(work, 'files'), join(work, 'new')]
  await mkdir(files, { mode: 0o700 })
  const manifest = await readBackup(abortable(openBackup(backup), signal), new FolderSink(files))
  await arrange(manifest, files, fresh, options.identity)
  await using directory = await DataDirectory.open(fresh)
  const events = await verifyAll(directory, options)
  const epoch = await beginEpoch(directory, options)
  await directory.close()
  await syncFolders(fresh)
  return { manifest, epoch, events }
}

async function* abortable<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  for await (const item of items) {
    signal.throwIfAborted()
    yield item
  }
}

/** Gives the files of a backup the places that they have in a data directory. */
async function arrange(
  manifest: BackupManifest,
  files: string,
  fresh: string,
  identity: string | undefined,
): Promise<void> {
  await mkdir(join(fresh, 'topics'), { recursive: true, mode: 0o700 })
  const keys = join(files, KEYS)
  if (await isDirectory(keys)) for (const name of await readdir(keys)) await rename(join(keys, name), join(fresh, name))
  if (identity !== undefined) await copyFile(identity, join(fresh, 'identity.key'))
  if ((await readFileIfExists(join(fresh, 'identity.key'))) === undefined) {
    throw new BackupInvalidError(
      `the backup was made without the key of the node ${manifest.nodeId}: name the file that holds it with --identity`,
    )
  }
  for (const { name, folder } of manifest.topics) {
    await rename(join(files, folder), join(fresh, 'topics', encodeTopic(name)))
  }
  await writeFileDurably(join(fresh, 'format'), `${String(FORMAT_VERSION)}\n`)
  const { nodeId: node, former, topics } = manifest
  await writeTopicsFile(fresh, { node, former, topics: topics.map(({ name }) => name) })
}

/** @returns how many events there are. @throws BackupInvalidError when anything is damaged */
async function verifyAll(directory: DataDirectory, { clock, signal, onStep }: RestoreOptions): Promise<number> {
  let events = 0
  for (const topic of directory.topics) {
    onStep(`checking topic '${topic}'`)
    for await (const line of checkTopic(directory, topic, clock, signal)) {
      if (line.type === 'damage') throw new BackupInvalidError(describeDamage(line))
      if (line.type === 'topic') events += line.events
    }
  }
  return events
}

function describeDamage(damage: Extract<CheckLine, { readonly type: 'damage' }>): string {
  const { topic, stream, part, problem, lost } = damage
  const place = stream === null ? `topic '${topic}'` : `stream ${stream}`
  return `the backup holds damaged data: ${place}, ${part}: ${problem}; lost: ${lost}. Restore another one`
}

async function beginEpoch(directory: DataDirectory, { clock, store, onStep }: RestoreOptions): Promise<number> {
  const least = Math.floor(clock.nowMicros() / 1e6) - EPOCHS_BEGAN_SECONDS
  let epoch = 0
  for (const topic of directory.topics) {
    onStep(`beginning an epoch of topic '${topic}'`)
    await using opened = await openStore({ ...store, clock, directory, topic })
    epoch = Math.max(epoch, await opened.replicas.beginEpoch(least))
  }
  return epoch
}

/** `topics.json` goes last: without it there is no data directory. */
async function putIntoPlace(fresh: string, data: string): Promise<void> {
  const names = (await readdir(fresh)).filter((name) => OURS.test(name) && name !== 'topics.json')
  for (const name of [...names, 'topics.json']) await rename(join(fresh, name), join(data, name))
  await syncDirectory(data)
}
