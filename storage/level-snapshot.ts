import { constants, copyFile, link, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readManifest, tableFile } from './leveldb-files.js'
import { errorCode, StoreCorruptError } from './store-errors.js'

/** Folders of the databases of a topic. */
export const DATABASES = ['meta', 'blocks'] as const

/** A compaction under way takes tables away; each attempt takes a moment, and a compaction ends. */
const MAX_ATTEMPTS = 1000

/** Puts the tables that a database has at the moment into another folder: links, as LevelDB never changes a table. */
export async function linkTables(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  const there = new Set(await readdir(to))
  const tables = (await readdir(from)).filter((name) => name.endsWith('.ldb') && !there.has(name))
  for (const name of tables) await linkOrCopy(join(from, name), join(to, name))
}

/** Copies a topic to whose databases nothing is written meanwhile, compaction aside. */
export async function snapshotTopic(from: string, to: string): Promise<void> {
  for (const name of DATABASES) await snapshotDatabase(join(from, name), join(to, name))
  await copyIfThere(join(from, 'head'), join(to, 'head'))
}

/**
 * First the logs, then the manifest, then the tables that it names: whatever a log held that is gone by then is in a table
 * of the manifest. A table that a compaction took away meanwhile is missing: then the manifest is a newer one.
 */
async function snapshotDatabase(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const logs = (await readdir(from)).filter((name) => name.endsWith('.log'))
    for (const name of logs) await copyIfThere(join(from, name), join(to, name))
    const current = await readFile(join(from, 'CURRENT'))
    const manifest = current.toString('latin1').trim()
    const content = await readFile(join(from, manifest))
    const tables = new Set(readManifest(content).map(({ number }) => tableFile(number)))
    if (!(await takeTables(from, to, tables))) continue
    await writeFile(join(to, manifest), content)
    await writeFile(join(to, 'CURRENT'), current)
    const wanted = new Set([...tables, ...logs, manifest, 'CURRENT'])
    for (const name of await readdir(to)) if (!wanted.has(name)) await rm(join(to, name))
    return
  }
  throw new StoreCorruptError(`the tables of ${from} are not those that its manifest names; see millrace verify`)
}

/** Whether all of them could be had. */
async function takeTables(from: string, to: string, tables: ReadonlySet<string>): Promise<boolean> {
  const there = new Set(await readdir(to))
  for (const name of tables) {
    if (!there.has(name) && !(await linkOrCopy(join(from, name), join(to, name)))) return false
  }
  return true
}

/** Copies where the file system knows no links. @returns whether there was such a file */
async function linkOrCopy(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    return copyIfThere(from, to)
  }
}

async function copyIfThere(from: string, to: string): Promise<boolean> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE)
    return true
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return false
    throw error
  }
}
