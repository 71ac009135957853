import { StreamIdError, type AppId, type Clock, type NewEvent } from '../../core/index.js'
import {
  embeddedBackend,
  memoryBackend,
  Namespaces,
  openRemoteBackend,
  State,
  StateForbiddenError,
  type Append,
  type Condition,
  type ExportRequest,
  type ImportReport,
  type ImportRequest,
  type OpenBackend,
  type StateCheck,
  type StateInfo,
} from '../../state/index.js'
import type { Store } from '../../storage/index.js'
import type { StateSettings } from '../daemon-settings.js'
import type { NodeAudit } from '../audit/node-audit.js'
import type { NodeEvents } from '../events/node-events.js'
import type { DaemonLogger } from '../log-tail.js'
import { auditedDedup, auditedLimits, auditedLocks } from './audited.js'
import type { StateOfApp, StateService } from './state-service.js'

export interface NodeStateOptions {
  readonly store: Store
  /** Each topic has a state of its own. */
  readonly topic: string
  /** Says which stream an event goes to. */
  readonly events: NodeEvents
  /** Takes note of what is done. */
  readonly audit: NodeAudit
  readonly clock: Clock
  readonly logger: DaemonLogger
  readonly settings: StateSettings
}

/** The state in the node's store, and whose keys it holds. */
export class NodeState implements StateService, AsyncDisposable {
  readonly state: State
  readonly #backend: OpenBackend
  readonly #options: NodeStateOptions
  #namespaces: Namespaces

  private constructor(state: State, backend: OpenBackend, options: NodeStateOptions) {
    this.state = state
    this.#backend = backend
    this.#options = options
    this.#namespaces = new Namespaces(options.settings.grants)
  }

  /** @throws errors of backends on a server; then nothing is left open */
  static async open(options: NodeStateOptions): Promise<NodeState> {
    const { clock, logger, settings } = options
    const opened = await openBackend(options)
    try {
      const state = await State.open({ backend: opened.backend, clock, logger, maxBytes: settings.maxBytes })
      return new NodeState(state, opened, options)
    } catch (error) {
      await opened.close()
      throw error
    }
  }

  /** For requests to come. */
  setGrants(grants: StateSettings['grants']): void {
    this.#namespaces = new Namespaces(grants)
  }

  as(app: AppId | undefined): StateOfApp {
    const namespaces = this.#namespaces
    const { state } = this
    const { audit } = this.#options
    return {
      app: app ?? '',
      keyOf: (text, isWrite) => namespaces.keyOf(text, app, isWrite),
      streamAt: (stream, offset) => this.#streamAt(stream, offset),
      append: (events, expected, idempotencyKey) => this.#append(app, events, expected, idempotencyKey),
      get: (text) => state.get(namespaces.keyOf(text, app, false)),
      scan: (text, after, limit, atRevision) => {
        const prefix = namespaces.prefixOf(text, app)
        const behind = after === undefined ? undefined : namespaces.keyOf(after, app, false)
        return state.scan({ prefix, after: behind, limit, atRevision })
      },
      txn: (request) => audit.txn(app, request, () => state.txn(request)),
      watch: (text, from, signal) => state.watch(namespaces.prefixOf(text, app), from, signal),
      prefixOf: (text) => namespaces.prefixOf(text, app),
      locks: auditedLocks(state, audit, app),
      dedup: auditedDedup(state, audit, app),
      limits: auditedLimits(state, audit, app),
    }
  }

  info(): Promise<StateInfo> {
    return this.state.info()
  }

  export(request: ExportRequest): ReturnType<State['export']> {
    return this.state.export(request)
  }

  import(request: ImportRequest): Promise<ImportReport> {
    const run = (): Promise<ImportReport> => this.state.import(request)
    return request.isRehearsal ? run() : this.#options.audit.import(request, run)
  }

  check(repairs: boolean, signal: AbortSignal): Promise<StateCheck> {
    const run = (): Promise<StateCheck> => this.state.check(repairs, signal)
    return repairs ? this.#options.audit.repair(run) : run()
  }

  compact(): Promise<void> {
    return this.state.compact()
  }

  async close(): Promise<void> {
    await this.state.close()
    await this.#backend.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #streamAt(stream: string, offset: number): Condition {
    const streamNumber = this.#options.store.numberOfStream(stream)
    if (streamNumber === undefined) {
      throw new StreamIdError(
        `this node has no stream '${stream.slice(0, 200)}' of its own; millrace streams lists them`,
      )
    }
    return { kind: 'stream', streamNumber, offset }
  }

  #append(
    app: AppId | undefined,
    events: readonly NewEvent[],
    expected: readonly (number | undefined)[],
    idempotencyKey: string | undefined,
  ): Append {
    if (app === undefined) throw new StateForbiddenError('events are stored for an app: ask with its token')
    const { events: service, clock } = this.#options
    const routed = events.map(({ tags, payload }) => ({ tags, payload, ...service.router.decide(tags, app) }))
    return {
      request: {
        appId: app,
        timestamp: clock.nowMicros(),
        events: routed.map(({ tags, payload, streamNumber }) => ({ tags, payload, streamNumber })),
      },
      expected: routed.flatMap(({ streamNumber, into }, at) => {
        const offset = expected[at]
        return offset === undefined ? [] : [{ streamNumber, stream: into, offset }]
      }),
      idempotencyKey,
    }
  }
}

async function openBackend({ store, topic, clock, settings }: NodeStateOptions): Promise<OpenBackend> {
  const { backend, url } = settings
  if (backend === 'memory') return ownBackend(memoryBackend(store.state))
  if (backend === 'embedded' || url === undefined) return ownBackend(embeddedBackend(store.state))
  const scope = `${store.nodeId}/${topic}`
  return openRemoteBackend({ kind: backend, url, scope, local: store.state, nowMicros: clock.nowMicros() })
}

/** The store closes what is in it. */
function ownBackend(backend: OpenBackend['backend']): OpenBackend {
  return { backend, close: () => Promise.resolve() }
}
