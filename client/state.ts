import { askAgain, newRequestId } from './ask-again.js'
import { DedupClient } from './dedup.js'
import { RequestRefusedError } from './errors.js'
import { followOverHttp } from './http-answer.js'
import { splitLines } from './lines.js'
import { LocksClient } from './locks.js'
import { RateLimitsClient } from './rate-limits.js'
import type { Requests } from './requests.js'
import { DEFAULT_PAUSES, retryPauseMs } from './retry.js'
import type {
  FencedBy,
  StateCommit,
  StateEntry,
  StateImport,
  StateImportOptions,
  StateInfo,
  StateOperation,
  StatePage,
  StateTxn,
  StateTxnResult,
  StateVerified,
  Ttl,
  Version,
} from './state-types.js'
import { pause } from './unless-aborted.js'
import { mayPass } from './wire-errors.js'

const BASE = '/api/millrace/v1/state'

/** Options of every write. */
export interface StateWrite {
  /** By default no end. */
  readonly ttl?: Ttl
  /** Has a second write with it get the first answer; by default one of its own, for when the answer gets lost. */
  readonly requestId?: string
  /** Refused with `ERR_FENCED` when this grant of a lock has ended. */
  readonly fencedBy?: FencedBy
  readonly signal?: AbortSignal
}

/**
 * The strongly consistent state of the node. Every write carries a request id, so one whose answer got lost is asked for
 * again by itself and done once.
 *
 * Refusals are a {@link RequestRefusedError} with the code of the node in `wireCode`, such as `ERR_OFFSET_CONFLICT` and
 * `ERR_STATE_FULL`; what stays unknown, of a node that is gone or does not know, is an
 * {@link OutcomeUnknownError}.
 */
export class StateClient {
  readonly lock: LocksClient
  readonly dedup: DedupClient
  readonly limits: RateLimitsClient
  readonly #requests: Requests

  constructor(requests: Requests) {
    this.lock = new LocksClient(requests)
    this.dedup = new DedupClient(requests)
    this.limits = new RateLimitsClient(requests)
    this.#requests = requests
  }

  async get<V = unknown>(key: string, signal?: AbortSignal): Promise<StateEntry<V> | undefined> {
    const path = `${BASE}/kv/${encodeURIComponent(key)}`
    try {
      return toEntry<V>(await this.#requests.askJson('GET', path, undefined, signal))
    } catch (error) {
      if (error instanceof RequestRefusedError && error.wireCode === 'ERR_NOT_FOUND') return undefined
      throw error
    }
  }

  /** Writes an entry that must not be there yet. */
  async create<V = unknown>(
    key: string,
    value: unknown,
    options: StateWrite = {},
  ): Promise<
    { readonly created: true; readonly version: Version } | { readonly created: false; readonly entry: StateEntry<V> }
  > {
    const outcome = await this.cas<V>(key, 0n, value, options)
    if (outcome.ok) return { created: true, version: outcome.version }
    if (outcome.current === undefined) throw new TypeError('the node refused to create an entry that is absent')
    return { created: false, entry: outcome.current }
  }

  async set(key: string, value: unknown, options: StateWrite = {}): Promise<Version> {
    const { results } = await this.txn({ then: [{ op: 'set', key, value, ttl: options.ttl ?? null }] }, options)
    return BigInt((results[0] as { version: string }).version)
  }

  /** Writes an entry if it has this version; 0 stands for one that is absent. */
  async cas<V = unknown>(
    key: string,
    expected: Version,
    value: unknown,
    options: StateWrite = {},
  ): Promise<
    | { readonly ok: true; readonly version: Version }
    | { readonly ok: false; readonly current: StateEntry<V> | undefined }
  > {
    const { succeeded, results } = await this.txn(
      {
        if: [{ key, version: expected }],
        then: [{ op: 'set', key, value, ttl: options.ttl ?? null }],
        else: [{ op: 'get', key }],
      },
      options,
    )
    const [result] = results
    if (succeeded) return { ok: true, version: BigInt((result as { version: string }).version) }
    const { entry } = result as { entry: unknown }
    return { ok: false, current: entry === null ? undefined : toEntry<V>(entry) }
  }

  /** Whether there was an entry, and of the expected version where that is given. */
  async delete(key: string, options: StateWrite & { readonly expected?: Version } = {}): Promise<boolean> {
    const { expected } = options
    const { succeeded, results } = await this.txn(
      { if: expected === undefined ? [] : [{ key, version: expected }], then: [{ op: 'delete', key }] },
      options,
    )
    return succeeded && (results[0] as { deleted: boolean }).deleted
  }

  /** Adds to a whole number, which is 0 where there is no entry. */
  async increment(
    key: string,
    delta: bigint | number = 1n,
    options: StateWrite & { readonly min?: bigint; readonly max?: bigint } = {},
  ): Promise<bigint> {
    const { min, max, ttl = null } = options
    const bounds = { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) }
    const { results } = await this.txn({ then: [{ op: 'increment', key, delta, ttl, ...bounds }] }, options)
    return BigInt((results[0] as { value: string }).value)
  }

