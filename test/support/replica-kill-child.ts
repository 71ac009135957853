/**
 * A process with two stores that publish and copy from each other until it is killed. It writes one line per acknowledged
 * request to its output: which store, and the publications. Arguments: the two data directories.
 */
import { writeSync } from 'node:fs'
import { KEEP_EVERYTHING, type Store } from '../../storage/index.js'
import { pull } from './replica.js'
import { event, openTestStore, publish } from './store.js'

const stores: Store[] = []
for (const path of process.argv.slice(2)) {
  const { store } = await openTestStore(path)
  await store.registerStreams(['default', 'x', 'short'])
  store.setRetention(new Map([['short', { ...KEEP_EVERYTHING, maxEvents: 40 }]]))
  stores.push(store)
}

async function publisher(store: Store, at: number): Promise<void> {
  for (let request = 0; ; request++) {
    const events = Array.from({ length: 1 + (request % 12) }, (_, index) => event({ index }, ['a'], request % 3))
    writeSync(1, `${JSON.stringify({ at, publications: await publish(store, events) })}\n`)
  }
}

async function copier(from: Store, to: Store): Promise<void> {
  for (;;) {
    await pull(from, to, 5000)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const [one, other] = stores
if (one === undefined || other === undefined) throw new Error('two directories are needed')
await Promise.all([publisher(one, 0), publisher(other, 1), copier(one, other), copier(other, one)])
