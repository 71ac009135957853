import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** An event as it is published. */
export interface TaggedPayload<T = unknown> {
  readonly tags: readonly string[]
  readonly payload: T
}

export interface Flight {
  readonly date: string
  /** Minutes; negative when early. */
  readonly delay: number
  /** Miles. */
  readonly distance: number
  readonly origin: string
  readonly destination: string
}

export interface Quake {
  readonly place: string
  readonly mag: number
  /** Kilometres. */
  readonly depth: number
  /** Milliseconds since 1970. */
  readonly time: number
}

export interface Weather {
  readonly location: string
  readonly date: string
  /** Millimetres. */
  readonly precipitation: number
  /** Degrees Celsius. */
  readonly tempMax: number
  readonly tempMin: number
  readonly sky: string
}

export interface Tables {
  readonly flights: readonly TaggedPayload<Flight>[]
  readonly quakes: readonly TaggedPayload<Quake>[]
  readonly weather: readonly TaggedPayload<Weather>[]
}

/** A flight that is later than this many minutes is tagged `late`. */
const LATE_MINUTES = 15

/** The tables of the npm package `vega-datasets`: real, public, and small enough to ship. */
export async function loadTables(): Promise<Tables> {
  const folder = join(dirname(fileURLToPath(import.meta.resolve('vega-datasets'))), '../data')
  const read = (name: string): Promise<string> => readFile(join(folder, name), 'utf8')
  const [flights, quakes, weather] = await Promise.all([
    read('flights-10k.json'),
    read('earthquakes.json'),
    read('weather.csv'),
  ])
  return {
    flights: (JSON.parse(flights) as Flight[]).map(flightEvent),
    quakes: (JSON.parse(quakes) as { features: QuakeFeature[] }).features.flatMap(quakeEvent).reverse(),
    weather: weather.trim().split('\n').slice(1).map(weatherEvent),
  }
}

function flightEvent(flight: Flight): TaggedPayload<Flight> {
  const late = flight.delay > LATE_MINUTES ? ['late'] : []
  return { tags: ['flight', `from:${flight.origin}`, `to:${flight.destination}`, ...late], payload: flight }
}

interface QuakeFeature {
  readonly properties: {
    readonly mag: number | null
    readonly place: string
    readonly time: number
    readonly net: string
  }
  readonly geometry: { readonly coordinates: readonly number[] }
}

/** The table has the newest first, and some without a magnitude, which are left out. */
function quakeEvent({ properties, geometry }: QuakeFeature): TaggedPayload<Quake>[] {
  const { mag, place, time, net } = properties
  if (mag === null) return []
  return [{ tags: ['quake', `net:${net}`], payload: { place, mag, depth: geometry.coordinates[2] ?? 0, time } }]
}

function weatherEvent(line: string): TaggedPayload<Weather> {
  const [location = '', date = '', precipitation, tempMax, tempMin, , sky = ''] = line.trim().split(',')
  return {
    tags: ['weather', `city:${location}`, `sky:${sky}`],
    payload: {
      location,
      date,
      precipitation: Number(precipitation),
      tempMax: Number(tempMax),
      tempMin: Number(tempMin),
      sky,
    },
  }
}
