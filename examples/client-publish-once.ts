// Publishes an order exactly once, whatever happens to the node meanwhile. Arguments: URL of the node, id of the order.
import { setTimeout as wait } from 'node:timers/promises'
import { Client, fetchTransport, NodeUnreachableError, OutcomeUnknownError } from 'millrace/client'

const [url = 'http://127.0.0.1:4454', id = '1'] = process.argv.slice(2)

const client = new Client(fetchTransport(url), {
  appId: 'com.example.orders',
  displayName: 'Orders',
  version: '1.0.0',
})

async function publishOnce(tag: string, payload: unknown): Promise<void> {
  let isUnsure = false
  for (;;) {
    try {
      if (isUnsure && (await isStored(tag))) return
      isUnsure = false
      await client.publish([{ tags: ['order', tag], payload }])
      return
    } catch (error) {
      // Refusals, for example, do not pass by themselves.
      if (!(error instanceof NodeUnreachableError)) throw error
      isUnsure ||= error instanceof OutcomeUnknownError
      console.log(`${error.code}: trying again`)
      await wait(200)
    }
  }
}

async function isStored(tag: string): Promise<boolean> {
  for await (const line of client.query(`FROM '${tag}' LIMIT 1`)) if (line.type === 'event') return true
  return false
}

await publishOnce(`order:${id}`, { pieces: 3 })
console.log('ordered')
client.close()
