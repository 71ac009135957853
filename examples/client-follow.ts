// Follows readings, and after a restart goes on where it was. Arguments: Unix socket of the node, file for the progress.
import { readFile, writeFile } from 'node:fs/promises'
import { Client, type Offsets } from 'millrace/client'
import { nodeTransport } from 'millrace/client/node'

interface Reading {
  readonly celsius: number
}

const [socketPath = 'millrace-data/api.sock', file = 'readings.progress'] = process.argv.slice(2)

const client = new Client(nodeTransport({ socketPath }), {
  appId: 'com.example.follower',
  displayName: 'Follower of readings',
  version: '1.0.0',
})

const stop = new AbortController()
process.once('SIGINT', () => {
  stop.abort()
})

const progress = await readFile(file, 'utf8').catch(() => '{}')
const subscription = client.subscribe<Reading>("FROM 'reading'", {
  lowerBound: JSON.parse(progress) as Offsets,
  signal: stop.signal,
  onState: (state) => {
    if (state.state === 'waiting') console.log(`${state.error.message}; again in ${String(state.retryInMs)} ms`)
    else console.log(state.state)
  },
})
for await (const line of subscription) {
  if (line.type === 'event') console.log(`reading: ${String(line.payload.celsius)}`)
  // Saved when the line is dealt with: what was not is delivered again to the next run.
  await writeFile(file, JSON.stringify(subscription.offsets))
}

client.close()
