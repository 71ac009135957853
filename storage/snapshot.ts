import { copyFile, mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BackupRunningError } from './backup-errors.js'
import { removeSnapshot, snapshotFolder } from './backup-folders.js'
import { KEYS, type BackupManifest } from './backup-manifest.js'
import { DATABASES, linkTables, snapshotTopic } from './level-snapshot.js'
import type { DataDirectory } from './data-directory.js'
import type { Store } from './store.js'
import { StoreCorruptError, toStoreError } from './store-errors.js'
import { TableGuard } from './table-guard.js'

/** All files of a data directory as they were at one moment, until they are copied. */
export interface Snapshot extends AsyncDisposable {
  readonly path: string
  /** Relative paths and sizes. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[]
  readonly about: Pick<BackupManifest, 'nodeId' | 'former' | 'withIdentity' | 'topics' | 'pauseMs'>
}

/** Directories of which a snapshot is under way. */
const underWay = new Set<string>()

/**
 * Holds on to what a data directory has at this moment. Takes no room but that of the logs, and what compaction would have
 * given back meanwhile, until it is disposed of.
 *
 * @param open the store that is in use, if any
 * @throws BackupRunningError; StoreCorruptError when a table is damaged, so that a backup would be no good
 */
export async function takeSnapshot(
  directory: DataDirectory,
  open: { readonly topic: string; readonly store: Store } | undefined,
  withIdentity: boolean,
): Promise<Snapshot> {
  const path = snapshotFolder(directory.path)
  if (underWay.has(path)) throw new BackupRunningError()
  underWay.add(path)
  let disposed: Promise<void> | undefined
  const dispose = (): Promise<void> =>
    (disposed ??= removeSnapshot(directory.path).finally(() => {
      underWay.delete(path)
    }))
  try {
    await removeSnapshot(directory.path)
    await mkdir(path, { mode: 0o700 })
    if (withIdentity) await copyKeys(directory.path, join(path, KEYS))
    let pauseMs = 0
    const topics: { readonly name: string; readonly folder: string }[] = []
    await directory.withTopics(async (names) => {
      for (const [at, name] of names.entries()) {
        const folder = `t${String(at)}`
        const target = join(path, folder)
        if (name === open?.topic) pauseMs = await open.store.snapshot(target)
        else await snapshotStopped((await directory.folderOf(name)).path, target)
        for (const database of DATABASES) await (await TableGuard.load(join(target, database))).checkAll()
        topics.push({ name, folder })
      }
    })
    const { nodeId, formerNodes: former } = directory
    const about = { nodeId, former, withIdentity, topics, pauseMs: Math.round(1000 * pauseMs) / 1000 }
    return { path, files: await filesIn(path), about, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    // The links are of no use to anybody; what they are links to is.
    if (!(error instanceof StoreCorruptError)) throw toStoreError(error, 'cannot make a backup')
    throw new StoreCorruptError(error.message.replaceAll(path, directory.path), { cause: error })
  }
}

async function snapshotStopped(from: string, to: string): Promise<void> {
  for (const name of DATABASES) await linkTables(join(from, name), join(to, name))
  await snapshotTopic(from, to)
}

async function copyKeys(from: string, to: string): Promise<void> {
  await mkdir(to, { mode: 0o700 })
  const names = (await readdir(from)).filter((name) => /^(?:identity.*|token)\.key$/.test(name))
  for (const name of names) await copyFile(join(from, name), join(to, name))
}

async function filesIn(path: string): Promise<{ readonly path: string; readonly bytes: number }[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  const names = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const files = names.map(async (name) => ({ path: name.slice(path.length + 1), bytes: (await stat(name)).size }))
  return (await Promise.all(files)).sort((a, b) => (a.path < b.path ? -1 : 1))
}
