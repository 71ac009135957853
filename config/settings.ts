import { join } from 'node:path'
import type { ListenAddress } from './addresses.js'
import type { WantedStreams } from './replication-schema.js'
import type { RouteSetting } from './routes.js'
import type { SettingValues, SyncMode } from './settings-schema.js'
import type { StreamLimits } from './stream-limits.js'

/** All settings, checked, in the units and shapes that the parts of the daemon take. Frozen. */
export interface Settings {
  readonly displayName: string
  /** Absolute path. */
  readonly dataDirectory: string
  readonly api: {
    readonly listen: readonly ListenAddress[]
    /** Absolute path of the Unix socket. */
    readonly socket: string
    readonly access: {
      readonly apps: readonly string[]
      readonly hosts: readonly string[]
      readonly origins: readonly string[]
    }
    readonly limits: { readonly bodyBytes: number; readonly messageBytes: number; readonly memoryBytes: number }
  }
  /** Bounds of one query. */
  readonly query: {
    readonly maxTextBytes: number
    readonly maxNesting: number
    readonly maxOperands: number
    readonly maxBranches: number
    readonly maxValues: number
  }
  readonly log: { readonly level: LogLevel; readonly format: 'auto' | 'json' | 'pretty' }
  readonly storage: {
    readonly sync: SyncMode
    readonly block: { readonly maxEvents: number; readonly maxBytes: number }
    readonly pruneIntervalMs: number
    readonly cacheBytes: number
    readonly maxInFlightBytes: number
    readonly maxUnsealedBytes: number
  }
  readonly state: {
    readonly backend: 'embedded' | 'memory' | 'postgres' | 'redis'
    /** Of the server; may hold a password. */
    readonly url: string | undefined
    /** Keys and values of all entries. */
    readonly maxBytes: number
    readonly allowVolatile: boolean
    /** Namespaces that apps may touch beside their own. */
    readonly grants: ReadonlyMap<string, readonly string[]>
  }
  readonly audit: {
    readonly sink: 'none' | 'stream' | 'file' | 'http' | 'clickhouse'
    readonly mode: 'async' | 'intent'
    readonly hashChain: boolean
    /** Names on the way to what is masked. */
    readonly redact: readonly (readonly string[])[]
    readonly queueBytes: number
    readonly timeoutMs: number
    readonly stream: { readonly maxStoredBytes: number }
    /** `directory` is an absolute path. */
    readonly file: { readonly directory: string; readonly maxBytes: number; readonly maxFiles: number }
    readonly http: { readonly url: string | undefined; readonly tokenFile: string | undefined }
    readonly clickhouse: {
      readonly url: string | undefined
      readonly table: string
      readonly user: string | undefined
      readonly passwordFile: string | undefined
    }
  }
  /** In the order in which they are tried. */
  readonly routes: readonly RouteSetting[]
  /** Limits by stream name; what is not named keeps everything. */
  readonly retention: ReadonlyMap<string, StreamLimits>
  /** Names of own streams that stay on this node. */
  readonly notReplicated: ReadonlySet<string>
  readonly swarm: {
    readonly topic: string
    /** 32 bytes as base64, 44 characters. Without one there is no swarm. */
    readonly key: string | undefined
    /** Absolute path of the file that the key comes from, if it comes from one. */
    readonly keyFile: string | undefined
    /** Multiaddrs. */
    readonly listen: readonly string[]
    /** Multiaddrs. */
    readonly announce: readonly string[]
    /** Multiaddrs, with or without `/p2p/…`. */
    readonly peers: readonly string[]
    readonly mdns: boolean
    readonly headsIntervalMs: number
    /** Streams of other nodes that are held in all. */
    readonly maxStreams: number
    /** Of these, streams of one node. */
    readonly maxStreamsPerNode: number
  }
  readonly replication: {
    /** Limits of replicas by stream name; `*` stands for all that are not named. */
    readonly keep: ReadonlyMap<string, StreamLimits>
    /** What is fetched of other nodes; `undefined` is everything. */
    readonly streams: readonly WantedStreams[] | undefined
  }
}

/** Least severity that is logged. */
export type LogLevel = SettingValues['log']['level']

/**
 * @param key the network key, if there is one
 * @param stateUrl of the server that keeps the state, if one does
 */
export function toSettings(values: SettingValues, key: string | undefined, stateUrl: string | undefined): Settings {
  const { api, data, eventRouting, replication, state, storage, swarm } = values
  const { limits } = api
  return deepFreeze({
    displayName: values.admin.displayName,
    dataDirectory: data,
    api: {
      listen: api.listen,
      socket: api.socket ?? join(data, 'api.sock'),
      access: { apps: api.apps, hosts: api.hosts, origins: api.origins },
      limits: { bodyBytes: limits.body, messageBytes: limits.message, memoryBytes: limits.memory },
    },
    query: {
      maxTextBytes: limits.query.text,
      maxNesting: limits.query.nesting,
      maxOperands: limits.query.operands,
      maxBranches: limits.query.branches,
      maxValues: limits.query.values,
    },
    log: values.log,
    storage: {
      sync: storage.sync,
      block: storage.block,
      pruneIntervalMs: storage.pruneInterval,
      cacheBytes: storage.cache,
      maxInFlightBytes: storage.maxInFlight,
      maxUnsealedBytes: storage.maxUnsealed,
    },
    state: {
      backend: state.backend,
      url: stateUrl,
      maxBytes: state.maxBytes,
      allowVolatile: state.allowVolatile,
      grants: grantsOf(state.grants),
    },
    audit: auditOf(values),
    routes: eventRouting.routes,
    retention: new Map([...eventRouting.streams].map(([name, { limits }]) => [name, limits])),
    notReplicated: new Set([...eventRouting.streams].filter(([, { replicate }]) => !replicate).map(([name]) => name)),
    swarm: {
      topic: swarm.topic,
      key,
      keyFile: swarm.keyFile ?? undefined,
      listen: swarm.listen,
      announce: swarm.announce,
      peers: swarm.peers,
      mdns: swarm.mdns,
      headsIntervalMs: swarm.headsInterval,
      maxStreams: swarm.maxStreams,
      maxStreamsPerNode: swarm.maxStreamsPerNode,
    },
    replication: { keep: replication.keep, streams: replication.streams ?? undefined },
  })
}

function auditOf({ audit, data }: SettingValues): Settings['audit'] {
  const { queue, timeout, stream, file, http, clickhouse, ...plain } = audit
  return {
    ...plain,
    queueBytes: queue,
    timeoutMs: timeout,
    stream: { maxStoredBytes: stream.maxSize },
    file: { directory: file.directory ?? join(data, 'audit'), maxBytes: file.maxSize, maxFiles: file.maxFiles },
    http: { url: http.url ?? undefined, tokenFile: http.tokenFile ?? undefined },
    clickhouse: {
      url: clickhouse.url ?? undefined,
      table: clickhouse.table,
      user: clickhouse.user ?? undefined,
      passwordFile: clickhouse.passwordFile ?? undefined,
    },
  }
}

function grantsOf(grants: SettingValues['state']['grants']): ReadonlyMap<string, readonly string[]> {
  const byApp = new Map<string, readonly string[]>()
  for (const { app, namespace } of grants) byApp.set(app, [...(byApp.get(app) ?? []), namespace])
  return byApp
}

/** Also the values in maps; sets inside selections are left, which nobody writes to. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const inner of value instanceof Map ? value.values() : Object.values(value)) deepFreeze(inner)
  return value
}
