import type { StreamId } from '../core/index.js'
import type { AlarmReport, PeerReport } from './peers.js'

/** Something that somebody has to look after, of a node or its swarm. */
export interface NodeAlarmReport extends AlarmReport {
  readonly kind: 'fork' | 'gap' | 'clock' | 'disk' | 'key' | 'damage' | 'peer' | 'limit'
  /** What exactly, for programs. */
  readonly reason: string
}

/** A stream that is not somewhere in whole. */
export interface MissingReport {
  readonly stream: StreamId
  /** Offset after the newest event that is there. */
  readonly nextOffset: number
  readonly missing: number
  /** Age of the oldest missing event, µs; `null` when the asked node does not hold it either. */
  readonly behind: number | null
}

/** Another node of the swarm; times are µs since 1970. */
export interface SwarmNodeReport {
  readonly nodeId: string | null
  readonly state: PeerReport['state']
  readonly since: number
  readonly addresses: readonly string[]
  readonly roundTripMs: number | null
  readonly status: string | null
  readonly error: string | null
  readonly errorAt: number | null
  /** What is missing there is of that time; `null` when it is not known. */
  readonly comparedAt: number | null
  /** Streams that it did not have in whole then; of all others nothing is missing. */
  readonly missing: readonly MissingReport[]
}

/** A stream of the swarm. */
export interface SwarmStreamReport {
  readonly stream: StreamId
  /** Node id of the node that writes it. */
  readonly owner: string
  readonly name: string | null
  readonly own: boolean
  readonly nextOffset: number
  /** Offset after the newest event that its owner has signed, as far as the asked node has heard. */
  readonly knownOffset: number
}

/** Who is in the swarm, and who has what of whom. */
export interface SwarmReport {
  readonly swarm: boolean
  /** The node that was asked. */
  readonly nodeId: string
  readonly topic: string
  /** Its clock, µs since 1970. */
  readonly now: number
  readonly addresses: readonly string[]
  readonly streams: readonly SwarmStreamReport[]
  /** What is missing on the asked node. */
  readonly missing: readonly MissingReport[]
  readonly nodes: readonly SwarmNodeReport[]
}
