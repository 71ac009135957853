import type { AppId, NewEvent } from '../../core/index.js'
import type {
  Append,
  CommittedChanges,
  Condition,
  Dedup,
  Entry,
  ExportedItem,
  ExportRequest,
  ImportReport,
  ImportRequest,
  Locks,
  Page,
  StateCheck,
  RateLimits,
  StateInfo,
  TxnRequest,
  TxnResult,
} from '../../state/index.js'

/** Locks by their whole names. */
export type LocksOfApp = Pick<Locks, 'acquire' | 'extend' | 'release' | 'takeBack' | 'whileHeld' | 'find' | 'list'>

/** Things that are done once, by their whole keys. */
export type DedupOfApp = Pick<Dedup, 'claim' | 'done' | 'abandon'>

/** Limits by their whole names. */
export type LimitsOfApp = Pick<RateLimits, 'take' | 'refund'>

/** What the API needs of the state, as one app sees it. Keys are those of the app: without a namespace its own is meant. */
export interface StateOfApp {
  /** Whose request ids these are; empty for the operator. */
  readonly app: AppId
  /** The whole key. @throws errors of keys and namespaces */
  keyOf(text: string, isWrite: boolean): string
  /** A condition on the newest offset of an own stream, given by name or id. @throws StreamIdError */
  streamAt(stream: string, offset: number): Condition
  /** Events, to be stored in the commit of a transaction. @throws StateForbiddenError for who is no app */
  append(
    events: readonly NewEvent[],
    expected: readonly (number | undefined)[],
    idempotencyKey: string | undefined,
  ): Append
  get(key: string): Promise<Entry | undefined>
  scan(prefix: string, after: string | undefined, limit: number, atRevision: number | undefined): Promise<Page>
  txn(request: TxnRequest): Promise<TxnResult>
  watch(prefix: string, from: number | undefined, signal: AbortSignal): AsyncGenerator<CommittedChanges>
  /** The whole prefix of some keys. @throws errors of keys and namespaces */
  prefixOf(text: string): string
  readonly locks: LocksOfApp
  readonly dedup: DedupOfApp
  readonly limits: LimitsOfApp
}

/** The state of the node for its API. */
export interface StateService {
  /** @param app `undefined` for the operator */
  as(app: AppId | undefined): StateOfApp
  info(): Promise<StateInfo>
  /** What another state could take over. */
  export(request: ExportRequest): { readonly revision: number; readonly items: AsyncGenerator<ExportedItem> }
  import(request: ImportRequest): Promise<ImportReport>
  /** Looks at every record; with `repairs` it gives up what is damaged. */
  check(repairs: boolean, signal: AbortSignal): Promise<StateCheck>
  /** Gives back the room of what was deleted. */
  compact(): Promise<void>
}
