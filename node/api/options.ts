import type { AppId, Clock, StreamId } from '../../core/index.js'
import type { BlockPage, BlocksRequest, CheckLine, StreamStatus, TagList } from '../../storage/index.js'
import type { EventService } from '../events/event-service.js'
import type { NodeAlarm } from './alarms-reply.js'
import type { ConfigDesk } from './config-desk.js'
import type { ExplainedRoute, RouteQuestion } from './explained-route.js'
import type { AuditRecord } from '../audit/audit-record.js'
import type { StateService } from '../state/state-service.js'
import type { PeerState, SwarmReport } from './peers-reply.js'
import type { SwarmPicture } from './swarm-reply.js'
import type { LogEntry, LogLevel } from '../log-tail.js'
import type { IdentityReport, ReloadReport, TopicReport } from '../node-reports.js'
import type { TokenService } from './tokens.js'

/** Where the API listens on TCP. */
export interface ListenAddress {
  /** An IP address or a name that resolves to one. */
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
}

/** Who may ask; can be replaced while the API runs. */
export interface AccessRules {
  /** Apps beyond `com.example.`: ids, or prefixes such as `com.acme.*`. */
  readonly apps: readonly string[]
  /** Names that `Host` may carry, besides IP addresses, `localhost` and the machine's own name. */
  readonly hosts: readonly string[]
  /** What `Origin` may be, besides loopback, such as `https://app.example`. */
  readonly origins: readonly string[]
}

export interface ApiLimits {
  /** Bytes of one JSON body over HTTP. */
  readonly bodyBytes: number
  /** Bytes of one WebSocket message; at least 128 MiB, which is also the limit of one frame. */
  readonly messageBytes: number
  /** Bytes of requests in flight, all connections together; who would go beyond waits. */
  readonly memoryBytes: number
}

/** Intervals that tests shorten, all in milliseconds. */
export interface ApiTimers {
  /** Silence after which a stream gets an empty line. */
  readonly keepAliveMs: number
  /** How long a reader may take nothing before it is cut. */
  readonly stallMs: number
  /** How long a request body may bring nothing. */
  readonly bodyStallMs: number
  /** How long a shutdown waits for work in flight. */
  readonly closeMs: number
}

/** The times of the Actyx API (keep-alive) and of the promise to end within 5 s. */
export const DEFAULT_TIMERS: ApiTimers = { keepAliveMs: 15_000, stallMs: 300_000, bodyStallMs: 30_000, closeMs: 4_000 }

/** The node as it presents itself. */
export interface NodeStatus {
  /** Milliseconds since the daemon started, with fraction. */
  readonly uptimeMs: number
  readonly connectedNodes: number
  /** Node id → state of the link to it. */
  readonly peers: Readonly<Record<string, PeerState>>
}

/** Whether the node does all its work; the reasons are sentences for operators. */
export interface Health {
  readonly ready: boolean
  readonly reasons: readonly string[]
}

/** A blob, or one level of what lies below a path. */
export type BlobContent =
  | { readonly kind: 'file'; readonly mimeType: string; readonly bytes: Uint8Array }
  | { readonly kind: 'folder'; readonly entries: ReadonlyMap<string, BlobEntry> }

export type BlobEntry =
  | { readonly type: 'folder' }
  | {
      readonly type: 'file'
      readonly originalSize: number
      readonly compressedSize: number
      readonly mimeType: string
      /** Milliseconds since 1970, as below. */
      readonly atimeMillis: number | null
      readonly ctimeMillis: number
    }

/** Files of apps, by paths of decoded segments; none is empty. */
export interface Blobs {
  /** Replaces what was at, below and above the path. @throws ERR_PAYLOAD_TOO_LARGE */
  put(appId: AppId, path: readonly string[], mimeType: string, bytes: Uint8Array): Promise<void>
  /** `undefined` when there is nothing at or below the path; an empty path is the root of the app. */
  get(appId: AppId, path: readonly string[]): Promise<BlobContent | undefined>
  /** Removes what is at and below the path. */
  delete(appId: AppId, path: readonly string[]): Promise<void>
}

