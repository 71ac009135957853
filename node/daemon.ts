import { join } from 'node:path'
import { explainQuery, prepareQuery } from '../aql/index.js'
import type { Configuration } from '../config/index.js'
import { systemClock, type Clock } from '../core/index.js'
import { DataDirectory, openStore, type Store } from '../storage/index.js'
import {
  createApi,
  openTokenKeys,
  SignedTokens,
  type Api,
  type ApiOptions,
  type ExplainRequest,
  type Health,
  type NodeStatus,
  type NodeViews,
} from './api/index.js'
import { alarmsOfNode, LowDiskWatch } from './alarms.js'
import { AUDIT_STREAM, auditStreamNumber, readAudit, retentionOf } from './audit/audit-stream.js'
import { renderAuditMetrics } from './audit/metrics.js'
import { NodeAudit } from './audit/node-audit.js'
import { configDeskOf } from './config-desk.js'
import type { DaemonSettings } from './daemon-settings.js'
import { EventLoopDelay } from './event-loop-delay.js'
import { NodeEvents } from './events/node-events.js'
import { Router } from './events/router.js'
import { StoreWithout, type ServedStore } from './events/served-store.js'
import { LogTail, type DaemonLogger } from './log-tail.js'
import { renderMetrics } from './metrics.js'
import type { ReloadReport } from './node-reports.js'
import { storeOptions } from './node-store.js'
import { operationsOf } from './operations.js'
import { afterReload, changesBetween, type SettingChanges } from './setting-changes.js'
import { LastKnown } from './swarm/last-known.js'
import { renderStateMetrics } from './state/metrics.js'
import { NodeState } from './state/node-state.js'
import { renderSwarmMetrics } from './swarm/metrics.js'
import { NodeSwarm } from './swarm/node-swarm.js'
import { pictureOf } from './swarm/picture.js'

/** What a daemon is started with. */
export interface DaemonOptions {
  readonly settings: DaemonSettings
  readonly logger: DaemonLogger
  /** Version of the product, such as `0.1.0`. */
  readonly version: string
  readonly clock?: Clock
  /** Reads the settings again and applies them, when an operator asks for it by the API. */
  readonly reload?: () => Promise<ReloadReport>
  /** Where the settings come from, for operators who want to see or change them. Needs `reload`. */
  readonly configuration?: Configuration
}

/** Where a started daemon is to be found. */
export interface DaemonAddresses {
  /** Base URLs. */
  readonly api: readonly string[]
  readonly socket: string | undefined
  /** Multiaddrs for other nodes; `undefined` for a node that is alone. */
  readonly swarm: readonly string[] | undefined
  readonly data: string
  readonly nodeId: string
}

/**
 * The node: opens the data directory, the store and the API, in this order, and closes them in reverse. Made by
 * {@link startDaemon}.
 */
