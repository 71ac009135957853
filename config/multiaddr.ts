import { isIPv4, isIPv6 } from 'node:net'
import { nearestWord, nodeIdOfPeer } from '../core/index.js'
import { clip } from './problem.js'
import { InvalidSettingError } from './setting.js'

/** What a multiaddr is for: to listen on, to be told to others, or to be dialled. */
export type AddressUse = 'listen' | 'announce' | 'dial'

/** One name of a multiaddr and where it stands. */
interface Word {
  readonly text: string
  readonly at: number
}

const HOSTS = ['ip4', 'ip6', 'dns', 'dns4', 'dns6', 'dnsaddr'] as const
type Host = (typeof HOSTS)[number]

/** Other ways to reach a peer that multiaddrs can name. */
const OTHER_TRANSPORTS = new Set(['udp', 'quic', 'quic-v1', 'ws', 'wss', 'tls', 'sctp', 'webtransport', 'webrtc'])

const LONGEST_NAME = 253

/**
 * Checks a multiaddr as peers can have it: a host, TCP and a port, and behind it the peer id where that has a meaning.
 *
 * @throws InvalidSettingError that points at the part that is wrong
 */
export function checkMultiaddr(text: string, use: AddressUse): string {
  if (!text.startsWith('/')) throw new InvalidSettingError(`'${clip(text)}' is no multiaddr`, mendStart(text))
  const [host, name, ...rest] = wordsOf(text)
  if (host === undefined || name === undefined) throw at(host, 'an address is missing', EXAMPLE)
  checkHost(host, name, use)
  const behind = host.text === 'dnsaddr' ? rest : checkPort(text, rest, use)
  checkPeer(behind, use)
  return text
}

const EXAMPLE = 'such as /ip4/192.168.1.2/tcp/4001'

function wordsOf(text: string): Word[] {
  let at = 1
  return text
    .slice(1)
    .split('/')
    .map((word) => {
      const found = { text: word, at }
      at += word.length + 1
      return found
    })
}

function checkHost(host: Word, name: Word, use: AddressUse): void {
  if (!isHost(host.text)) {
    const nearest = nearestWord(host.text, HOSTS)
    const mend = nearest === undefined ? `an address begins with /${HOSTS.join('/, /')}/` : `did you mean '${nearest}'?`
    throw at(host, `unknown kind of address '${clip(host.text)}'`, mend)
  }
  const fault = FAULTS[host.text](name.text)
  if (fault !== undefined) throw at(name, `'${clip(name.text)}' is no ${fault}`, EXAMPLE)
  if (use === 'listen' && !host.text.startsWith('ip')) {
    throw at(host, 'a node listens on IP addresses only', '/ip4/0.0.0.0/tcp/4001 is all IPv4 addresses of this machine')
  }
  if (use !== 'listen' && /^(0\.0\.0\.0|[0:]+)$/.test(name.text)) {
    throw at(name, 'this stands for all own addresses and cannot be dialled', 'name one address')
  }
}

function isHost(text: string): text is Host {
  return (HOSTS as readonly string[]).includes(text)
}

/** What the value behind each kind of address should be, if it is not that. */
const FAULTS: Readonly<Record<Host, (name: string) => string | undefined>> = {
  ip4: (name) => (isIPv4(name) ? undefined : 'IPv4 address'),
  ip6: (name) => (isIPv6(name) && !name.includes('%') ? undefined : 'IPv6 address'),
  dns: faultOfName,
  dns4: faultOfName,
  dns6: faultOfName,
  dnsaddr: faultOfName,
}

function faultOfName(name: string): string | undefined {
  const isName = name.length <= LONGEST_NAME && /^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9.])?$/.test(name)
  return isName ? undefined : 'host name'
}

/** @returns what stands behind the port */
function checkPort(text: string, [transport, port, ...rest]: readonly Word[], use: AddressUse): readonly Word[] {
  if (transport === undefined || transport.text === '') {
    throw new InvalidSettingError('the port is missing', `did you mean '${text.replace(/\/$/, '')}/tcp/4001'?`)
  }
  if (transport.text !== 'tcp') {
    const reason = OTHER_TRANSPORTS.has(transport.text)
      ? `peers are reached over tcp only, not '${transport.text}'`
      : `expected 'tcp', found '${clip(transport.text)}'`
    throw at(transport, reason, EXAMPLE)
  }
  const least = use === 'listen' ? 0 : 1
  if (port === undefined || port.text === '') throw at(transport, 'the port is missing', EXAMPLE)
  if (!/^(0|[1-9][0-9]{0,4})$/.test(port.text) || Number(port.text) > 65_535 || Number(port.text) < least) {
    throw at(port, `'${clip(port.text)}' is no port`, `a number from ${String(least)} to 65535`)
  }
  return rest
}

function checkPeer([kind, peer, ...more]: readonly Word[], use: AddressUse): void {
  if (kind === undefined) return
  if (kind.text === '') throw at(kind, "a '/' too many at the end")
  if (kind.text !== 'p2p') {
    const mend = kind.text === 'ipfs' ? "did you mean 'p2p'?" : 'only /p2p/ and a peer id may stand behind the port'
    throw at(kind, `'${clip(kind.text)}' cannot stand here`, mend)
  }
  if (use !== 'dial') throw at(kind, 'an own address has no peer id', 'leave out /p2p/ and what follows')
  if (peer === undefined || nodeIdOfPeer(peer.text) === undefined) {
    const reason = peer === undefined ? 'the peer id is missing' : `'${clip(peer.text)}' is no peer id of a node`
    throw at(
      peer ?? kind,
      reason,
      'a peer id begins with 12D3KooW and has 52 characters; without /p2p/ any node is taken',
    )
  }
  const [next] = more
  if (next !== undefined) throw at(next, 'nothing may follow the peer id')
}

function at(word: Word | undefined, reason: string, mend?: string): InvalidSettingError {
  return new InvalidSettingError(reason, mend, word?.at)
}

/** For what looks like another way to write an address. */
function mendStart(text: string): string {
  const [, bracketed, plain, port = '4001'] =
    /^(?:[a-z]+:\/\/)?(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::([0-9]{1,5}))?\/?$/.exec(text.slice(0, 300)) ?? []
  const host = isIPv6(text) ? text : (bracketed ?? plain)
  if (host === undefined || host === '') return EXAMPLE
  const kind = isIPv4(host) ? 'ip4' : isIPv6(host) ? 'ip6' : 'dns'
  return `did you mean '/${kind}/${host}/tcp/${port}'?`
}
