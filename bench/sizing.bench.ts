import { createHash } from 'node:crypto'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { residentBytes } from '../test/support/node-process.js'
import { attempt, type Bench, type BenchContext } from './context.js'
import { diskBytes, diskSettled } from './disk-size.js'
import { benchEvent } from './events.js'
import { median, spreadPercent } from './measure.js'
import { millracePair } from './pairs/millrace-pair.js'
import { millrace, MillraceSession } from './peers/millrace.js'
import { cpuMs, wireBytes } from './process-figures.js'
import { environment, markdownTable } from './report.js'

/** Events per second, and how many of them come in one request: apps that have many send them together. */
const LOADS = [
  [0, 1],
  [10, 1],
  [100, 1],
  [1000, 10],
  [5000, 50],
] as const

/** How long a load goes on before it is measured, and while it is, in lengths of a run. */
const WARM_UP = 2
const MEASURED = 5

/** Bytes of payload. */
const SIZES = [50, 200, 1000] as const
const FILL = 500

/** What payloads are like: what a machine tells, much the same each time, or text that no codec makes much smaller. */
const KINDS = { record: 'records', noise: 'noise' } as const
type Kind = keyof typeof KINDS

/** The part of the page that is made here. */
const PAGE = 'docs/sizing.md'
const BEGIN = '<!-- figures: made by npm run bench -- sizing --docs -->'
const END = '<!-- end of figures -->'

/** What machine a node needs: processor and memory by rate, alone and with another node, and disk by size of payload. */
export const bench: Bench = {
  name: 'sizing',
  async run(context) {
    if (!context.wants('millrace')) return
    const figures = new Figures(context)
    for (const load of LOADS) {
      for (let run = 0; run < context.runs; run++) {
        await attempt(context, millrace(), () => measureAlone(figures, load))
        await attempt(context, millrace(), () => measurePair(figures, load))
      }
    }
    for (const size of SIZES) {
      await attempt(context, millrace(), () => measureDisk(figures, size, 'record'))
      await attempt(context, millrace(), () => measureDisk(figures, size, 'noise'))
    }
    figures.report()
    const page = readFileSync(PAGE, 'utf8')
    const text = `${page.slice(0, page.indexOf(BEGIN) + BEGIN.length)}\n\n${figures.text()}\n\n${page.slice(page.indexOf(END))}`
    context.document(PAGE, text)
  },
}

type Load = (typeof LOADS)[number]

/** Values of all runs by what was measured. */
class Figures {
  readonly context: BenchContext
  readonly #values = new Map<string, { readonly unit: string; readonly values: number[] }>()

  constructor(context: BenchContext) {
    this.context = context
  }

  add(work: string, unit: string, value: number): void {
    const { values } = this.#values.get(work) ?? { values: [] }
    this.#values.set(work, { unit, values: [...values, value] })
  }

  report(): void {
    for (const [work, { unit, values }] of this.#values) {
      this.context.report({ work: `sizing: ${work}`, system: 'millrace', unit, better: 'lower', values })
    }
  }

  text(): string {
    const where = environment()
    const { runs, seconds, events } = this.context
    return [
      `${where.date}, commit ${where.commit}, ${String(where.cores)} × ${where.cpu}, Node ${where.node}. Medians of ${String(runs)} runs of ` +
        `${String(seconds * MEASURED)} s, ± half the distance from least to most.`,
      loadTables(this),
      `Bytes of disk per event, ${diskCounts(events)} of them:\n\n${diskTable(this)}`,
    ].join('\n\n')
  }

  /** Median and spread. */
  cell(work: string): string {
    const values = this.#values.get(work)?.values ?? []
    if (values.length === 0) return '–'
    const middle = median(values)
    const text = middle >= 100 ? Math.round(middle).toLocaleString('en-US') : middle.toFixed(middle >= 10 ? 0 : 1)
    return values.length === 1 ? text : `${text} ±${spreadPercent(values).toFixed(0)} %`
  }
}

