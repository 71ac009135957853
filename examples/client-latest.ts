// Keeps the latest reading of each place, in the order in which all nodes see the events. Argument: URL of the node.
import { Client, fetchTransport } from 'millrace/client'

interface Reading {
  readonly place: string
  readonly celsius: number
}

const [url = 'http://127.0.0.1:4454'] = process.argv.slice(2)
const stop = new AbortController()
process.once('SIGINT', () => {
  stop.abort()
})

// In a browser, subscriptions and publishes can share one WebSocket instead of taking a connection each.
const client = new Client(fetchTransport(url, { webSocket: true }), {
  appId: 'com.example.latest',
  displayName: 'Latest readings',
  version: '1.0.0',
})

while (!stop.signal.aborted) {
  const latest = new Map<string, number>()
  for await (const line of client.subscribeMonotonic<Reading>("FROM 'latest'", { signal: stop.signal })) {
    if (line.type === 'event') latest.set(line.payload.place, line.payload.celsius)
    const isCaughtUp = line.type === 'offsets' || (line.type === 'event' && line.caughtUp)
    if (isCaughtUp) console.log(JSON.stringify(Object.fromEntries(latest)))
  }
  // Ended by the signal, or by the event of a node that was away and belongs before others: then all is folded again.
}

client.close()
