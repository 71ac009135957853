import type { NodeId, StreamId } from '../core/index.js'
import type { ArrivalSet } from './arrival-set.js'
import type { Database } from './database.js'

/** How far an own stream is known to have got, from elsewhere than the database. */
export interface KnownEnd {
  readonly nextOffset: number
  /** What lies before must be there; beyond, a power cut may have taken it in the modes that do not wait for the disk. */
  readonly surelyOnDisk: number
}

/** What the parts of a check share. */
export interface CheckContext {
  readonly topic: string
  readonly nodeId: NodeId
  readonly meta: Database
  readonly blocks: Database
  /** Blocks that the index names. */
  readonly named: ArrivalSet
  readonly nowMicros: number
  readonly knownEnd: (stream: StreamId) => KnownEnd | undefined
  /** Does something while nothing is sealed or pruned. */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>
  /** Lets other work go first. @throws when the check is to end */
  readonly giveWay: (workedMs: number) => Promise<void>
}
