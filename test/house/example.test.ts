import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'

/** The tables are read here without the example's own code, so that a fault there shows. */
const data = new URL('../data/', import.meta.resolve('vega-datasets'))
const read = (name: string): Promise<string> => readFile(new URL(name, data), 'utf8')

interface FlightRow {
  readonly origin: string
  readonly delay: number
}

t.test('the example with real data finds out what the tables say', async (t) => {
  const program = fileURLToPath(new URL('../../examples/real-data.js', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [program, '--json'], { timeout: 60_000 })
  const figures = JSON.parse(stdout) as Record<string, any>

  const flights = JSON.parse(await read('flights-10k.json')) as FlightRow[]
  for (const airport of ['ORD', 'LAX', 'SEA']) {
    const delays = flights.filter(({ origin }) => origin === airport).map(({ delay }) => delay)
    t.same(figures['airports'][airport], {
      flights: delays.length,
      delay: delays.reduce((sum, delay) => sum + delay, 0),
      worst: Math.max(...delays),
    })
  }
  t.equal(figures['alarms'], flights.filter(({ delay }) => delay > 180).length, 'the live subscription missed none')

  const features = JSON.parse(await read('earthquakes.json')).features as {
    properties: { mag: number; place: string }
  }[]
  const quakes = features.map(({ properties }) => properties).filter(({ mag }) => typeof mag === 'number')
  const weather = (await read('weather.csv')).trim().split('\n').slice(1)
  const streams = figures['streams'] as Record<string, { published: number; kept: number }>
  t.same(streams['flights'], { published: flights.length, kept: flights.length }, 'a permanent stream keeps all')
  t.match(streams, { quakes: { published: quakes.length }, weather: { published: weather.length } })

  const { kept } = streams['quakes']!
  t.ok(kept >= 500 && kept < 500 + 2 * 256, 'the limit, and at most one block and the unsealed events more')
  const left = quakes.slice(0, kept)
  t.same(figures['quakesKept'], {
    count: kept,
    strongest: Math.max(...left.map(({ mag }) => mag)),
    first: left.at(-1)!.place,
  })

  const daysKept = weather.slice(-streams['weather']!.kept).map((line) => line.split(','))
  t.ok(daysKept.length < weather.length, 'some of the weather is forgotten')
  const rainy = daysKept.filter(
    ([, , precipitation, , , , sky]) => sky?.trim() === 'rain' && Number(precipitation) > 10,
  )
  t.equal(figures['rainDays'], rainy.length)
})
