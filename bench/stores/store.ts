import type { Closeable } from '../peer.js'

/** A keeper of consistent state under measurement, ours or another. */
export interface StateStore {
  readonly name: string
  /** Why it cannot be measured here; `undefined` when it can. */
  missing(): Promise<string | undefined>
  /** Starts a server of its own, empty or on what an earlier one left in the directory. */
  start(directory: string): Promise<StoreSession>
}

export interface StoreSession {
  readonly pid: number
  /** A connection with a key of its own, which has a value. */
  changer(key: string): Promise<Changer>
  /** A connection that takes a lock by turns with others. `undefined` where there are none. */
  locker?(lock: string): Promise<Locker>
  /** Makes a lock that is free, where it has to be made. */
  prepareLock?(lock: string): Promise<void>
  /** Makes so many keys with values of about 50 bytes. */
  fill(keys: number): Promise<void>
  /** Reads one of the keys that {@link StoreSession.fill} made. */
  firstAnswer(): Promise<void>
  /** Clean stop: what is on disk afterwards is what it keeps. */
  stop(): Promise<void>
}

export interface Changer extends Closeable {
  /** Sets the value if nobody has changed it since this one did. @throws Error unless it was set */
  compareAndSet(): Promise<void>
}

export interface Locker extends Closeable {
  /** Resolves when this one has it. */
  acquire(): Promise<void>
  release(): Promise<void>
}

/** What is stored under a key. */
export function valueText(number: number): string {
  return `{"state":"running","order":${String(100_000 + number)},"by":"press"}`
}

export function keyText(number: number): string {
  return `order/${String(number).padStart(7, '0')}`
}
