import { isDeepStrictEqual } from 'node:util'
import type { DaemonSettings } from './daemon-settings.js'

/** Settings that differ, by the names that the configuration has for them. */
export interface SettingChanges {
  /** In force from now on. */
  readonly applied: readonly string[]
  /** In force after the next start. */
  readonly waiting: readonly string[]
}

type Named = readonly (readonly [name: string, pick: (settings: DaemonSettings) => unknown])[]

const AT_ONCE: Named = [
  ['eventRouting.routes', ({ routes }) => routes],
  ['eventRouting.streams', ({ retention, notReplicated }) => [retention, notReplicated]],
  ['replication', ({ replication }) => replication],
  ['state.grants', ({ state }) => state.grants],
  ['api.apps', ({ api }) => api.access.apps],
  ['api.hosts', ({ api }) => api.access.hosts],
  ['api.origins', ({ api }) => api.access.origins],
  ['swarm.headsInterval', ({ swarm }) => swarm.headsIntervalMs],
  ['swarm.maxStreams', ({ swarm }) => swarm.maxStreams],
  ['swarm.maxStreamsPerNode', ({ swarm }) => swarm.maxStreamsPerNode],
]

const AT_START: Named = [
  ['api.listen', ({ api }) => api.listen],
  ['api.socket', ({ api }) => api.socket],
  ['api.limits', ({ api }) => api.limits],
  ['data', ({ dataDirectory }) => dataDirectory],
  ['api.limits.query', ({ query }) => query],
  ['storage.sync', ({ storage }) => storage.sync],
  ['storage.block', ({ storage }) => storage.block],
  ['storage.pruneInterval', ({ storage }) => storage.pruneIntervalMs],
  ['storage.cache', ({ storage }) => storage.cacheBytes],
  ['storage.maxInFlight', ({ storage }) => storage.maxInFlightBytes],
  ['storage.maxUnsealed', ({ storage }) => storage.maxUnsealedBytes],
  ['audit', ({ audit }) => audit],
  ['state.backend', ({ state }) => state.backend],
  ['state.url', ({ state }) => state.url],
  ['state.maxBytes', ({ state }) => state.maxBytes],
  ['swarm.topic', ({ swarm }) => swarm.topic],
  ['swarm.key', ({ swarm }) => swarm.key],
  ['swarm.listen', ({ swarm }) => swarm.listen],
  ['swarm.announce', ({ swarm }) => swarm.announce],
  ['swarm.peers', ({ swarm }) => swarm.peers],
  ['swarm.mdns', ({ swarm }) => swarm.mdns],
]

/** What a reload changes, and what it leaves to the next start. */
export function changesBetween(old: DaemonSettings, next: DaemonSettings): SettingChanges {
  const differing = (settings: Named): readonly string[] =>
    settings.filter(([, pick]) => !isDeepStrictEqual(pick(old), pick(next))).map(([name]) => name)
  return { applied: differing(AT_ONCE), waiting: differing(AT_START) }
}

/** The settings that hold after a reload. */
export function afterReload(old: DaemonSettings, next: DaemonSettings): DaemonSettings {
  const { routes, retention, notReplicated, replication } = next
  const { headsIntervalMs, maxStreams, maxStreamsPerNode } = next.swarm
  return {
    ...old,
    api: { ...old.api, access: next.api.access },
    routes,
    retention,
    notReplicated,
    replication,
    state: { ...old.state, grants: next.state.grants },
    swarm: { ...old.swarm, headsIntervalMs, maxStreams, maxStreamsPerNode },
  }
}
