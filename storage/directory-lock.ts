import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readFileIfExists } from './files.js'
import { errorCode, StoreLockedError } from './store-errors.js'

/** Tells one process from all others, also from a later one with the same number. */
interface Holder {
  readonly pid: number
  /** Clock ticks after boot; empty where the system does not say. */
  readonly started: string
  /** Changes with each boot; empty where the system does not say. */
  readonly boot: string
}

/** Attempts to take over a stale lock before giving up: each one means that another process did the same just then. */
const MAX_ATTEMPTS = 5

/**
 * The lock file of a data directory. LevelDB's own lock stands behind it; this one covers all topics, and names who
 * holds it. The lock of a process that is gone is taken over.
 */
export class DirectoryLock {
  readonly #path: string
  #released: Promise<void> | undefined

  private constructor(path: string) {
    this.#path = path
  }

  /** @throws StoreLockedError */
  static async acquire(directory: string): Promise<DirectoryLock> {
    const path = join(directory, 'lock')
    const own = join(directory, `lock.${String(process.pid)}`)
    await writeFile(own, JSON.stringify(await describeProcess(process.pid)), { mode: 0o600 })
    try {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        if (await linkIfAbsent(own, path)) return new DirectoryLock(path)
        const content = await readFileIfExists(path)
        if (content === undefined) continue
        const holder = parseHolder(content.toString())
        if (holder !== undefined && (await isAlive(holder))) {
          throw new StoreLockedError(directory, `process ${String(holder.pid)}`)
        }
        await removeStale(path, content)
      }
    } finally {
      await rm(own, { force: true })
    }
    throw new StoreLockedError(directory, 'another process that is starting')
  }

  release(): Promise<void> {
    return (this.#released ??= rm(this.#path, { force: true }))
  }
}

/** The boot that is running, or an empty text. */
export async function bootId(): Promise<string> {
  return (await readOrEmpty('/proc/sys/kernel/random/boot_id')).trim()
}

/** A hard link appears with its content or not at all. */
async function linkIfAbsent(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw error
  }
}

/** Moves the lock aside first, so that of two processes only one can remove what it has read. */
async function removeStale(path: string, content: Buffer): Promise<void> {
  const aside = `${path}.stale.${String(process.pid)}`
  try {
    await rename(path, aside)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  const moved = await readFile(aside)
  if (!moved.equals(content)) await linkIfAbsent(aside, path)
  await rm(aside, { force: true })
}

function parseHolder(text: string): Holder | undefined {
  try {
    const value = JSON.parse(text) as Partial<Holder> | null
    if (value === null || typeof value.pid !== 'number') return undefined
    return { pid: value.pid, started: String(value.started), boot: String(value.boot) }
  } catch {
    // A power cut can leave an empty file: nobody holds it.
    return undefined
  }
}

async function isAlive(holder: Holder): Promise<boolean> {
  if (!Number.isSafeInteger(holder.pid) || holder.pid <= 0 || !exists(holder.pid)) return false
  const now = await describeProcess(holder.pid)
  return now.boot === holder.boot && now.started === holder.started
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errorCode(error) === 'EPERM'
  }
}

async function describeProcess(pid: number): Promise<Holder> {
  const stat = await readOrEmpty(`/proc/${String(pid)}/stat`)
  // The name in parentheses may hold blanks; the start time is the 20th field behind it.
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
  return { pid, started, boot: await bootId() }
}

async function readOrEmpty(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    // Not Linux, or the process just ended: an empty text compares as unknown.
    return ''
  }
}
