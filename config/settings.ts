import { join } from 'node:path'
import type { ListenAddress } from './addresses.js'
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
  /** In the order in which they are tried. */
  readonly routes: readonly RouteSetting[]
  /** Limits by stream name; what is not named keeps everything. */
  readonly retention: ReadonlyMap<string, StreamLimits>
}

/** Least severity that is logged. */
export type LogLevel = SettingValues['log']['level']

export function toSettings(values: SettingValues): Settings {
  const { api, data, eventRouting, storage } = values
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
    routes: eventRouting.routes,
    retention: eventRouting.streams,
  })
}

/** Also the values in maps; sets inside selections are left, which nobody writes to. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const inner of value instanceof Map ? value.values() : Object.values(value)) deepFreeze(inner)
  return value
}
