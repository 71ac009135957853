/**
 * A process that has a lock, and when its parent says so writes with the fence of its grant. Argument: the URL of the node.
 */
import { Client, fetchTransport } from '../../client/index.js'

/** What the process tells. */
export type HolderReport =
  { readonly kind: 'granted'; readonly fence: string } | { readonly kind: 'written'; readonly code: string | undefined }

const [, , url = ''] = process.argv
const report = (message: HolderReport): void => {
  if (process.connected) process.send?.(message)
}
process.on('disconnect', () => process.exit())

const client = new Client(fetchTransport(url), { appId: 'com.example.test', displayName: 'holder', version: '1' })
const guard = await client.state.lock.acquire('paused', { ttlMs: 3000 })
process.on('message', () => {
  const write = client.state.set('paused/by', 'holder', { fencedBy: guard.fencedBy })
  void write.then(
    () => {
      report({ kind: 'written', code: undefined })
    },
    (error: unknown) => {
      report({ kind: 'written', code: (error as { wireCode?: string }).wireCode })
    },
  )
})
report({ kind: 'granted', fence: String(guard.fence) })
