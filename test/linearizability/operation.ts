/** What a client asked of one object. */
export interface Call<Input = unknown> {
  /** Number of the client. It has one operation under way at a time, but may go on after one that it got no answer to. */
  readonly client: number
  /** The object; objects with different keys know nothing of each other. */
  readonly key: string
  readonly input: Input
  /** When it was sent at the earliest, µs on a monotonic clock that all clients share. */
  readonly invoked: number
}

/** The answer is known. "Somebody else has the lock" is an answer too. */
export interface Answered<Input = unknown, Output = unknown> extends Call<Input> {
  readonly outcome: 'ok'
  readonly output: Output
  /** When the answer had come at the latest, µs. */
  readonly returned: number
}

/** Surely never done, and nothing learned: the connection was refused, or the disk was full. */
export interface Failed<Input = unknown> extends Call<Input> {
  readonly outcome: 'fail'
  readonly returned: number
}

/** No answer came: it may have been done, may still be done at any later time, or never. */
export interface Unanswered<Input = unknown> extends Call<Input> {
  readonly outcome: 'unknown'
}

/**
 * An object as it is when operations are done one after the other. States are values: a step makes a new one.
 *
 * What an object hands out (versions, fences, tokens) is in the answers, so each state and answer have one next state at
 * most. What was handed out in an answer that never came is unknown in the state, until somebody sees it.
 */
export interface Model<Input, Output, State> {
  readonly initial: State
  /** The state after this answer; `undefined` when the object cannot have given it. */
  step(state: State, call: Answered<Input, Output>): State | undefined
  /** The state after an operation whose answer nobody knows took effect; `undefined` when it would change nothing. */
  guess(state: State, call: Call<Input>): State | undefined
  /** The same for the same states only. */
  fingerprint(state: State): string
}