export interface ExplainRequest {
  readonly query: string
  readonly order: 'asc' | 'desc' | 'stream-asc' | undefined
  readonly lowerBound: ReadonlyMap<string, number> | undefined
  readonly upperBound: ReadonlyMap<string, number> | undefined
}

/** An archive that is made as it is read. */
export interface BackupStream extends AsyncDisposable {
  readonly chunks: AsyncIterable<Uint8Array>
}

/** What operators may see and do. */
export interface Operations {
  identity(): IdentityReport
  /** After a restored backup: events go into new streams from now on. */
  beginEpoch(): Promise<IdentityReport>
  /** Checks all that is stored of the active topic. */
  verify(signal: AbortSignal): AsyncIterable<CheckLine>
  /**
   * Everything that the node has on disk as it is now, as an archive. To be disposed of, since it holds on to room.
   *
   * @throws ERR_BACKUP_RUNNING, and what keeps the store from being written
   */
  backup(withIdentity: boolean): Promise<BackupStream>
  topics(): Promise<readonly TopicReport[]>
  /** @throws ERR_TOPIC_UNKNOWN, ERR_TOPIC_IN_USE */
  deleteTopic(name: string): Promise<TopicReport>
}

/** What a person wants to see of the node. */
export interface NodeViews {
  /** `undefined` for a stream that there is nothing of. */
  blocks(stream: StreamId, request: BlocksRequest): Promise<BlockPage | undefined>
  /** Tags of stored events that begin with `prefix`. */
  tags(prefix: string, limit: number): Promise<TagList>
  /** Everything that somebody has to look after, of the node itself and of its swarm. */
  alarms(): readonly NodeAlarm[]
  swarm(): Promise<SwarmPicture>
}

/** What the API writes to the log; pino fits. */
export interface ApiLogger {
  debug(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
}

/** Everything the API needs of the node. */
export interface ApiOptions {
  readonly listen: readonly ListenAddress[]
  /** Path of the Unix socket (mode 0660); `undefined` for none. */
  readonly socket: string | undefined
  readonly access: AccessRules
  readonly limits: ApiLimits
  readonly timers?: Partial<ApiTimers>
  readonly nodeId: string
  /** Version of the product, such as `0.1.0`. */
  readonly version: string
  readonly clock: Clock
  readonly tokens: TokenService
  readonly events: EventService
  readonly blobs: Blobs
  /** Absent where nothing keeps one. */
  readonly state?: StateService
  /** Records of the audit behind an offset; absent where none are kept. */
  readonly audit?: (after: number | undefined, signal: AbortSignal) => AsyncIterable<AuditRecord>
  readonly logger: ApiLogger
  readonly operations: Operations
  status(): NodeStatus
  /** `undefined` for a node that is alone. */
  swarm(): SwarmReport | undefined
  readonly topic: string
  /** Reads the configuration again; absent where there is none to read. @throws ERR_CONFIG_INVALID, ERR_CONFIG_UNREADABLE */
  readonly reload?: () => Promise<ReloadReport>
  /** Absent where there is no configuration to look at. */
  readonly configuration?: ConfigDesk
  health(): Health
  /** The newest lines of the log, oldest first, of this level and above, behind the one numbered `after`. */
  log(level: LogLevel, after: number, limit: number): readonly LogEntry[]
  /** Prometheus text format 0.0.4. */
  metrics(): string | Promise<string>
  streams(): Promise<readonly StreamStatus[]>
  readonly views: NodeViews
  explainRoute(question: RouteQuestion): ExplainedRoute
  /** @returns JSON that fits `ExplainReply`; the query's own errors are thrown */
  explain(request: ExplainRequest, appId: AppId): Promise<object>
}