  /** Some entries below a prefix; pages that name the revision of the first one are of the same moment. */
  async page<V = unknown>(
    prefix: string,
    {
      after,
      limit,
      atRevision,
      signal,
    }: {
      readonly after?: string | undefined
      readonly limit?: number | undefined
      readonly atRevision?: Version | undefined
      readonly signal?: AbortSignal | undefined
    } = {},
  ): Promise<StatePage<V>> {
    const parameters = new URLSearchParams({ prefix })
    if (after !== undefined) parameters.set('after', after)
    if (limit !== undefined) parameters.set('limit', String(limit))
    if (atRevision !== undefined) parameters.set('atRevision', String(atRevision))
    const reply = await this.#requests.askJson('GET', `${BASE}/kv?${parameters.toString()}`, undefined, signal)
    const { entries, revision, next } = reply as { entries: unknown[]; revision: string; next: string | null }
    return { entries: entries.map((entry) => toEntry<V>(entry)), revision: BigInt(revision), next: next ?? undefined }
  }

  /** All entries below a prefix, as they are at one moment. */
  async *scan<V = unknown>(prefix: string, signal?: AbortSignal): AsyncGenerator<StateEntry<V>, void, undefined> {
    let after: string | undefined
    let atRevision: Version | undefined
    do {
      const page: StatePage<V> = await this.page<V>(prefix, { after, atRevision, limit: 1000, signal })
      yield* page.entries
      after = page.next
      atRevision = page.revision
    } while (after !== undefined)
  }

  /**
   * What each commit changes below a prefix, from now on or after a revision, without gap or double. Goes on by itself when
   * the node comes back.
   *
   * @throws RequestRefusedError `ERR_COMPACTED` when that is too long ago: read the entries anew and go on from there
   */
  async *watch(prefix: string, from?: Version, signal?: AbortSignal): AsyncGenerator<StateCommit, void, undefined> {
    const { signal: ended } = signal === undefined ? new AbortController() : { signal }
    let revision = from
    for (let failures = 1; ; failures++) {
      try {
        for await (const line of this.#watchOnce(prefix, revision, ended)) {
          failures = 0
          revision = line.revision
          if (line.changes !== undefined) yield { revision, changes: line.changes }
        }
      } catch (error) {
        if (ended.aborted || !mayPass(error)) throw error
      }
      await pause(retryPauseMs(Math.max(1, failures), DEFAULT_PAUSES, Math.random()), ended)
    }
  }

