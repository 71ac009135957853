// Child program of read.bench.ts: reads everything again and again over some connections until it is told to stop, then
// answers with the events per second that it saw.
import { ApiClient } from '../test/support/api-client.js'

const [port, token, scans] = process.argv.slice(2)
let lines = 0
const begin = performance.now()

async function scanForEver(): Promise<void> {
  const client = await ApiClient.open(Number(port), token)
  for (;;) {
    await client.queryInto('FROM allEvents', 'asc', (chunk) => {
      // Sampled: counting each line of gigabytes would take the processor away from the node.
      lines += chunk.length
    })
  }
}

for (let scan = 0; scan < Number(scans); scan++) void scanForEver()
process.send?.('started')
process.once('message', () => {
  /** Bytes of one event line of this bench, about. */
  const lineBytes = 385
  process.send?.(Math.round((lines / lineBytes / (performance.now() - begin)) * 1000), () => process.exit(0))
})
