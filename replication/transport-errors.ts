import { MillraceError, type NodeId } from '../core/index.js'

/** The network key or an address is not what it should be. Found before anything is opened. */
export class SwarmSettingError extends MillraceError {
  readonly code = 'ERR_SWARM_SETTING'
}

/** The swarm port cannot be opened. */
export class SwarmListenError extends MillraceError {
  readonly code = 'ERR_SWARM_LISTEN'
}

/** The transport was closed, before or meanwhile. */
export class SwarmClosedError extends MillraceError {
  readonly code = 'ERR_SWARM_CLOSED'

  constructor() {
    super('the swarm is closed')
  }
}

/** A message above the limit of its kind was about to be sent. */
export class MessageTooLargeError extends MillraceError {
  readonly code = 'ERR_MESSAGE_TOO_LARGE'

  constructor(kind: string, bytes: number, limit: number) {
    super(`a ${kind} of ${String(bytes)} bytes is above the limit of ${String(limit)} bytes`)
  }
}

/** No connection to that peer. */
export class PeerUnreachableError extends MillraceError {
  readonly code = 'ERR_PEER_UNREACHABLE'

  constructor(peer: NodeId, cause?: unknown) {
    super(`there is no connection to ${peer}`, { cause })
  }
}

/** The peer answers as many requests as it may: ask another one, or later. */
export class PeerBusyError extends MillraceError {
  readonly code = 'ERR_PEER_BUSY'

  constructor(peer: NodeId) {
    super(`${peer} answers too many requests already`)
  }
}

/** An answer broke off, stalled, or was none. */
export class PeerFailedError extends MillraceError {
  readonly code = 'ERR_PEER_FAILED'

  constructor(peer: NodeId, what: string, cause?: unknown) {
    super(`${peer} ${what}`, { cause })
  }
}

/** A connection ended because the network keys differ. The message completes a sentence that begins with the peer. */
export class NetworkKeyError extends MillraceError {
  readonly code = 'ERR_NETWORK_KEY'
}
