import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { publishBody, type ApiClient } from '../support/api-client.js'
import { NodeProcess } from '../support/node-process.js'
import { Random } from '../support/random.js'
import { withClient } from './full-disk.js'
import { check, Tally, withDirectory, type PartResult, type Trials } from './part.js'

export const name = 'soak'

/** Minutes. */
export const nightlyCount = 20

const EVENTS_PER_SECOND = 1000
const BATCH = 10
const SAMPLE_MS = 1000

const CONFIG = `
storage:
  pruneInterval: 5s
eventRouting:
  routes:
    - { from: "'lane:size'", into: by-size }
    - { from: "'lane:age'", into: by-age }
    - { from: "'lane:count'", into: by-count }
  streams:
    by-size: { maxSize: 2MB }
    by-age: { maxAge: 10s }
    by-count: { maxEvents: 4000 }
`

const LANES = ['lane:size', 'lane:age', 'lane:count']

/**
 * Bytes on disk at most: limits and a block more of each stream come to 8 MB here; then half of that and 16 MiB for dead
 * blocks, 16 MiB of reserve, and logs and tables of two databases (the design's sum, section 4).
 */
const MAX_DISK_BYTES = 72 * 2 ** 20

interface Sample {
  readonly residentBytes: number
  readonly files: number
  readonly diskBytes: number
}

export function unavailable(): string | undefined {
  return undefined
}

/** `count` minutes at 1,000 events per second into streams that are pruned: memory, descriptors and disk stay flat. */
export function run({ from, count, log }: Trials): Promise<PartResult> {
  return withDirectory(name, async (work) => {
    const tally = new Tally()
    const data = join(work, 'data')
    const node = await NodeProcess.start({ data, work: join(work, 'node'), config: CONFIG })
    try {
      const samples = await withClient(node, (client) => keepPublishing(node, client, data, from, count * 60_000))
      describe(samples, tally)
      judge(samples)
      for (let minute = 0; minute < count; minute++) tally.pass()
    } catch (error) {
      log(String(error))
      tally.fail(error instanceof Error ? error.message : String(error))
    } finally {
      await node.kill()
    }
    return tally.result()
  })
}

async function keepPublishing(
  node: NodeProcess,
  client: ApiClient,
  data: string,
  seed: number,
  milliseconds: number,
): Promise<readonly Sample[]> {
  const random = new Random(seed)
  const samples: Sample[] = []
  const begin = performance.now()
  let sent = 0
  let nextSample = SAMPLE_MS
  for (let elapsed = 0; elapsed < milliseconds; elapsed = performance.now() - begin) {
    const due = (elapsed / 1000) * EVENTS_PER_SECOND
    for (; sent < due; sent += BATCH) await publishBatch(client, random, sent)
    if (elapsed >= nextSample) {
      nextSample += SAMPLE_MS
      samples.push({ residentBytes: node.residentBytes(), files: node.openFiles(), diskBytes: diskBytes(data) })
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  check(sent > (milliseconds / 1000) * EVENTS_PER_SECOND * 0.9, () => `only ${String(sent)} events were taken`)
  return samples
}

async function publishBatch(client: ApiClient, random: Random, sent: number): Promise<void> {
  const events = Array.from({ length: BATCH }, (_, index) => ({
    tags: [random.pick(LANES), `n:${String(sent % 50)}`],
    payload: JSON.stringify({ n: sent + index, text: random.bytes(110).toString('base64') }),
  }))
  const reply = await client.publishBody(publishBody(events))
  check(reply.status === 200, () => `publish: ${String(reply.status)} ${reply.body.toString().slice(0, 200)}`)
}

/** The last third against the middle third: by then everything that grows once has grown. */
function judge(samples: readonly Sample[]): void {
  const third = Math.floor(samples.length / 3)
  const middle = samples.slice(third, 2 * third)
  const last = samples.slice(2 * third)
  const peak = (list: readonly Sample[], of: (sample: Sample) => number): number => Math.max(...list.map(of))
  const memoryBefore = peak(middle, ({ residentBytes }) => residentBytes)
  const memoryAfter = peak(last, ({ residentBytes }) => residentBytes)
  check(
    memoryAfter <= memoryBefore * 1.1 + 16e6,
    () => `memory grows: ${megabytes(memoryBefore)} to ${megabytes(memoryAfter)}`,
  )
  const filesBefore = peak(middle, ({ files }) => files)
  const filesAfter = peak(last, ({ files }) => files)
  check(filesAfter <= filesBefore + 5, () => `file descriptors grow: ${String(filesBefore)} to ${String(filesAfter)}`)
  const disk = peak(samples, ({ diskBytes: bytes }) => bytes)
  check(disk <= MAX_DISK_BYTES, () => `${megabytes(disk)} on disk, limits allow ${megabytes(MAX_DISK_BYTES)}`)
}

function describe(samples: readonly Sample[], tally: Tally): void {
  const peak = (of: (sample: Sample) => number): number => Math.max(...samples.map(of))
  tally.note('peak resident MB', Math.round(peak(({ residentBytes }) => residentBytes) / 1e6))
  tally.note(
    'peak file descriptors',
    peak(({ files }) => files),
  )
  tally.note('peak MB on disk', Math.round(peak(({ diskBytes: bytes }) => bytes) / 1e6))
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`
}

function diskBytes(directory: string): number {
  try {
    return Number(
      execFileSync('du', ['-s', '--block-size=1', directory], { encoding: 'utf8', stdio: 'pipe' }).split('\t')[0],
    )
  } catch (error) {
    // A file that is deleted while it counts makes du complain; what it counted is on its output all the same.
    return Number((error as { stdout?: string }).stdout?.split('\t')[0] ?? 0)
  }
}
