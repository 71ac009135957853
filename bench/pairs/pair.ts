import type { Session } from '../peer.js'

/** Two servers of a system, of which the second holds what the first is given. */
export interface Pair {
  /** The same as that of the single server. */
  readonly name: string
  /** Starts the first one, empty. */
  start(directory: string): Promise<PairSession>
}

export interface PairSession {
  readonly first: Session
  /** Starts the second one, empty; it knows of the first. */
  join(directory: string): Promise<SecondServer>
  /** To be called when the second one is stopped. */
  stop(): Promise<void>
}

export interface SecondServer {
  readonly session: Session
  /** Whether it holds all that the first one holds. */
  isLevel(): Promise<boolean>
  /** TCP ports through which the two talk to each other. */
  readonly ports: readonly number[]
}
