import { randomBytes } from 'node:crypto'
import { open, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { performance } from 'node:perf_hooks'
import type { Settings } from '../../config/index.js'
import { formatBytes } from '../units.js'
import { ok, problem, warning, type Finding } from './finding.js'

/** Writes that are timed, and the bytes of each: about a commit of a few events. */
const WRITES = 9
const WRITE_BYTES = 4096

/** Time of one write to disk, milliseconds, beyond which publishing feels slow. */
const SLOW_MS = 30

/** Bytes that must be free for the node to work at all, and for it to do so for a while. */
const LEAST_FREE = 64 * 1024 * 1024
const LITTLE_FREE = 512 * 1024 * 1024

/** Whether the directory, or where it will be, can be written to, and how long it takes until something is on disk. */
export async function checkDiskSpeed(directory: string): Promise<Finding> {
  const place = await nearestExisting(directory)
  try {
    const median = await timeOfWrite(place)
    const found = `${place} can be written to; ${median.toFixed(1)} ms until a write is on disk`
    return median > SLOW_MS
      ? warning(
          'disk speed',
          found,
          'publish in batches, or weaken storage.sync ({ interval: 100 }) if a power cut may cost events',
        )
      : ok('disk speed', found)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    return problem(
      'disk speed',
      `${place} cannot be written to: ${reason}`,
      'choose another data directory, or give this user the right to write',
    )
  }
}

/** The median, milliseconds. */
async function timeOfWrite(directory: string): Promise<number> {
  const path = join(directory, `.millrace-check-${randomBytes(6).toString('hex')}`)
  const file = await open(path, 'wx', 0o600)
  try {
    const bytes = randomBytes(WRITE_BYTES)
    const times: number[] = []
    for (let at = 0; at < WRITES; at++) {
      const start = performance.now()
      await file.write(bytes)
      await file.datasync()
      times.push(performance.now() - start)
    }
    return times.sort((one, other) => one - other)[Math.floor(WRITES / 2)] ?? 0
  } finally {
    await file.close()
    await rm(path, { force: true })
  }
}

/** Free bytes where the data are, against what the limits let the streams grow to. */
export async function checkDiskSpace({ dataDirectory, retention }: Settings, stored = 0): Promise<Finding> {
  const { bavail, bsize } = await statfs(await nearestExisting(dataDirectory))
  const free = bavail * bsize
  const found = `${formatBytes(free)} free`
  if (free < LEAST_FREE) return problem('disk space', found, 'free space: nothing can be stored when the disk is full')
  const allowed = [...retention.values()].reduce(
    (sum, { maxStoredBytes }) => sum + (maxStoredBytes < Infinity ? maxStoredBytes : 0),
    0,
  )
  if (allowed > free + stored) {
    const limits = `limits let streams grow to ${formatBytes(allowed)}, ${formatBytes(stored)} are used`
    return warning(
      'disk space',
      `${found}; ${limits}`,
      'lower maxSize in eventRouting.streams, or give the node more disk',
    )
  }
  return free < LITTLE_FREE
    ? warning('disk space', found, 'free space, or give streams limits (eventRouting.streams)')
    : ok('disk space', found)
}

/** The directory itself, or the nearest one above it that exists. */
async function nearestExisting(directory: string): Promise<string> {
  const exists = await stat(directory).then(
    (status) => status.isDirectory(),
    () => false,
  )
  const above = dirname(directory)
  return exists || above === directory ? directory : nearestExisting(above)
}
