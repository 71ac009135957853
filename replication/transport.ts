import type { NodeId } from '../core/index.js'

/** Longest message of {@link Transport.broadcast}, bytes: far below what stops a gossip stream for good (4 MiB). */
export const MAX_BROADCAST_BYTES = 256 * 1024
/** Longest request of {@link Transport.request}, bytes. */
export const MAX_REQUEST_BYTES = 256 * 1024
/** Longest single message of an answer, bytes: a sealed block that is one event of the greatest size fits. */
export const MAX_ANSWER_BYTES = 20 * 1024 * 1024
/** Requests of one peer that are answered at a time; one more is refused as busy. */
export const MAX_REQUESTS_PER_PEER = 8
/** Requests of all peers that are answered at a time. */
export const MAX_REQUESTS = 64

/** What a validator says: pass it on, drop it without blame, or drop it and blame whoever passed it on. */
export type Verdict = 'accept' | 'ignore' | 'reject'

/**
 * Decides about a broadcast before it is passed on, and takes what it accepts. Called once per message, in order of
 * arrival per neighbour; a slow one holds up that neighbour and nobody else. What it throws counts as `ignore`.
 *
 * @param message must not be changed
 * @param from the neighbour that passed it on, not necessarily the one that made it
 */
export type BroadcastValidator = (message: Uint8Array, from: NodeId) => Promise<Verdict>

/**
 * Answers a request with any number of messages, each at most {@link MAX_ANSWER_BYTES}. It is asked for the next one
 * only when the peer has room. What it throws ends the answer; the peer gets the text of a `MillraceError`.
 *
 * @param signal aborted when the peer went away or no longer wants the answer
 */
export type RequestHandler = (peer: NodeId, request: Uint8Array, signal: AbortSignal) => AsyncIterable<Uint8Array>

/** How a link to a peer failed. For people there is the message; this is for counting and choosing. */
export type FailureReason =
  /** The network key there is another one, or there is none. */
  | 'network-key'
  /** Somebody else than expected answered. */
  | 'identity'
  /** There is no way to the address, or its name is unknown. */
  | 'unreachable'
  /** The machine answers, nothing listens on the port. */
  | 'refused'
  /** No answer in time. */
  | 'timeout'
  /** The connection ended. */
  | 'broken-off'
  /** Connected, but broadcasts no longer came through. */
  | 'dead-link'
  /** Cut for what the peer did. */
  | 'misbehaved'

/** The last thing that went wrong with a peer. */
export interface PeerFailure {
  readonly reason: FailureReason
  /** A sentence for the operator. */
  readonly message: string
  /** Microseconds since 1970. */
  readonly atMicros: number
}

/** Where the knowledge of a peer comes from. */
export type PeerSource = 'configured' | 'discovered' | 'learnt' | 'incoming'

/** A peer as the operator sees it. */
export interface PeerStatus {
  /** `undefined` for a configured address without a node id that has never answered. */
  readonly nodeId: NodeId | undefined
  readonly source: PeerSource
  /** `waiting`: dialled again when `nextDialMicros` has come. `cut`: not wanted for a while. */
  readonly state: 'connected' | 'connecting' | 'waiting' | 'cut'
  /** Multiaddrs under which it is dialled; for a connected peer the one in use comes first. */
  readonly addresses: readonly string[]
  /** Who began the connection in use. */
  readonly direction: 'inbound' | 'outbound' | undefined
  /** Since when it is connected, or has not been; microseconds since 1970. */
  readonly sinceMicros: number
  readonly nextDialMicros: number | undefined
  /** Attempts in a row that failed. */
  readonly failures: number
  /** Kept while connected too: it says why the link before this one ended. */
  readonly failure: PeerFailure | undefined
  /** Round trip of the last probe over the very streams that carry broadcasts. */
  readonly roundTripMs: number | undefined
}

