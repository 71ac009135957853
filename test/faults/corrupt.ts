import { cpSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { ApiClient, Refusal, type Delivered, type QueryResult } from '../support/api-client.js'
import { describeExit, NodeProcess, StartFailure, type NodeProcessOptions } from '../support/node-process.js'
import { Random } from '../support/random.js'
import { CONFIG } from './kill.js'
import { check, reasonOf, runTrials, type Tally, withDirectory, type PartResult, type Trials } from './part.js'

export const name = 'corrupt'

export const nightlyCount = 2_000

const LANES = ['lane:default', 'lane:orders', 'lane:readings']

/** Exit codes with which a start may be refused because of damage: data directory unusable. */
const REFUSED = 73

const QUERIES = [
  { query: 'FROM allEvents', order: 'asc', matches: () => true },
  { query: 'FROM allEvents', order: 'desc', matches: () => true },
  { query: "FROM 'tenth'", order: 'asc', matches: (event: Delivered) => event.tags.includes('tenth') },
  { query: "FROM 'lane:orders' & 'tenth'", order: 'desc', matches: (event: Delivered) => isTenthOrder(event) },
] as const

function isTenthOrder({ tags }: Delivered): boolean {
  return tags.includes('tenth') && tags.includes('lane:orders')
}

/** The undamaged directory and every line that it serves. */
interface Original {
  readonly data: string
  readonly truth: ReadonlyMap<string, Delivered>
  /** Line text by `stream/offset`. */
  readonly lines: ReadonlyMap<string, string>
  readonly next: ReadonlyMap<string, number>
}

export function unavailable(): string | undefined {
  return undefined
}

/**
 * One fault in the files of a stopped node: a flipped bit, a cut, 4 KiB of zeros, a missing file. The node may refuse to
 * start and say why; or it serves right data; or it says with each answer, or on `/ready`, that something is missing.
 */
export function run(trials: Trials): Promise<PartResult> {
  return withDirectory('corrupt', async (work) => {
    const original = await makeOriginal(work)
    return runTrials(trials, (number, tally) => runTrial(work, original, number, tally))
  })
}

async function makeOriginal(work: string): Promise<Original> {
  const data = join(work, 'original')
  const options = { data, work: join(work, 'node'), config: CONFIG }
  // Two lives, so that the logs of LevelDB have become tables once and begun anew.
  await fill(options, 0, 900)
  await fill(options, 900, 1500)
  const node = await NodeProcess.start(options)
  const client = await ApiClient.open(node.port)
  const { lines } = await client.query('FROM allEvents')
  client.close()
  await node.stop()
  const events = lines.map((line) => JSON.parse(line) as Delivered)
  const next = new Map<string, number>()
  for (const { stream, offset } of events) next.set(stream, offset + 1)
  return {
    data,
    truth: new Map(events.map((event) => [placeOf(event), event])),
    lines: new Map(events.map((event, index) => [placeOf(event), lines[index] ?? ''])),
    next,
  }
}

function placeOf({ stream, offset }: { readonly stream: string; readonly offset: number }): string {
  return `${stream}/${String(offset)}`
}

async function fill(options: NodeProcessOptions, from: number, to: number): Promise<void> {
  const random = new Random(from)
  const node = await NodeProcess.start(options)
  const client = await ApiClient.open(node.port)
  let id = from
  while (id < to) {
    const size = Math.min(to - id, random.pick([1, 1, 3, 10, 60]))
    const events = Array.from({ length: size }, () => {
      const tags = [random.pick(LANES), ...(id % 10 === 0 ? ['tenth'] : [])]
      return {
        tags,
        payload: JSON.stringify({ id: id++, text: random.bytes(30 + random.below(120)).toString('base64') }),
      }
    })
    await client.publish(events)
  }
  client.close()
  await node.stop()
}

async function runTrial(work: string, original: Original, number: number, tally: Tally): Promise<void> {
  const data = join(work, 'damaged')
  rmSync(data, { recursive: true, force: true })
  cpSync(original.data, data, { recursive: true, preserveTimestamps: true })
  const fault = damage(data, new Random(number))
  try {
    // Twice: what the first start writes must not hide the damage from the second.
    const options = { data, work: join(work, 'node'), config: CONFIG }
    const first = await judgeStart(options, original, false)
    const second = await judgeStart(options, original, true)
    tally.note(first)
    check(second === first, () => `first start: ${first}, second start: ${second}`)
  } catch (error) {
    throw new Error(`${fault}: ${reasonOf(error)}`, { cause: error })
  }
}

/** @returns what was done, in words */
function damage(directory: string, random: Random): string {
  const files = listFiles(directory).filter((file) => statSync(file).size > 0)
  const file = random.pick(files)
  const shown = relative(directory, file)
  const size = statSync(file).size
  const kind = random.pick(['flip', 'flip', 'flip', 'cut', 'zero', 'missing'])
  if (kind === 'missing') {
    rmSync(file)
    return `removed ${shown}`
  }
  const at = random.below(size)
  if (kind === 'cut') {
    truncateSync(file, at)
    return `cut ${shown} from ${String(size)} to ${String(at)} bytes`
  }
  const bytes = readFileSync(file)
  if (kind === 'zero') {
    bytes.fill(0, at, Math.min(size, at + 4096))
    writeFileSync(file, bytes)
    return `zeroed up to 4096 bytes of ${shown} (${String(size)}) from ${String(at)}`
  }
  const bit = random.below(8)
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at)
  writeFileSync(file, bytes)
  return `flipped bit ${String(bit)} of byte ${String(at)} of ${shown} (${String(size)})`
}

