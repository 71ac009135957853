import { join } from 'node:path'
import { DEFAULT_AQL_LIMITS } from '../../aql/index.js'
import type { DaemonLogger, DaemonSettings } from '../../node/index.js'

/** Settings of a node for tests: any free port, small blocks, no waiting for the disk. */
export function daemonSettings(data: string, changes: Partial<DaemonSettings> = {}): DaemonSettings {
  return {
    dataDirectory: data,
    api: {
      listen: [{ host: '127.0.0.1', port: 0 }],
      socket: join(data, 'api.sock'),
      access: { apps: [], hosts: [], origins: [] },
      limits: { bodyBytes: 2 ** 27, messageBytes: 2 ** 27, memoryBytes: 2 ** 28 },
    },
    query: DEFAULT_AQL_LIMITS,
    storage: {
      sync: 'os',
      block: { maxEvents: 8, maxBytes: 2 ** 18 },
      pruneIntervalMs: 60_000,
      cacheBytes: 2 ** 25,
      maxInFlightBytes: 2 ** 26,
      maxUnsealedBytes: 2 ** 26,
    },
    state: { backend: 'embedded', url: undefined, maxBytes: 2 ** 26, grants: new Map() },
    audit: auditSettings(data),
    routes: [],
    retention: new Map(),
    notReplicated: new Set(),
    swarm: {
      topic: 'default-topic',
      key: undefined,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      announce: [],
      peers: [],
      mdns: false,
      headsIntervalMs: 10_000,
      maxStreams: 100,
      maxStreamsPerNode: 10,
    },
    replication: { keep: new Map(), streams: undefined },
    ...changes,
  }
}

/** No audit, unless changed. */
export function auditSettings(data: string, changes: Partial<DaemonSettings['audit']> = {}): DaemonSettings['audit'] {
  return {
    sink: 'none',
    mode: 'async',
    hashChain: false,
    redact: [],
    queueBytes: 2 ** 20,
    timeoutMs: 60_000,
    stream: { maxStoredBytes: 2 ** 26 },
    file: { directory: join(data, 'audit'), maxBytes: 2 ** 20, maxFiles: 4 },
    http: { url: undefined, tokenFile: undefined },
    clickhouse: { url: undefined, table: 'millrace_audit', user: undefined, passwordFile: undefined },
    ...changes,
  }
}

/** For tests that look at behaviour, not at the log. */
export const silentLogger: DaemonLogger = { debug: noLog, info: noLog, warn: noLog, error: noLog }

function noLog(): void {
  // Nothing is written.
}
