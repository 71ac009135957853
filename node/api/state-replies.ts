import { Type } from '@sinclair/typebox'
import type {
  Appended,
  CommittedChanges,
  Entry,
  OperationResult,
  Page,
  StateInfo,
  TxnResult,
} from '../../state/index.js'
import { exactly, integer } from './reply-schemas.js'

const Version = Type.String({ pattern: '^[0-9]+$', description: 'Revision of a commit in decimals' })

/** A key with its value. */
export const StateEntry = exactly(
  {
    key: Type.String({ description: 'namespace/kind/id' }),
    value: Type.Unknown({ description: 'Any JSON' }),
    version: Version,
    expiresAt: Type.Optional(integer('About when it expires, milliseconds since 1970')),
  },
  'An entry',
)

export const StatePage = exactly(
  {
    entries: Type.Array(StateEntry),
    revision: Version,
    next: Type.Union([Type.String(), Type.Null()], { description: 'Key behind which the next page begins' }),
  },
  'Entries of one moment',
)

export const StateWritten = exactly({ version: Version }, 'The entry was written')

export const StateDeleted = exactly({ deleted: Type.Boolean() }, 'Whether there was an entry')

const Result = Type.Union([
  exactly({ entry: Type.Union([StateEntry, Type.Null()]) }, 'Of get'),
  StateWritten,
  StateDeleted,
  exactly({ value: Type.String({ description: 'In decimals' }), version: Version }, 'Of increment'),
])

const AppendedEvent = Type.Object({
  lamport: integer(''),
  stream: Type.String(),
  offset: integer(''),
  timestamp: integer('Microseconds since 1970'),
  duplicate: Type.Boolean({ description: 'An earlier request with the same idempotency key has stored it' }),
})

export const StateTxnReply = exactly(
  {
    succeeded: Type.Boolean({ description: 'Whether all conditions held' }),
    revision: Version,
    results: Type.Array(Result, { description: 'Of `then`, or of `else`' }),
    appended: Type.Array(AppendedEvent),
  },
  'What a transaction came to',
)

export const StateInfoReply = exactly(
  {
    backend: Type.String(),
    scope: Type.Literal('node', { description: 'Keys belong to one node, which decides about them alone' }),
    revision: Version,
    entries: integer(''),
    bytes: integer('Keys and values'),
    maxBytes: integer(''),
    sameCommitAppend: Type.Boolean({ description: 'Whether events are stored in the commit of their transaction' }),
    durable: Type.Boolean({ description: 'Whether what is acknowledged survives the end of the process' }),
  },
  'How the state is',
)

export const ConditionalPublishReply = exactly({ data: Type.Array(AppendedEvent) }, 'Where the events are')

/** An entry as JSON. */
export function renderEntry({ key, value, version, expiresAt }: Entry): string {
  const end = expiresAt === undefined ? '' : `,"expiresAt":${String(expiresAt)}`
  return `{"key":${JSON.stringify(key)},"value":${value},"version":"${String(version)}"${end}}`
}

export function renderPage({ entries, revision, next }: Page): string {
  const list = entries.map(renderEntry).join(',')
  return `{"entries":[${list}],"revision":"${String(revision)}","next":${JSON.stringify(next ?? null)}}`
}

export function renderTxn({ succeeded, revision, results, appended }: TxnResult): string {
  const list = results.map(renderResult).join(',')
  return `{"succeeded":${String(succeeded)},"revision":"${String(revision)}","results":[${list}],"appended":${JSON.stringify(appended)}}`
}

function renderResult(result: OperationResult): string {
  switch (result.kind) {
    case 'get':
      return `{"entry":${result.entry === null ? 'null' : renderEntry(result.entry)}}`
    case 'set':
      return `{"version":"${String(result.version)}"}`
    case 'delete':
      return `{"deleted":${String(result.deleted)}}`
    case 'increment':
      return `{"value":"${result.value}","version":"${String(result.version)}"}`
  }
}

export function renderInfo(info: StateInfo): string {
  return JSON.stringify({ ...info, revision: String(info.revision) })
}

export function renderAppended(appended: readonly Appended[]): string {
  return JSON.stringify({ data: appended })
}

/** A line of a watch: where it begins, or what one commit has changed. */
export function renderChanges({ revision, changes }: CommittedChanges, isFirst: boolean): string {
  if (isFirst) return `{"type":"watching","revision":"${String(revision)}"}\n`
  const list = changes.map(({ key, value, isExpiry }) =>
    value === undefined
      ? JSON.stringify({ key, deleted: true, ...(isExpiry ? { expired: true } : {}) })
      : `{"key":${JSON.stringify(key)},"value":${value}}`,
  )
  return `{"type":"changes","revision":"${String(revision)}","changes":[${list.join(',')}]}\n`
}
