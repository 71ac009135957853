import { isIP } from 'node:net'
import { hostname } from 'node:os'
import type { AccessRules } from './options.js'

/** Answers remembered per header text; browsers and clients send few different ones. */
const REMEMBERED = 1024

/**
 * Which `Host` and `Origin` a request may carry. Both guard against web pages in the user's browser: one that makes its
 * own name resolve to loopback, and one that simply calls loopback.
 */
export class AccessGuard {
  readonly #hosts: ReadonlySet<string>
  readonly #origins: ReadonlySet<string>
  readonly #knownHosts = new Map<string, boolean>()
  readonly #knownOrigins = new Map<string, boolean>()

  constructor({ hosts, origins }: AccessRules) {
    this.#hosts = new Set(['localhost', hostname(), ...hosts].map((name) => name.toLowerCase()))
    this.#origins = new Set(origins.map((origin) => origin.toLowerCase()))
  }

  /** An absent header (HTTP/1.0) names no foreign host. */
  admitsHost(host: string | undefined): boolean {
    return host === undefined || remember(this.#knownHosts, host, (text) => this.#decideHost(text))
  }

  /** An absent header is no web page of another origin. */
  admitsOrigin(origin: string | undefined): boolean {
    return origin === undefined || remember(this.#knownOrigins, origin, (text) => this.#decideOrigin(text))
  }

  #decideHost(text: string): boolean {
    const name = withoutPort(text).toLowerCase()
    return isAddress(name) || this.#hosts.has(name) || this.#hosts.has(text.toLowerCase())
  }

  #decideOrigin(text: string): boolean {
    const origin = text.toLowerCase()
    if (this.#origins.has(origin)) return true
    const authority = /^https?:\/\/([^/?#@]+)$/.exec(origin)?.[1]
    return authority !== undefined && isLoopback(withoutPort(authority))
  }
}

/** Whether an address or name means this machine. */
export function isLoopback(address: string): boolean {
  const bare = address.replace(/^\[(.*)\]$/, '$1').replace(/^::ffff:/, '')
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'))
}

function isAddress(name: string): boolean {
  return isIP(name) !== 0 || (name.startsWith('[') && name.endsWith(']') && isIP(name.slice(1, -1)) === 6)
}

function withoutPort(authority: string): string {
  return authority.replace(/:[0-9]*$/, '')
}

function remember(known: Map<string, boolean>, text: string, decide: (text: string) => boolean): boolean {
  let answer = known.get(text)
  if (answer === undefined) {
    answer = decide(text)
    if (known.size >= REMEMBERED) known.clear()
    known.set(text, answer)
  }
  return answer
}