  async *#watchOnce(
    prefix: string,
    from: Version | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<{ readonly revision: Version; readonly changes: StateCommit['changes'] | undefined }> {
    const parameters = new URLSearchParams({ prefix, ...(from === undefined ? {} : { from: String(from) }) })
    const path = `${BASE}/watch?${parameters.toString()}`
    for await (const text of followOverHttp(this.#requests, path, undefined, signal)) {
      const line = JSON.parse(text) as { type: string; revision: string; message?: string } & Partial<StateCommit>
      // The node stops, or this reader fell too far behind: asking again tells which.
      if (line.type === 'diagnostic') return
      yield { revision: BigInt(line.revision), changes: line.changes }
    }
  }

  /** Several things at once, or none, with events in the same commit. */
  async txn(txn: StateTxn, { requestId = newRequestId(), fencedBy, signal }: StateWrite = {}): Promise<StateTxnResult> {
    const reply = await askAgain(this.#requests, `${BASE}/txn`, bodyOf(txn, requestId, fencedBy), signal)
    const { revision, ...rest } = reply as { revision: string } & Omit<StateTxnResult, 'revision'>
    return { ...rest, revision: BigInt(revision) }
  }

  async info(signal?: AbortSignal): Promise<StateInfo> {
    const info = await this.#requests.askJson('GET', `${BASE}/info`, undefined, signal)
    const { revision, ...rest } = info as { revision: string } & Omit<StateInfo, 'revision'>
    return { ...rest, revision: BigInt(revision) }
  }

  /**
   * What another node could take over, as lines of JSON; the last one, of the type `end`, makes it whole. For operators, over
   * the Unix socket.
   */
  async *exportLines(
    { prefix, kinds }: { readonly prefix?: string | undefined; readonly kinds?: string | undefined } = {},
    signal?: AbortSignal,
  ): AsyncGenerator<string, void, undefined> {
    const parameters = new URLSearchParams({
      ...(prefix === undefined ? {} : { prefix }),
      ...(kinds === undefined ? {} : { kinds }),
    })
    const path = `${BASE}/export?${parameters.toString()}`
    const { body } = await this.#requests.ask('GET', path, undefined, signal)
    yield* splitLines(body)
  }

  /** Takes over part of an export, all of it or nothing. For operators, over the Unix socket. @param lines the first one included */
  async importLines(lines: string, options: StateImportOptions = {}, signal?: AbortSignal): Promise<StateImport> {
    const { overwrite = false, dryRun = false } = options
    const path = `${BASE}/import?overwrite=${String(overwrite)}&dryRun=${String(dryRun)}`
    return (await this.#requests.askJson('POST', path, lines, signal)) as StateImport
  }

  /** Looks at every record; with `repair` what is damaged is given up. For operators, over the Unix socket. */
  async verify(repair: boolean, signal?: AbortSignal): Promise<StateVerified> {
    const path = `${BASE}/verify?repair=${String(repair)}`
    return (await this.#requests.askJson('POST', path, undefined, signal)) as StateVerified
  }

  /** Gives back the room of what is expired or deleted. For operators, over the Unix socket. */
  async compact(signal?: AbortSignal): Promise<void> {
    await this.#requests.askJson('POST', `${BASE}/compact`, undefined, signal)
  }
}

/** Versions and numbers of counters go as decimals, since JSON numbers of many programs end at 2^53. */
function bodyOf(
  { if: conditions = [], then = [], else: otherwise = [], append = [] }: StateTxn,
  requestId: string,
  fencedBy: FencedBy | undefined,
): string {
  return JSON.stringify({
    if: conditions.map((condition) => {
      if ('fence' in condition) return withDecimals(condition)
      return 'version' in condition ? { ...condition, version: String(condition.version) } : condition
    }),
    then: then.map(inDecimals),
    else: otherwise.map(inDecimals),
    append,
    requestId,
    ...(fencedBy === undefined ? {} : { fencedBy: withDecimals(fencedBy) }),
  })
}

function withDecimals({ lock, fence }: FencedBy): object {
  return { lock, fence: String(fence) }
}

function inDecimals(operation: StateOperation): object {
  if (operation.op !== 'increment') return operation
  const { delta = 1n, min, max, ...rest } = operation
  const bounds = {
    ...(min === undefined ? {} : { min: String(min) }),
    ...(max === undefined ? {} : { max: String(max) }),
  }
  return { ...rest, delta: String(delta), ...bounds }
}

function toEntry<V>(reply: unknown): StateEntry<V> {
  const { version, ...entry } = reply as { version: string } & Omit<StateEntry<V>, 'version'>
  return { ...entry, version: BigInt(version) }
}