function loadTables(figures: Figures): string {
  const rows = (whats: readonly string[]): string[][] =>
    LOADS.map(([rate, size]) => [
      rate.toLocaleString('en-US'),
      String(rate / size),
      ...whats.map((what) => figures.cell(workOf(rate, what))),
    ])
  const alone = markdownTable(
    ['events/s', 'requests/s', 'CPU, % of a core', 'memory, MB'],
    rows(['CPU, alone', 'memory, alone']),
  )
  const pair = markdownTable(
    [
      'events/s',
      'requests/s',
      'owner: CPU, %',
      'memory, MB',
      'second node: CPU, %',
      'memory, MB',
      'between both, kB/s',
    ],
    rows(['CPU, owner', 'memory, owner', 'CPU, second node', 'memory, second node', 'between both']),
  )
  return `A node alone:\n\n${alone}\n\nThe same with a second node that holds a copy:\n\n${pair}`
}

function diskTable(figures: Figures): string {
  const rows = SIZES.map((size) => [
    String(size),
    ...(['record', 'noise'] as const).flatMap((kind) => [
      figures.cell(`${KINDS[kind]} of ${String(size)} bytes: stored`),
      figures.cell(`${KINDS[kind]} of ${String(size)} bytes: files`),
    ]),
  ])
  return markdownTable(['payload, bytes', 'records: stored', 'files', 'noise: stored', 'files'], rows)
}

function diskCounts(events: number): string {
  return SIZES.map((size) => diskEvents(events, size).toLocaleString('en-US')).join(', ')
}

function workOf(rate: number, what: string): string {
  return `${rate.toLocaleString('en-US')} events/s: ${what}`
}

async function measureAlone(figures: Figures, load: Load): Promise<void> {
  const { directory } = figures.context
  const session = await MillraceSession.start(join(directory, 'alone', 'data'))
  try {
    const { cpu } = await measureLoad(figures, session, [session.pid], load)
    const [rate] = load
    figures.add(workOf(rate, 'CPU, alone'), '% of a core', cpu[0] ?? NaN)
    figures.add(workOf(rate, 'memory, alone'), 'MB', residentBytes(session.pid) / 1e6)
  } finally {
    await session.stop()
    rmSync(join(directory, 'alone'), { recursive: true, force: true })
  }
}

async function measurePair(figures: Figures, load: Load): Promise<void> {
  const { directory } = figures.context
  const pair = await millracePair.start(join(directory, 'first'))
  try {
    const { session: second, ports } = await pair.join(join(directory, 'second'))
    try {
      const pids = [pair.first.pid, second.pid]
      let bytes = 0
      const traffic = async (): Promise<number> => wireBytes(second.pid, ports)
      const { cpu, seconds } = await measureLoad(figures, pair.first, pids, load, async (isEnd) => {
        bytes = isEnd ? (await traffic()) - bytes : await traffic()
      })
      const [rate] = load
      figures.add(workOf(rate, 'CPU, owner'), '% of a core', cpu[0] ?? NaN)
      figures.add(workOf(rate, 'memory, owner'), 'MB', residentBytes(pair.first.pid) / 1e6)
      figures.add(workOf(rate, 'CPU, second node'), '% of a core', cpu[1] ?? NaN)
      figures.add(workOf(rate, 'memory, second node'), 'MB', residentBytes(second.pid) / 1e6)
      figures.add(workOf(rate, 'between both'), 'kB/s', bytes / 1000 / seconds)
    } finally {
      await second.stop()
    }
  } finally {
    await pair.stop()
    for (const name of ['first', 'second']) rmSync(join(directory, name), { recursive: true, force: true })
  }
}

interface LoadFigures {
  /** Of each process, percent of a core. */
  readonly cpu: readonly number[]
  /** How long was measured. */
  readonly seconds: number
}

/** What must be taken of the rate for a run to count: what a busy machine left out would be missing from all figures. */
const LEAST_SHARE = 0.95

