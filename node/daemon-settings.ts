import type { AqlLimits } from '../aql/index.js'
import type { AuditMode, Redaction } from '../audit/index.js'
import type { AppId, NodeId, TagSelection } from '../core/index.js'
import type { Retention, SyncMode } from '../storage/index.js'
import type { AccessRules, ApiLimits, ListenAddress } from './api/index.js'

/** What the daemon needs to know, all decided: `config` produces this shape. */
export interface DaemonSettings {
  /** Absolute path. */
  readonly dataDirectory: string
  readonly api: {
    readonly listen: readonly ListenAddress[]
    /** Absolute path of the Unix socket. */
    readonly socket: string
    readonly access: AccessRules
    readonly limits: ApiLimits
  }
  /** Bounds of one query. */
  readonly query: AqlLimits
  readonly storage: {
    readonly sync: SyncMode
    readonly block: { readonly maxEvents: number; readonly maxBytes: number }
    readonly pruneIntervalMs: number
    readonly cacheBytes: number
    readonly maxInFlightBytes: number
    readonly maxUnsealedBytes: number
  }
  readonly state: StateSettings
  readonly audit: AuditSettings
  /** In the order in which they are tried. */
  readonly routes: readonly RouteSettings[]
  /** Limits by stream name; what is not named keeps everything. */
  readonly retention: ReadonlyMap<string, Retention>
  /** Names of own streams that stay on this node. */
  readonly notReplicated: ReadonlySet<string>
  readonly swarm: SwarmSettings
  readonly replication: ReplicationSettings
}

/** The strongly consistent state. */
export interface StateSettings {
  readonly backend: 'embedded' | 'memory' | 'postgres' | 'redis'
  /** Of the server, for the latter two; may hold a password. */
  readonly url: string | undefined
  /** Keys and values of all entries. */
  readonly maxBytes: number
  /** Namespaces that apps may touch beside their own. */
  readonly grants: ReadonlyMap<AppId, readonly string[]>
}

/** What is done to the state, written down. */
export interface AuditSettings {
  readonly sink: 'none' | 'stream' | 'file' | 'http' | 'clickhouse'
  readonly mode: AuditMode
  readonly hashChain: boolean
  readonly redact: readonly Redaction[]
  readonly queueBytes: number
  readonly timeoutMs: number
  readonly stream: { readonly maxStoredBytes: number }
  /** `directory` is an absolute path. */
  readonly file: { readonly directory: string; readonly maxBytes: number; readonly maxFiles: number }
  readonly http: { readonly url: string | undefined; readonly tokenFile: string | undefined }
  readonly clickhouse: {
    readonly url: string | undefined
    /** With or without its database. */
    readonly table: string
    readonly user: string | undefined
    readonly passwordFile: string | undefined
  }
}

/** The nodes that this one shares its events with. */
export interface SwarmSettings {
  /** Also says which store is opened. */
  readonly topic: string
  /** 32 bytes as base64, 44 characters. Without one there is no swarm. */
  readonly key: string | undefined
  /** Multiaddrs; without any the node only dials. */
  readonly listen: readonly string[]
  /** Multiaddrs that are told to others beside those of the own interfaces. */
  readonly announce: readonly string[]
  /** Multiaddrs to dial, with or without `/p2p/…`. */
  readonly peers: readonly string[]
  /** Whether nodes are looked for in the local network. */
  readonly mdns: boolean
  /** Between two announcements of heads. */
  readonly headsIntervalMs: number
  /** Streams of other nodes that are held in all. */
  readonly maxStreams: number
  /** Of these, streams of one node. */
  readonly maxStreamsPerNode: number
}

/** What of other nodes is kept. */
export interface ReplicationSettings {
  /** Limits of replicas by stream name; `*` stands for all that are not named. */
  readonly keep: ReadonlyMap<string, Retention>
  /** What is fetched; `undefined` is everything. */
  readonly streams: readonly WantedStreams[] | undefined
}

/** Streams of other nodes; what is `undefined` is left open. */
export interface WantedStreams {
  readonly node: NodeId | undefined
  /** Name of the stream. */
  readonly stream: string | undefined
}

/** One route: events that `selection` chooses go into the stream named `into`. */
export interface RouteSettings {
  /** The expression as written. */
  readonly from: string
  readonly selection: TagSelection
  readonly into: string
}
