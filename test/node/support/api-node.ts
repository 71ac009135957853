import { join } from 'node:path'
import { encodeBase64, systemClock } from '../../../core/index.js'
import { createApi, SignedTokens, type Api, type ApiOptions } from '../../../node/api/index.js'
import { MemoryBlobs } from './memory-blobs.js'
import { MemoryEvents } from './memory-events.js'
import { operationsFor, viewsFor } from '../../support/operations.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

export interface ApiNode {
  readonly api: Api
  readonly events: MemoryEvents
  readonly tokens: SignedTokens
  readonly token: string
  readonly nodeId: string
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  /** Messages that the API logged. */
  readonly logged: { readonly level: string; readonly message: string }[]
}

/** What a query of no interest would do. */
export const NOTHING_EXPLAINED = {
  query: 'FROM allEvents',
  features: [],
  source: 'events',
  order: 'asc',
  stopsEarly: false,
  passThrough: true,
  branches: null,
  operations: 0,
  reads: null,
} as const

export const TEST_KEY = Buffer.alloc(32, 7)

/** The API on a free port and on a socket in a temporary directory, before services in memory. */
export async function startApi(
  t: { teardown: (work: () => unknown) => void },
  changes: Partial<ApiOptions> = {},
): Promise<ApiNode> {
  const directory = temporaryDirectory(t)
  const nodeId = encodeBase64(Buffer.alloc(32, 42))
  const events = new MemoryEvents(nodeId)
  const tokens = new SignedTokens([TEST_KEY], systemClock)
  const logged: { level: string; message: string }[] = []
  const log = (level: string) => (_details: object, message: string) => {
    logged.push({ level, message })
  }
  const api = await createApi({
    listen: [{ host: '127.0.0.1', port: 0 }],
    socket: join(directory, 'api.sock'),
    access: { apps: ['com.acme.*'], hosts: ['node.example'], origins: ['http://app.local'] },
    limits: { bodyBytes: 4 * 1024 * 1024, messageBytes: 128 * 1024 * 1024, memoryBytes: 16 * 1024 * 1024 },
    nodeId,
    version: '0.1.0',
    clock: systemClock,
    tokens,
    events,
    blobs: new MemoryBlobs(),
    logger: { debug: log('debug'), warn: log('warn'), error: log('error') },
    operations: operationsFor(nodeId),
    status: () => ({ uptimeMs: 1500.25, connectedNodes: 0, peers: {} }),
    swarm: () => undefined,
    topic: 'default-topic',
    health: () => ({ ready: true, reasons: [] }),
    log: () => [{ number: 1, time: 5, level: 'info', message: 'x', details: { any: ['thing'] } }],
    metrics: () => '# no metrics\n',
    streams: () => Promise.resolve([]),
    views: viewsFor(nodeId),
    explainRoute: () => ({ into: 'default', streamNumber: 0, route: undefined, routes: [], retention: undefined }),
    explain: () => Promise.resolve(NOTHING_EXPLAINED),
    ...changes,
  })
  t.teardown(() => api.close())
  const token = tokens.issue({ appId: 'com.example.test', version: '1', mode: 'trial' })
  return { api, events, tokens, token, nodeId, url: `http://${api.addresses[0] ?? ''}`, logged }
}
