// Flights, earthquakes and weather as events: published, routed into one permanent and two ephemeral streams, pruned on
// the way, queried, and followed live. Run it with `npm run example`; `-- --json` prints the figures alone.
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { App, type StreamRow } from './app.js'
import { startNode } from './node-process.js'
import { loadTables, type TaggedPayload } from './tables.js'

/** Flights later than this are told at once, minutes. */
const ALARM_MINUTES = 180
const AIRPORTS = ['ORD', 'LAX', 'SEA']
const EVENTS_PER_REQUEST = 100
/** As in real-data.yml. */
const EVENTS_PER_BLOCK = 256

const config = fileURLToPath(new URL('../../examples/real-data.yml', import.meta.url))
const asJson = process.argv.includes('--json')
const say = (text: string): void => {
  if (!asJson) console.log(text)
}

const node = await startNode(config)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void node.stop().finally(() => process.exit(1))
  })
}
try {
  const figures = await run(await App.connect(node.url))
  if (asJson) console.log(JSON.stringify(figures))
} finally {
  await node.stop()
}

async function run(app: App): Promise<object> {
  say(`A node runs at ${node.url}`)
  const { flights, quakes, weather } = await loadTables()

  const following = new AbortController()
  const alarms: unknown[] = []
  const followed = follow(app, alarms, following.signal)

  const started = performance.now()
  await Promise.all([flights, quakes, weather].map((events) => publish(app, events)))
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  const count = flights.length + quakes.length + weather.length
  say(`Published ${String(count)} events in ${seconds} s, ${String(EVENTS_PER_REQUEST)} per request`)

  const streams = await pruned(app, count)
  say('\nStreams, after the node has forgotten what lies outside the limits:')
  for (const { name, events, nextOffset, blocks } of streams) {
    say(
      `  ${(name ?? '').padEnd(8)} ${String(nextOffset).padStart(6)} published ${String(events).padStart(6)} kept, ${String(blocks)} blocks`,
    )
  }

  const airports = await askAirports(app)
  const quakesKept = await askQuakes(app)
  const rainDays = await askWeather(app)

  const wanted = await app.aggregate<number>(
    `FEATURES(aggregate) FROM 'flight' FILTER _.delay > ${String(ALARM_MINUTES)} AGGREGATE SUM(1)`,
  )
  while (alarms.length < wanted) await wait(20)
  following.abort()
  await followed
  say(
    `\nThe live subscription told of ${String(alarms.length)} flights more than ${String(ALARM_MINUTES)} minutes late, the last:`,
  )
  say(`  ${JSON.stringify(alarms.at(-1))}`)

  return { streams: Object.fromEntries(streams.map(keptOf)), airports, quakesKept, rainDays, alarms: alarms.length }
}

async function publish(app: App, events: readonly TaggedPayload[]): Promise<void> {
  for (let from = 0; from < events.length; from += EVENTS_PER_REQUEST) {
    await app.publish(events.slice(from, from + EVENTS_PER_REQUEST))
  }
}

async function follow(app: App, alarms: unknown[], signal: AbortSignal): Promise<void> {
  const query = `FROM 'flight' & 'late' FILTER _.delay > ${String(ALARM_MINUTES)} SELECT { from: _.origin, to: _.destination, delay: _.delay }`
  for await (const row of app.subscribe(query, signal)) {
    if (row.type === 'event') alarms.push(row.payload)
  }
}

/** The routed streams as soon as everything is in, full blocks are sealed and there is nothing more to prune. */
async function pruned(app: App, published: number): Promise<readonly StreamRow[]> {
  for (;;) {
    const streams = (await app.streams()).filter(({ name }) => name !== 'default')
    const stored = streams.reduce((sum, { nextOffset }) => sum + nextOffset, 0)
    const settled = streams.every(
      ({ nextPrune, tailEvents }) => nextPrune.blocks === 0 && tailEvents < EVENTS_PER_BLOCK,
    )
    if (stored === published && settled) return streams
    await wait(100)
  }
}

function keptOf({ name, events, nextOffset }: StreamRow): [string, object] {
  return [name ?? '', { published: nextOffset, kept: events }]
}

async function askAirports(app: App): Promise<object> {
  const figures: Record<string, object> = {}
  say('\nDepartures (AGGREGATE over the flights of one airport):')
  for (const airport of AIRPORTS) {
    const figure = await app.aggregate<{ flights: number; delay: number; worst: number }>(
      `FEATURES(aggregate) FROM 'flight' & 'from:${airport}'
       AGGREGATE { flights: SUM(1), delay: SUM(_.delay), worst: MAX(_.delay) }`,
    )
    const mean = (figure.delay / figure.flights).toFixed(1)
    say(
      `  ${airport} ${String(figure.flights).padStart(5)} flights, ${mean} minutes late on average, ${String(figure.worst)} at worst`,
    )
    figures[airport] = figure
  }
  return figures
}

async function askQuakes(app: App): Promise<object> {
  const figures = await app.aggregate<{ count: number; strongest: number; first: string }>(
    `FEATURES(aggregate) FROM 'quake'
     AGGREGATE { count: SUM(1), strongest: MAX(_.mag), first: FIRST(_.place) }`,
  )
  say(
    `\nOf the earthquakes ${String(figures.count)} are left, the strongest of magnitude ${String(figures.strongest)},`,
  )
  say(`  beginning with the one ${figures.first}`)
  return figures
}

/** Events that the query makes are counted here; the ones it reads may be any number more. */
async function askWeather(app: App): Promise<number> {
  const rows = await app.query("FROM 'weather' & 'sky:rain' FILTER _.precipitation > 10 SELECT _.date")
  const days = rows.filter(({ type }) => type === 'event').length
  say(`Days with more than 10 mm of rain that are still remembered: ${String(days)}`)
  return days
}
