import type { ApiContext } from './context.js'
import type { Exchange } from './exchange.js'
import type { Produced } from './negotiate.js'

/**
 * `none`: everybody. `app`: only with a token. `local`: everybody on this machine, elsewhere with a token; a token that is
 * given must be good. `insider`: as `local`, but from elsewhere only with an operator's token. `manager`: over the Unix
 * socket, whose mode decides, or with an operator's token. `operator`: over the Unix socket only, for what no token that may
 * be stolen from a browser should do. `owner`: with a token, and over the Unix socket without.
 */
export type Admission = 'none' | 'app' | 'local' | 'insider' | 'manager' | 'operator' | 'owner'

/** What can be done with a resource by one method. */
export interface Action {
  readonly admission: Admission
  /** Checked against `accept`, the usual type first; absent for no check. */
  readonly produces?: Produced | readonly Produced[]
  /** Whether the request carries JSON. */
  readonly takesJson?: true
  /** What it throws becomes the answer. */
  readonly run: (exchange: Exchange, context: ApiContext) => Promise<void> | void
}

/** Method → action. `HEAD` need not be named: it is answered like `GET`. */
export type Resource = ReadonlyMap<string, Action>

/** All resources of the API. */
export class Routes {
  readonly #exact = new Map<string, Resource>()
  readonly #below: (readonly [prefix: string, resource: Resource])[] = []

  /** The resource at exactly this path. */
  at(path: string, actions: Readonly<Record<string, Action>>): this {
    this.#exact.set(path, new Map(Object.entries(actions)))
    return this
  }

  /** The resource at this path and at everything below it. */
  below(path: string, actions: Readonly<Record<string, Action>>): this {
    const resource = new Map(Object.entries(actions))
    this.#exact.set(path, resource)
    this.#below.push([`${path}/`, resource])
    return this
  }

  /** @param path without trailing slash */
  find(path: string): Resource | undefined {
    return this.#exact.get(path) ?? this.#below.find(([prefix]) => path.startsWith(prefix))?.[1]
  }
}
