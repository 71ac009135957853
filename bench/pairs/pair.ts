import type { Session } from '../peer.js'

/** What is needed of each of two servers. */
export type PairServer = Pick<Session, 'pid' | 'publisher' | 'subscribe' | 'stop'>

/** Two servers of a system, of which the second holds what the first is given. */
export interface Pair {
  /** The same as that of the single server, if that is measured too. */
  readonly name: string
  /** Why it cannot be measured here; only of a system that is measured as a pair alone. */
  missing?(): Promise<string | undefined>
  /** Starts the first one, empty. */
  start(directory: string): Promise<PairSession>
}

export interface PairSession {
  readonly first: PairServer
  /** Starts the second one, empty; it knows of the first. */
  join(directory: string): Promise<SecondServer>
  /** To be called when the second one is stopped. */
  stop(): Promise<void>
}

export interface SecondServer {
  readonly session: PairServer
  /** Whether it holds all that the first one holds. */
  isLevel(): Promise<boolean>
  /** TCP ports through which the two talk to each other. */
  readonly ports: readonly number[]
}
