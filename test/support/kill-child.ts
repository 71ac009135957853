/**
 * A process that publishes into a store until it is killed. It writes one line per acknowledged request to its output:
 * the request's number and the publications. Arguments: data directory, number of the first request.
 */
import { writeSync } from 'node:fs'
import { KEEP_EVERYTHING } from '../../storage/index.js'
import { event, openTestStore, publish } from './store.js'

const [path = '', first = '0'] = process.argv.slice(2)
const { store } = await openTestStore(path)
await store.registerStreams(['default', 'x', 'short'])
store.setRetention(new Map([['short', { ...KEEP_EVERYTHING, maxEvents: 20 }]]))
let next = Number(first)

async function publisher(): Promise<void> {
  for (;;) {
    const request = next++
    const events = Array.from({ length: 1 + (request % 12) }, (_, at) =>
      event({ request, at }, ['a'], (request + at) % 3),
    )
    const publications = await publish(store, events)
    writeSync(1, `${JSON.stringify({ request, publications })}\n`)
  }
}

await Promise.all([publisher(), publisher(), publisher()])
