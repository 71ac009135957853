// Publishes readings, asks for the warm ones, and follows what comes. Argument: URL of the node.
import { Client, fetchTransport } from 'millrace/client'

interface Reading {
  readonly celsius: number
}

const [url = 'http://127.0.0.1:4454'] = process.argv.slice(2)

const client = new Client(fetchTransport(url), {
  appId: 'com.example.readings',
  displayName: 'Readings',
  version: '1.0.0',
})

const published = await client.publish([
  { tags: ['reading', 'reading:hall'], payload: { celsius: 21.5 } },
  { tags: ['reading', 'reading:oven'], payloadText: '{"celsius": 240.50}' },
])
for (const { stream, offset } of published) console.log(`stored as ${stream}/${String(offset)}`)

for await (const line of client.query<Reading>("FROM 'reading' FILTER _.celsius > 100", { order: 'desc' })) {
  if (line.type === 'event') console.log(`warm: ${String(line.payload.celsius)}, ${line.tags.join(' ')}`)
  if (line.type === 'diagnostic') console.log(`left out: ${line.message}`)
}

for await (const line of client.subscribe<Reading>("FROM 'reading'")) {
  if (line.type === 'event') console.log(`reading: ${String(line.payload.celsius)}`)
  // Everything that is stored has come. Without this line the loop goes on with new events, as they come, for ever.
  if (line.type === 'offsets') break
}

client.close()
