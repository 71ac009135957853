import { setMaxListeners } from 'node:events'
import type { Server } from 'node:http'
import { AccessGuard } from './access.js'
import { addAuditRoutes } from './audit-routes.js'
import { addBlobRoutes } from './blob-routes.js'
import { addConsoleRoutes } from './console-routes.js'
import type { ApiContext } from './context.js'
import { newCounters, type ApiCounters } from './counters.js'
import { addConfigRoutes } from './config-routes.js'
import { addEventRoutes } from './event-routes.js'
import { HttpHandler } from './http-handler.js'
import { Http2Sessions } from './http2.js'
import { addKeepingRoutes } from './keeping-routes.js'
import { listenOnPath, listenOnTcp, newServer } from './listener.js'
import { MemoryBudget } from './memory-budget.js'
import { addIngestRoutes } from './ingest-routes.js'
import { addLogRoutes } from './log-routes.js'
import { addNodeRoutes } from './node-routes.js'
import { addOperatorRoutes } from './operator-routes.js'
import { addOpsRoutes } from './ops-routes.js'
import { DEFAULT_TIMERS, type AccessRules, type ApiOptions } from './options.js'
import { addQueryRoutes } from './query-routes.js'
import { Routes } from './routes.js'
import { addDedupRoutes } from './dedup-routes.js'
import { addLimitRoutes } from './limit-routes.js'
import { addLockRoutes } from './lock-routes.js'
import { addStateRoutes } from './state-routes.js'
import { addStateTransferRoutes } from './state-transfer-routes.js'
import { SocketUpgrade } from './socket-upgrade.js'
import { addStreamRoutes } from './stream-routes.js'

/** What the API has bound and counted; closing it is the only way to end it. */
export interface Api extends AsyncDisposable {
  /** `host:port` of each TCP address in the order of the options, with the port that was taken. */
  readonly addresses: readonly string[]
  /** Path of the Unix socket, if there is one. */
  readonly socket: string | undefined
  readonly counters: Readonly<ApiCounters>
  /** Bytes of requests in flight. */
  readonly memoryBytes: number
  /** Replaces the rules for requests to come; connections stay. */
  setAccess(access: AccessRules): void
  /** Stops accepting, ends streams, waits for what is under way (at most 5 s), then cuts. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts the app API: resolves when everything listens.
 *
 * @throws AddressInUseError; then nothing listens
 */
export async function createApi(options: ApiOptions): Promise<Api> {
  const closing = new AbortController()
  // Every stream over HTTP listens to it.
  setMaxListeners(0, closing.signal)
  const context: ApiContext = {
    options,
    timers: { ...DEFAULT_TIMERS, ...options.timers },
    budget: new MemoryBudget(options.limits.memoryBytes),
    counters: newCounters(),
    closing: closing.signal,
    access: options.access,
    guard: new AccessGuard(options.access),
  }
  const http = new HttpHandler(context, allRoutes())
  const sockets = new SocketUpgrade(context, http)
  const sessions = { tcp: new Http2Sessions(http, 'tcp'), unix: new Http2Sessions(http, 'unix') }
  const api = new ListeningApi(context, closing, sockets, [sessions.tcp, sessions.unix])
  try {
    for (const address of options.listen) await api.listen(newServer(http, sockets, sessions.tcp, 'tcp'), address)
    if (options.socket !== undefined) {
      await api.listenAt(newServer(http, sockets, sessions.unix, 'unix'), options.socket)
    }
  } catch (error) {
    await api.close()
    throw error
  }
  return api
}

function allRoutes(): Routes {
  const parts = [
    addEventRoutes,
    addStateRoutes,
    addStateTransferRoutes,
    addAuditRoutes,
    addLockRoutes,
    addDedupRoutes,
    addLimitRoutes,
    addIngestRoutes,
    addNodeRoutes,
    addBlobRoutes,
    addOpsRoutes,
    addConsoleRoutes,
    addStreamRoutes,
    addConfigRoutes,
    addOperatorRoutes,
    addQueryRoutes,
    addLogRoutes,
    addKeepingRoutes,
  ]
  return parts.reduce((routes, add) => add(routes), new Routes())
}

class ListeningApi implements Api {
  readonly addresses: string[] = []
  socket: string | undefined
  readonly #context: ApiContext
  readonly #closing: AbortController
  readonly #sockets: SocketUpgrade
  readonly #sessions: readonly Http2Sessions[]
  readonly #servers: Server[] = []
  #closed: Promise<void> | undefined

  constructor(
    context: ApiContext,
    closing: AbortController,
    sockets: SocketUpgrade,
    sessions: readonly Http2Sessions[],
  ) {
    this.#sessions = sessions
    this.#context = context
    this.#closing = closing
    this.#sockets = sockets
  }

  get counters(): Readonly<ApiCounters> {
    return this.#context.counters
  }

  get memoryBytes(): number {
    return this.#context.budget.used
  }

  async listen(server: Server, address: ApiOptions['listen'][number]): Promise<void> {
    this.addresses.push(await listenOnTcp(server, address))
    this.#servers.push(server)
  }

  async listenAt(server: Server, path: string): Promise<void> {
    this.socket = await listenOnPath(server, path)
    this.#servers.push(server)
  }

  setAccess(access: AccessRules): void {
    this.#context.access = access
    this.#context.guard = new AccessGuard(access)
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#shutdown())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shutdown(): Promise<void> {
    const ended = this.#servers.map(
      (server) =>
        new Promise((resolve) => {
          server.close(resolve)
        }),
    )
    this.#closing.abort()
    this.#sockets.end()
    for (const sessions of this.#sessions) sessions.close()
    for (const server of this.#servers) server.closeIdleConnections()
    const cut = setTimeout(() => {
      this.#sockets.terminate()
      for (const sessions of this.#sessions) sessions.terminate()
      for (const server of this.#servers) server.closeAllConnections()
    }, this.#context.timers.closeMs)
    await Promise.all(ended)
    clearTimeout(cut)
  }
}
