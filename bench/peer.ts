/** A system under measurement, ours or another, behind the few verbs that all of them have. */
export interface Peer {
  readonly name: string
  /** Why it cannot be measured here; `undefined` when it can. */
  missing(): Promise<string | undefined>
  /** Starts a server of its own, empty or on what an earlier one left in the directory. */
  start(directory: string): Promise<Session>
}

/** Which events a selective read asks for. */
export type Share = 'hundredth' | 'thousandth'

export interface Session {
  readonly pid: number
  publisher(): Promise<Publisher>
  /** Reads all events to the client. @returns how many came */
  scan(): Promise<number>
  /** Reads the events with a rare tag, or with two tags at once. @returns how many came */
  select(share: Share): Promise<number>
  /** Calls back for each event published from now on, in no particular form. */
  subscribe(onEvent: (text: string) => void): Promise<Closeable>
  /** Asks for something that needs the stored events to be open. */
  firstAnswer(): Promise<void>
  /** Clean stop: what is on disk afterwards is what it keeps. */
  stop(): Promise<void>
}

export interface Publisher extends Closeable {
  /** Resolves when all are acknowledged. `from` is a multiple of `count`. */
  publish(from: number, count: number): Promise<void>
  /** One event with a payload of its own choice (JSON text). */
  publishText(payload: string): Promise<void>
}

export interface Closeable {
  close(): void
}