export class Daemon implements AsyncDisposable {
  readonly addresses: DaemonAddresses
  /** What is written here can also be read over the API. */
  readonly log: DaemonLogger
  readonly #parts: Parts
  readonly #inForce: SettingsInForce
  #reloading: Promise<unknown> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(parts: Parts, inForce: SettingsInForce, logger: DaemonLogger) {
    this.#parts = parts
    this.#inForce = inForce
    this.log = logger
    this.addresses = {
      api: parts.api.addresses.map((address) => `http://${address}`),
      socket: parts.api.socket,
      swarm: parts.swarm?.addresses,
      data: parts.directory.path,
      nodeId: parts.store.nodeId,
    }
  }

  /**
   * Applies what can change at run time: routes, limits, access rules. Connections stay open. Calls that overlap are
   * applied one after the other, so that the last one holds.
   */
  reload(settings: DaemonSettings): Promise<SettingChanges> {
    const reloaded = this.#reloading.then(() => this.#apply(settings))
    this.#reloading = reloaded.catch(() => undefined)
    return reloaded
  }

  async #apply(settings: DaemonSettings): Promise<SettingChanges> {
    const { store, events, state, swarm, api } = this.#parts
    events.setRouter(await makeRouter(store, settings))
    store.setRetention(retentionOf(settings))
    api.setAccess(settings.api.access)
    state.setGrants(settings.state.grants)
    swarm?.apply(settings)
    const changes = changesBetween(this.#inForce.settings, settings)
    this.#inForce.settings = afterReload(this.#inForce.settings, settings)
    this.log.info({ routes: settings.routes.length, ...changes }, 'settings reloaded')
    return changes
  }

  /** Ends answers, waits for commits under way, gives the data directory back. Idempotent. */
  close(): Promise<void> {
    return (this.#closed ??= closeParts(this.#parts))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Settings as they are now, shared by the daemon and its API. */
interface SettingsInForce {
  settings: DaemonSettings
}

interface Parts {
  readonly directory: DataDirectory
  readonly store: Store
  readonly events: NodeEvents
  readonly audit: NodeAudit
  readonly state: NodeState
  /** `undefined` for a node that is alone. */
  readonly swarm: NodeSwarm | undefined
  readonly api: Api
  readonly eventLoop: EventLoopDelay
}

/**
 * Starts a node; resolves when everything is bound.
 *
 * @throws errors of the data directory, the store and the API (address in use); then nothing is left open
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { settings, clock = systemClock } = options
  const logger = new LogTail(options.logger, clock)
  const undo: (() => unknown)[] = []
  try {
    const directory = await DataDirectory.open(settings.dataDirectory)
    undo.push(() => directory.close())
    const store = await openNodeStore(directory, settings, logger, clock)
    undo.push(() => store.close())
    if (settings.audit.sink === 'stream') await store.registerStreams([AUDIT_STREAM])
    const events = new NodeEvents({
      store: servedBy(store),
      router: await makeRouter(store, settings),
      clock,
      limits: settings.query,
      onAnswerError: (error) => {
        logger.error({ err: error }, 'an answer ended with an error')
      },
    })
    const audit = new NodeAudit({ store, clock, logger, settings: settings.audit })
    undo.push(() => audit.close())
    const state = await NodeState.open({
      ...{ store, events, audit, clock, logger },
      topic: settings.swarm.topic,
      settings: settings.state,
    })
    undo.push(() => state.close())
    const swarm = await joinSwarm(directory, store, { ...options, logger }, clock)
    undo.push(() => swarm?.close())
    const inForce: SettingsInForce = { settings }
    const eventLoop = EventLoopDelay.start()
    undo.push(() => {
      eventLoop.stop()
    })
    const api = await openApi({
      options,
      logger,
      directory,
      store,
      events,
      audit,
      state,
      swarm,
      clock,
      inForce,
      eventLoop,
    })
    return new Daemon({ directory, store, events, audit, state, swarm, api, eventLoop }, inForce, logger)
  } catch (error) {
    for (const step of undo.reverse()) await step()
    throw error
  }
}

/** A node without network key is alone. @throws SwarmListenError */
async function joinSwarm(
  directory: DataDirectory,
  store: Store,
  { settings, logger }: DaemonOptions,
  clock: Clock,
): Promise<NodeSwarm | undefined> {
  const networkKey = settings.swarm.key
  if (networkKey === undefined) return undefined
  return NodeSwarm.join({ settings, networkKey, directory, store, clock, logger })
}

async function closeParts({ directory, store, events, audit, state, swarm, api, eventLoop }: Parts): Promise<void> {
  await api.close()
  eventLoop.stop()
  events.close()
  await swarm?.close()
  await state.close()
  await audit.close()
  await store.close()
  await directory.close()
}

async function openNodeStore(
  directory: DataDirectory,
  settings: DaemonSettings,
  logger: DaemonLogger,
  clock: Clock,
): Promise<Store> {
  const store = await openStore(storeOptions(directory, settings, logger, clock))
  store.setRetention(retentionOf(settings))
  return store
}

/** What apps get to see of it: the audit belongs to operators. */
function servedBy(store: Store): ServedStore {
  const number = auditStreamNumber(store)
  return number === undefined ? store : new StoreWithout(store, number)
}

/** Streams get their numbers in the order of the routes that name them first. */
async function makeRouter(store: Store, settings: DaemonSettings): Promise<Router> {
  const numbers = await store.registerStreams([...new Set(settings.routes.map(({ into }) => into))])
  return routerOf(settings, numbers)
}

function routerOf({ routes }: DaemonSettings, numbers: ReadonlyMap<string, number>): Router {
  return new Router(
    routes.map(({ from, selection, into }) => ({
      from: selection,
      text: from,
      into,
      streamNumber: numbers.get(into) ?? 0,
    })),
  )
}

interface ApiParts {
  readonly options: DaemonOptions
  readonly logger: LogTail
  readonly directory: DataDirectory
  readonly store: Store
  readonly events: NodeEvents
  readonly audit: NodeAudit
  readonly state: NodeState
  readonly swarm: NodeSwarm | undefined
  readonly clock: Clock
  readonly inForce: SettingsInForce
  readonly eventLoop: EventLoopDelay
}

async function openApi(parts: ApiParts): Promise<Api> {
  const { options, logger, directory, store, events, state, swarm, clock, inForce } = parts
  const { settings, version } = options
  const startedMs = clock.monotonicMs()
  const started: { api?: Api } = {}
  const api = await createApi({
    listen: settings.api.listen,
    socket: settings.api.socket,
    access: settings.api.access,
    limits: settings.api.limits,
    nodeId: store.nodeId,
    version,
    clock,
    tokens: new SignedTokens(await openTokenKeys(join(directory.path, 'token.key')), clock),
    events,
    blobs: store.blobs,
    state,
    ...(auditStreamNumber(store) === undefined
      ? {}
      : {
          audit: (after: number | undefined, signal: AbortSignal) => readAudit(store, { after, order: 'asc', signal }),
        }),
    logger,
    topic: settings.swarm.topic,
    operations: operationsOf({ directory, store, topic: settings.swarm.topic, logger, version, clock }),
    status: () => ({ uptimeMs: clock.monotonicMs() - startedMs, ...peerStates(swarm) }),
    swarm: () => swarm?.report(),
    ...(options.reload === undefined ? {} : { reload: options.reload }),
    ...deskOf(parts),
    views: viewsOf(parts),
    health: () => healthOf(store),
    log: (level, after, limit) => logger.entries(level, after, limit),
    metrics: () => metricsOf(parts, started.api),
    streams: () => store.streams(),
    explainRoute: ({ tags, appId }) => {
      const explanation = events.router.explain(tags, appId)
      return { ...explanation, retention: inForce.settings.retention.get(explanation.into) }
    },
    explain: (request, appId) => explain(store, clock, request, appId),
  })
  started.api = api
  return api
}

function viewsOf({ options, store, swarm, clock }: ApiParts): NodeViews {
  const disk = new LowDiskWatch()
  const alone = new LastKnown()
  return {
    blocks: (stream, request) => store.blocks(stream, request),
    tags: (prefix, limit) => store.tags(prefix, limit),
    alarms: () =>
      alarmsOfNode({
        problems: store.problems(),
        swarm: swarm?.alarms(),
        disk: disk.look(store.metrics(), clock.nowMicros()),
      }),
    swarm: () =>
      pictureOf({
        store,
        topic: options.settings.swarm.topic,
        report: swarm?.report(),
        lastKnown: swarm?.lastKnown ?? alone,
        nowMicros: clock.nowMicros(),
      }),
  }
}

/** Nothing where the node was started without a configuration that could be read again. */
function deskOf({ options, store, events, inForce }: ApiParts): Pick<ApiOptions, 'configuration'> {
  const { configuration, reload } = options
  if (configuration === undefined || reload === undefined) return {}
  const desk = configDeskOf({
    configuration,
    store,
    inForce: () => inForce.settings,
    router: () => events.router,
    draftRouter: (settings) => routerOf(settings, new Map()),
    reload,
    waiting: () => changesBetween(inForce.settings, configuration.loaded.settings).waiting,
  })
  return { configuration: desk }
}

function metricsOf({ options, store, events, audit, state, swarm, eventLoop }: ApiParts, api: Api | undefined): string {
  const { topic } = options.settings.swarm
  const info = { version: options.version, node: store.nodeId, topic }
  const rest = renderStateMetrics(state.state.counters) + renderAuditMetrics(audit.counters)
  const own = renderMetrics({
    store: store.metrics(),
    health: healthOf(store),
    events: events.counters,
    api,
    eventLoop,
    info,
  })
  if (swarm === undefined) return own + rest
  return own + rest + renderSwarmMetrics(swarm, { streams: store.offsets().keys(), missing: store.missing() })
}

/** Connected nodes, and how far those are that were compared with already. */
function peerStates(swarm: NodeSwarm | undefined): Pick<NodeStatus, 'connectedNodes' | 'peers'> {
  const peers = (swarm?.peers() ?? []).flatMap(({ nodeId, quality }) =>
    quality === undefined ? [] : [[nodeId, quality]],
  )
  return { connectedNodes: swarm?.connectedPeers.length ?? 0, peers: Object.fromEntries(peers) as NodeStatus['peers'] }
}

function healthOf(store: Store): Health {
  const { writable, problems } = store.health
  return { ready: writable, reasons: problems }
}

/** What the query would do, and what of the store it would touch. */
async function explain(store: Store, clock: Clock, request: ExplainRequest, appId: string): Promise<object> {
  const options = { endpoint: 'query', appId, nowMicros: clock.nowMicros() } as const
  const { selection } = prepareQuery(request.query, options)
  const explanation = explainQuery(request.query, options)
  const order = explanation.order ?? request.order ?? 'asc'
  const reads =
    selection === undefined
      ? null
      : await store.plan({
          selection,
          order,
          lowerBound: request.lowerBound ?? new Map(),
          upperBound: request.upperBound ?? store.offsets(),
        })
  return { ...explanation, order, reads }
}
