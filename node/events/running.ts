import type { AppId, Clock } from '../../core/index.js'

/** Characters of a query that are shown. */
const SHOWN_CHARACTERS = 4096

export type AnswerKind = 'query' | 'subscribe' | 'subscribe_monotonic'

/** An answer under way, as operators see it. */
export interface RunningAnswer {
  readonly id: string
  readonly kind: AnswerKind
  /** The text; a long one is cut. */
  readonly query: string
  readonly appId: AppId
  /** Microseconds since 1970. */
  readonly since: number
  /** Rows handed on so far. */
  readonly rows: number
}

/** One answer, from being asked for to its end. */
export class Running implements RunningAnswer {
  readonly id: string
  readonly kind: AnswerKind
  readonly query: string
  readonly appId: AppId
  readonly since: number
  rows = 0
  /** Aborted when the client goes away or cancels, and when somebody ends the answer. */
  readonly signal: AbortSignal
  readonly #ending = new AbortController()

  constructor(
    id: string,
    kind: AnswerKind,
    query: string,
    since: number,
    asker: { appId: AppId; signal: AbortSignal },
  ) {
    this.id = id
    this.kind = kind
    this.query = query.length > SHOWN_CHARACTERS ? `${query.slice(0, SHOWN_CHARACTERS)}…` : query
    this.appId = asker.appId
    this.since = since
    this.signal = AbortSignal.any([asker.signal, this.#ending.signal])
  }

  /** Whether somebody else than the asker has ended it. */
  get isEnded(): boolean {
    return this.#ending.signal.aborted
  }

  end(): void {
    this.#ending.abort()
  }
}

/** All answers under way. */
export class RunningAnswers {
  readonly #clock: Clock
  readonly #running = new Map<string, Running>()
  #last = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** An answer that is not listed yet: it may never be read. */
  prepare(kind: AnswerKind, query: string, asker: { appId: AppId; signal: AbortSignal }): Running {
    this.#last += 1
    return new Running(String(this.#last), kind, query, this.#clock.nowMicros(), asker)
  }

  add(running: Running): void {
    this.#running.set(running.id, running)
  }

  delete(running: Running): void {
    this.#running.delete(running.id)
  }

  get(id: string): Running | undefined {
    return this.#running.get(id)
  }

  /** Oldest first. */
  list(): readonly RunningAnswer[] {
    return [...this.#running.values()]
  }
}