/** What a transport tells its listeners. */
export type TransportEvent =
  /** `address` is that of the other end: where it listens, or only where it came from. */
  | { readonly kind: 'connected'; readonly peer: NodeId; readonly address: string }
  | { readonly kind: 'gone'; readonly peer: NodeId; readonly failure: PeerFailure }
  /** An attempt to connect failed; `address` is what was tried, or where somebody came from who was refused. */
  | {
      readonly kind: 'failed'
      readonly peer: NodeId | undefined
      readonly address: string
      readonly failure: PeerFailure
    }

/** Counts since the transport was opened. */
export interface TransportCounters {
  /** Broadcasts, made or passed on, counted once per neighbour; with their bytes. */
  readonly sentMessages: number
  readonly sentBytes: number
  readonly receivedMessages: number
  readonly receivedBytes: number
  /** Broadcasts that came again and were dropped unseen. */
  readonly duplicates: number
  /** Broadcasts that the validator refused. */
  readonly rejected: number
  /** Broadcasts not sent to a neighbour because too much waited for it already. */
  readonly dropped: number
  /** Requests made and answered, and the bytes of answers. */
  readonly requestsSent: number
  readonly requestsAnswered: number
  readonly answerBytesSent: number
  readonly answerBytesReceived: number
  /** Connections that ended because of the network key, theirs or ours. */
  readonly keyMismatches: number
  /** Peers that were cut. */
  readonly cuts: number
}

/** What a request may take. */
export interface RequestOptions {
  /** Ends the request; the iteration throws an `AbortedError`. */
  readonly signal: AbortSignal
}

/**
 * How nodes of one swarm reach each other. Nothing in it knows events. Peers go by their node id, which the transport
 * has verified. Broadcasts may be lost, come late and in any order; what was missed is found out and fetched by whoever
 * uses the transport. All memory is bounded: what exceeds a limit is dropped, refused or held up, never collected.
 */
export interface Transport extends AsyncDisposable {
  readonly nodeId: NodeId
  /** Multiaddrs that others may dial, with the own peer id. */
  addresses(): readonly string[]
  /** Everybody who is connected, or should be, or was cut. */
  peers(): readonly PeerStatus[]
  /** The connected ones only. */
  connectedPeers(): readonly NodeId[]
  counters(): TransportCounters
  /** @returns what ends the subscription. Listeners must not throw. */
  subscribe(listener: (event: TransportEvent) => void): () => void

  /**
   * Sends to all nodes of the swarm, over several hops. The same bytes again within half a minute are dropped.
   * Resolves when the quickest neighbour has room for more, so who waits for it sends as fast as the network takes;
   * slower neighbours miss messages instead of holding up all.
   *
   * @returns how many neighbours it went to; 0 when there are none
   * @throws MessageTooLargeError above {@link MAX_BROADCAST_BYTES}
   */
  broadcast(message: Uint8Array): Promise<number>
  /** There is one validator; without one all broadcasts are ignored. */
  onBroadcast(validator: BroadcastValidator): void

  /**
   * Asks one connected peer. The iteration takes as much as the caller takes: the peer waits. Ending it early ends the
   * answer.
   *
   * @throws (from the iteration) PeerUnreachableError when not connected, PeerBusyError when the peer answers too many
   * already, PeerFailedError when the answer breaks off, stalls or breaks the protocol, AbortedError
   */
  request(peer: NodeId, request: Uint8Array, options: RequestOptions): AsyncIterable<Uint8Array>
  /** There is one handler; without one all requests are refused. */
  onRequest(handler: RequestHandler): void

  /** Counts against a peer: 100 points within some minutes cut it. A rejected broadcast counts 10 by itself. */
  blame(peer: NodeId, points: number, reason: string): void
  /** Ends the connection at once; the peer is not wanted for a minute, each further time for twice as long. */
  cut(peer: NodeId, reason: string): void

  /** Idempotent, takes at most 2 s. Requests under way end with an error. */
  close(): Promise<void>
}