/** @param mark called when the measurement begins and when it ends */
async function measureLoad(
  { context }: Figures,
  target: { publisher(): ReturnType<MillraceSession['publisher']> },
  pids: readonly number[],
  [rate, size]: Load,
  mark: (isEnd: boolean) => Promise<void> = () => Promise.resolve(),
): Promise<LoadFigures> {
  const publisher = await target.publisher()
  let next = 0
  /** Sends what is due, one request after the other; who is late sends without pause. @returns the share that was sent */
  const publishFor = async (seconds: number): Promise<number> => {
    const begin = performance.now()
    const requests = Math.round((rate / size) * seconds)
    let sent = 0
    for (; sent < requests && performance.now() - begin < seconds * 1000; sent++) {
      const wait = begin + (sent * 1000 * size) / rate - performance.now()
      if (wait > 0) await delay(wait)
      await publisher.publish(next++ * size, size)
    }
    await delay(Math.max(0, begin + seconds * 1000 - performance.now()))
    return requests === 0 ? 1 : sent / requests
  }
  await publishFor(context.seconds * WARM_UP)
  await mark(false)
  const before = pids.map(cpuMs)
  const began = performance.now()
  const share = await publishFor(context.seconds * MEASURED)
  const seconds = (performance.now() - began) / 1000
  const cpu = pids.map((pid, at) => (cpuMs(pid) - (before[at] ?? 0)) / seconds / 10)
  await mark(true)
  publisher.close()
  if (share < LEAST_SHARE) {
    throw new Error(
      `only ${(share * 100).toFixed(0)} % of ${String(rate)} events a second were taken: the machine is busy`,
    )
  }
  return { cpu, seconds }
}

async function measureDisk(figures: Figures, size: number, kind: Kind): Promise<void> {
  const { directory, events } = figures.context
  const data = join(directory, 'disk', 'data')
  const session = await MillraceSession.start(data)
  const client = await session.client()
  try {
    await diskSettled(data)
    const empty = diskBytes(data)
    const count = diskEvents(events, size)
    for (let from = 0; from < count; from += FILL) {
      const lines = Array.from(
        { length: FILL },
        (_, at) =>
          `{"tags":["machine","machine:${String((from + at) % 24)}"],"payload":${payloadOf(from + at, size, kind)}}`,
      )
      const reply = await client.publishBody(`{"data":[${lines.join(',')}]}`)
      if (reply.status !== 200) throw new Error(`publish: ${String(reply.status)}`)
    }
    await diskSettled(data)
    const work = (what: string): string => `${KINDS[kind]} of ${String(size)} bytes: ${what}`
    figures.add(work('stored'), 'bytes/event', (await storedBytes(client)) / count)
    figures.add(work('files'), 'bytes/event', (diskBytes(data) - empty) / count)
  } finally {
    client.close()
    await session.stop()
    rmSync(join(directory, 'disk'), { recursive: true, force: true })
  }
}

/** More of small ones: the first megabytes of a store say little about the others. */
function diskEvents(events: number, size: number): number {
  return Math.ceil((events * 20) / size / FILL) * FILL
}

async function storedBytes(client: Awaited<ReturnType<MillraceSession['client']>>): Promise<number> {
  const { body } = await client.get('/api/millrace/v1/streams')
  const { streams } = JSON.parse(body.toString()) as { streams: { storedBytes: number }[] }
  return streams.reduce((sum, stream) => sum + stream.storedBytes, 0)
}

/** JSON of about that size. */
function payloadOf(number: number, size: number, kind: Kind): string {
  const begin = `{"n":${String(number)}`
  if (kind === 'noise') return `${begin},"noise":"${noise(number, size - begin.length - 12)}"}`
  const { payload } = benchEvent(number)
  if (size < payload.length / 2)
    return `${begin},"machine":"press-${String(number % 24)}","celsius":${celsius(payload)}}`
  const readings = Array.from(
    { length: Math.round(size / payload.length) },
    (_, at) => benchEvent(number * 7 + at).payload,
  )
  return readings.length === 1 ? payload : `${begin},"readings":[${readings.join(',')}]}`
}

function celsius(payload: string): string {
  return /"temperature":([\d.]+)/.exec(payload)?.[1] ?? '0'
}

function noise(number: number, length: number): string {
  let text = ''
  for (let part = 0; text.length < length; part++) {
    text += createHash('sha256')
      .update(`${String(number)}/${String(part)}`)
      .digest('base64url')
  }
  return text.slice(0, length)
}
