import type { AppId } from '../core/index.js'
import { StateForbiddenError, StateKeyError, StateTooLargeError } from './errors.js'
import { MAX_KEY_BYTES } from './limits.js'

/** The namespace of the daemon itself. */
const INTERNAL = 'mr'

/**
 * Which keys an app means and may touch. A key is `namespace/kind/id`. Where its first part is no namespace that is known
 * — the caller's own, one that somebody was granted, the daemon's, or an app id with a point — the caller's is put before it.
 */
export class Namespaces {
  readonly #grants: ReadonlyMap<AppId, readonly string[]>
  readonly #granted: ReadonlySet<string>

  /** @param grants which namespaces an app may touch beside its own */
  constructor(grants: ReadonlyMap<AppId, readonly string[]>) {
    this.#grants = grants
    this.#granted = new Set([...grants.values()].flat())
  }

  /**
   * The whole key.
   *
   * @param app who asks; `undefined` for the operator, who names namespaces and may read them all
   * @throws StateKeyError, StateTooLargeError, StateForbiddenError
   */
  keyOf(text: string, app: AppId | undefined, isWrite: boolean): string {
    const key = this.#whole(text, app)
    const [namespace = '', ...rest] = key.split('/')
    if (rest.length === 0 || rest.every((part) => part === '')) {
      throw new StateKeyError(
        `a key is namespace/kind/id, and ${JSON.stringify(text)} lacks what follows the namespace`,
      )
    }
    this.#check(key, namespace, app, isWrite)
    return key
  }

  /** The whole prefix of some keys; all of an app when it is empty. @throws as {@link keyOf} */
  prefixOf(text: string, app: AppId | undefined): string {
    if (app === undefined && !text.includes('/')) {
      checkText(text)
      return text
    }
    const prefix = this.#whole(text, app)
    this.#check(prefix, prefix.slice(0, prefix.indexOf('/')), app, false)
    return prefix
  }

  #whole(text: string, app: AppId | undefined): string {
    const [namespace = '', ...rest] = text.split('/')
    const isNamed = rest.length > 0 && (app === undefined || this.#isNamespace(namespace, app))
    return isNamed || app === undefined ? text : `${app}/${text}`
  }

  #isNamespace(text: string, app: AppId): boolean {
    return text === app || text === INTERNAL || this.#granted.has(text) || /^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(text)
  }

  #check(key: string, namespace: string, app: AppId | undefined, isWrite: boolean): void {
    checkText(key)
    if (namespace === INTERNAL && (isWrite || app !== undefined)) {
      throw new StateForbiddenError(`the namespace ${INTERNAL}/ is the daemon's own`)
    }
    if (app === undefined || namespace === app || this.#grants.get(app)?.includes(namespace) === true) return
    throw new StateForbiddenError(
      `the app ${app} may not touch the namespace ${namespace}; an operator can grant it by state.grants`,
    )
  }
}

function checkText(key: string): void {
  if (/\p{Cs}/u.test(key)) throw new StateKeyError('a key must be text without lone surrogates')
  const bytes = Buffer.byteLength(key)
  if (bytes > MAX_KEY_BYTES) throw new StateTooLargeError('key', bytes)
}