function listFiles(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
}

type Outcome = 'refused to start' | 'served all' | 'served less and said so'

async function judgeStart(options: NodeProcessOptions, original: Original, publish: boolean): Promise<Outcome> {
  let node
  try {
    node = await NodeProcess.start(options)
  } catch (error) {
    if (!(error instanceof StartFailure) || error.exit === undefined) throw error
    const { exit, output } = error
    check(exit.code === REFUSED, () => `${describeExit(exit)} instead of ${String(REFUSED)}: ${output.slice(-400)}`)
    check(output.trim() !== '', () => 'refused to start without a word')
    return 'refused to start'
  }
  try {
    const outcome = await judgeAnswers(node, original, publish)
    check(node.running, () => `the process died: ${node.output.slice(-400)}`)
    return outcome
  } finally {
    await node.kill()
  }
}

async function judgeAnswers(node: NodeProcess, original: Original, publish: boolean): Promise<Outcome> {
  const client = await ApiClient.open(node.port)
  try {
    const ready = await client.get('/ready')
    const announced = ready.status !== 200
    let complete = true
    for (const { query, order, matches } of QUERIES) {
      const answer = await client.query(query, order)
      const expected = [...original.truth.values()].filter(matches).length
      if (judgeAnswer(answer, expected, original, `${query} ${order}`, announced) === 'less') complete = false
    }
    if (publish) await judgePublish(client, original, announced)
    return complete && !announced ? 'served all' : 'served less and said so'
  } finally {
    client.close()
  }
}

function judgeAnswer(
  answer: QueryResult,
  expected: number,
  original: Original,
  what: string,
  announced: boolean,
): 'all' | 'less' {
  const seen = new Set<string>()
  for (const line of answer.lines) {
    const place = placeOf(parseEvent(line, what))
    check(original.lines.get(place) === line, () => `${what}: wrong data served for ${place}: ${line.slice(0, 200)}`)
    check(!seen.has(place), () => `${what}: ${place} served twice`)
    seen.add(place)
  }
  if (answer.status !== 200 || answer.diagnostics.some(({ severity }) => severity === 'error')) return 'less'
  if (seen.size === expected) return 'all'
  check(announced, () => `${what}: ${String(seen.size)} of ${String(expected)} events, told as complete`)
  return 'less'
}

function parseEvent(line: string, what: string): Delivered {
  try {
    return JSON.parse(line) as Delivered
  } catch {
    throw new Error(`${what}: a line that is no JSON: ${line.slice(0, 200)}`)
  }
}

/** An offset that was acknowledged before the fault must never be given away again. */
async function judgePublish(client: ApiClient, original: Original, announced: boolean): Promise<void> {
  for (const lane of LANES) {
    try {
      const [receipt] = await client.publish([{ tags: [lane], payload: '"after"' }])
      if (receipt === undefined) throw new Error('publish was answered without a receipt')
      const next = original.next.get(receipt.stream)
      check(
        next === undefined || receipt.offset >= next,
        () => `offset ${String(receipt.offset)} of ${receipt.stream} given away again`,
      )
      check(next !== undefined, () => `${lane} went to the new stream ${receipt.stream}`)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      check(error.status === 503, () => `publish refused with ${error.message}`)
      check(announced, () => `publish refused although /ready says all is well: ${error.message}`)
    }
  }
}
