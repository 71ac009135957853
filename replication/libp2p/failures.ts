import type { FailureReason, PeerFailure } from '../transport.js'
import { NetworkKeyError } from '../transport-errors.js'

/** What system errors mean, in words that continue "the peer at ADDRESS". */
const SYSTEM: Readonly<Record<string, readonly [FailureReason, string]>> = {
  ECONNREFUSED: ['refused', 'is not listening: the connection was refused'],
  ENETUNREACH: ['unreachable', 'is in a network to which there is no way'],
  EHOSTUNREACH: ['unreachable', 'does not answer: no route to the host'],
  EADDRNOTAVAIL: ['unreachable', 'has an address that cannot be reached from here'],
  EHOSTDOWN: ['unreachable', 'is down'],
  ENOTFOUND: ['unreachable', 'has a name that is not known'],
  EAI_AGAIN: ['unreachable', 'has a name that could not be looked up'],
  ETIMEDOUT: ['timeout', 'did not answer in time'],
  ECONNRESET: ['broken-off', 'ended the connection'],
  EPIPE: ['broken-off', 'ended the connection'],
}

/** What errors of libp2p mean, by name. */
const NAMED: Readonly<Record<string, readonly [FailureReason, string]>> = {
  TimeoutError: ['timeout', 'did not answer in time'],
  AbortError: ['timeout', 'did not answer in time'],
  ConnectionEndedError: ['broken-off', 'ended the connection at once: it may be full, or not want us for now'],
  UnexpectedEOFError: ['broken-off', 'ended the connection in the middle of the greeting'],
  UnexpectedPeerError: ['identity', 'is another node than expected'],
  InvalidPeerIdError: ['identity', 'is this node itself'],
  DNSLookupError: ['unreachable', 'has a name that could not be looked up'],
  NoValidAddressesError: ['unreachable', 'has no address that can be dialled from here'],
  ConnectionDeniedError: ['misbehaved', 'is not wanted for now'],
  ConnectionInterceptedError: ['misbehaved', 'is not wanted for now'],
  DialDeniedError: ['misbehaved', 'is not wanted for now'],
}

/** The most telling comes first: of several addresses one may be unreachable, and the other have the wrong key. */
const TELLING: readonly FailureReason[] = [
  'network-key',
  'identity',
  'misbehaved',
  'broken-off',
  'refused',
  'timeout',
  'unreachable',
]

/** Why an attempt to connect failed, as the operator should read it. */
export function describeFailure(error: unknown, address: string, atMicros: number): PeerFailure {
  const found = leaves(error)
    .map(classify)
    .sort(([one], [other]) => TELLING.indexOf(one) - TELLING.indexOf(other))
  const [reason, what] = found[0] ?? ['timeout', 'did not answer in time']
  return { reason, message: `the peer at ${address} ${what}`, atMicros }
}

function classify(error: Error): readonly [FailureReason, string] {
  if (error instanceof NetworkKeyError) return ['network-key', error.message]
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const known = SYSTEM[code] ?? NAMED[error.name]
  if (known !== undefined) return known
  if (/remote identity key|unexpected peer/i.test(error.message)) {
    return ['identity', 'is another node than expected']
  }
  return ['broken-off', `failed: ${error.message}`]
}

/** All errors within an error, without those that only contain others. */
function leaves(error: unknown, depth = 0): Error[] {
  if (!(error instanceof Error)) return []
  if (depth > 5) return [error]
  if (error instanceof AggregateError) return error.errors.flatMap((inner) => leaves(inner, depth + 1))
  return [error]
}
