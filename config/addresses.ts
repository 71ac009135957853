import { isIPv4, isIPv6 } from 'node:net'
import { InvalidSettingError } from './setting.js'

/** Where the API listens. */
export interface ListenAddress {
  /** An IP address or a name that resolves to one. */
  readonly host: string
  /** 0 takes any free port. */
  readonly port: number
}

const EXPECTED = 'expected host:port, such as 127.0.0.1:4454 or [::1]:4454'

/** @throws InvalidSettingError */
export function parseListenAddress(text: string): ListenAddress {
  if (isIPv6(text)) throw new InvalidSettingError(EXPECTED, `IPv6 addresses stand in brackets: [${text}]:4454`)
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]\s]*)):([0-9]{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (digits === undefined || host === undefined) throw new InvalidSettingError(EXPECTED, mendAddress(text))
  if (host === '') throw new InvalidSettingError('the host is missing', `did you mean '127.0.0.1:${digits}'?`)
  if (bracketed !== undefined && !isIPv6(bracketed)) throw new InvalidSettingError(`'${host}' is no IPv6 address`)
  if (/^[0-9.]+$/.test(host) && !isIPv4(host)) throw new InvalidSettingError(`'${host}' is no IPv4 address`)
  if (!/^[A-Za-z0-9._:%-]+$/.test(host)) throw new InvalidSettingError(`'${host}' is no host name`)
  const port = Number(digits)
  if (port > 65_535) throw new InvalidSettingError(`port ${digits} is beyond 65535`)
  return { host, port }
}

/** @returns the origin as browsers send it: lower case, no path. @throws InvalidSettingError */
export function parseOrigin(text: string): string {
  const [origin] = /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s@]+/i.exec(text) ?? []
  if (origin === undefined) {
    throw new InvalidSettingError(
      `'${text}' is no origin`,
      text === '*' ? 'name each origin, such as https://app.example' : 'scheme://host or scheme://host:port',
    )
  }
  if (origin !== text)
    throw new InvalidSettingError(`'${text}' is no origin`, `did you mean '${origin.toLowerCase()}'?`)
  return origin.toLowerCase()
}

function mendAddress(text: string): string | undefined {
  if (/^[0-9]{1,5}$/.test(text)) return `did you mean '127.0.0.1:${text}'?`
  if (/^[A-Za-z0-9.-]+$/.test(text)) return `the port is missing; did you mean '${text}:4454'?`
  const [, rest] = /^https?:\/\/([^/]+)\/?$/.exec(text) ?? []
  return rest === undefined ? undefined : `did you mean '${rest}'?`
}
