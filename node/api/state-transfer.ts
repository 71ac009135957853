import { Type } from '@sinclair/typebox'
import { JsonError } from '../../core/index.js'
import {
  TRANSFER_KINDS,
  type ExportedItem,
  type ImportReport,
  type ImportRequest,
  type StateCheck,
  type TransferItem,
  type TransferKind,
} from '../../state/index.js'
import type { StateOfApp } from '../state/state-service.js'
import { ApiError } from './errors.js'
import { optional, readObject, readString, readUnsigned, type Field } from './json-fields.js'
import { exactly, integer, oneOf } from './reply-schemas.js'
import { checkId, parseVersion, readValue } from './state-values.js'

/** Of the lines of an export. */
const FORMAT = 1

/** What is imported at once. */
const MAX_ITEMS = 1000

/** Greater than any revision that a node can come to, and small enough to go on from: 2^52. */
const MAX_REVISION = 2 ** 52

const Revision = Type.String({ pattern: '^[0-9]+$' })

const END = {
  ttlMs: Type.Optional(integer('Milliseconds that were left')),
  expiresAt: Type.Optional(integer('Milliseconds since 1970')),
}

/** A line of an export. */
export const StateExportLine = Type.Union(
  [
    exactly(
      {
        type: Type.Literal('state'),
        format: Type.Literal(FORMAT),
        node: Type.String({ description: 'Node id' }),
        topic: Type.String(),
        revision: Revision,
        at: integer('Microseconds since 1970'),
        kinds: Type.Array(oneOf(TRANSFER_KINDS, '')),
        prefix: Type.String(),
      },
      'The first line',
    ),
    exactly(
      { type: Type.Literal('kv'), key: Type.String(), version: Revision, ...END, value: Type.Unknown() },
      'An entry',
    ),
    exactly(
      {
        type: Type.Literal('dedup'),
        app: Type.String(),
        key: Type.String(),
        ...END,
        value: Type.Array(Type.Unknown()),
      },
      'What was appended under an idempotency key',
    ),
    exactly({ type: Type.Literal('end'), kv: integer('Entries'), dedup: integer('') }, 'The last line'),
    exactly(
      { type: Type.Literal('diagnostic'), severity: Type.Literal('error'), message: Type.String() },
      'Why the answer ends too early',
    ),
  ],
  { description: 'A line of an export of the state' },
)

export const StateImportReply = exactly(
  {
    imported: integer('Written'),
    same: integer('There already, with the same value'),
    bytes: Type.Integer({ description: 'By how much the state grows' }),
    remarks: Type.Array(
      exactly(
        {
          type: oneOf(TRANSFER_KINDS, ''),
          app: Type.Optional(Type.String({ description: 'Of an idempotency key' })),
          key: Type.String(),
          outcome: oneOf(
            ['expired', 'kept', 'overwritten'],
            '`kept`: what is there has another value and stays; `overwritten`: it had another one',
          ),
        },
        'What was not simply imported',
      ),
    ),
  },
  'What an import came to',
)

export const StateCheckReply = exactly(
  {
    records: integer('Looked at'),
    entries: integer('Of them whole entries'),
    still: Type.Boolean({ description: 'Whether nothing was written meanwhile, so that the sums could be compared' }),
    repaired: Type.Boolean(),
    faults: Type.Array(
      exactly(
        {
          record: Type.String({ description: 'What is wrong' }),
          kind: oneOf(['damaged', 'index', 'count'], '`damaged` means that what it held is lost'),
          problem: Type.String(),
        },
        'A fault',
      ),
    ),
  },
  'Whether the state is whole',
)

/** What the first line of an export says. */
export interface ExportHeader {
  readonly node: string
  readonly topic: string
  readonly revision: number
  /** Microseconds since 1970. */
  readonly at: number
  readonly kinds: readonly TransferKind[]
  readonly prefix: string
}

/** The lines of an export; the last one makes it whole. */
export async function* exportLines(
  { revision, ...header }: ExportHeader,
  items: AsyncIterable<ExportedItem>,
): AsyncGenerator<Uint8Array> {
  const counts = { kv: 0, dedup: 0 }
  const { node, topic, at, kinds, prefix } = header
  const first = { type: 'state', format: FORMAT, node, topic, revision: String(revision), at, kinds, prefix }
  yield Buffer.from(`${JSON.stringify(first)}\n`)
  for await (const item of items) {
    counts[item.kind]++
    yield Buffer.from(`${renderItem(item)}\n`)
  }
  yield Buffer.from(`${JSON.stringify({ type: 'end', ...counts })}\n`)
}

/** The value stays the text that it is. */
function renderItem({ kind, name, version, end, value }: ExportedItem): string {
  const head = { type: kind, ...nameOf(kind, name), ...(kind === 'kv' ? { version: String(version) } : {}), ...end }
  return `${JSON.stringify(head).slice(0, -1)},"value":${value}}`
}

function nameOf(kind: TransferKind, name: string): { readonly app?: string; readonly key: string } {
  if (kind === 'kv') return { key: name }
  const end = name.indexOf('\0')
  return { app: name.slice(0, end), key: name.slice(end + 1) }
}

/** `null` is a value, too. */
const VALUE: Field<string | undefined> = { read: readValue, required: false }

const LINE = {
  type: optional(readString),
  format: optional(readUnsigned),
  revision: optional(readString),
  app: optional(readString),
  key: optional(readString),
  ttlMs: optional(readUnsigned),
  expiresAt: optional(readUnsigned),
  value: VALUE,
}

type Line = ReturnType<typeof readLine>

function readLine(body: Buffer, start: number, end: number) {
  return readObject(body, start, end, 'a line of an export', LINE)
}

/**
 * Reads part of an export: its first line, and then some others.
 *
 * @throws JsonError, ApiError, and errors of keys and values
 */
export function parseImport(
  body: Buffer,
  state: StateOfApp,
  options: Pick<ImportRequest, 'overwrites' | 'isRehearsal'>,
): ImportRequest {
  const items: TransferItem[] = []
  let revision: number | undefined
  for (let start = 0; start < body.length;) {
    const feed = body.indexOf(0x0a, start)
    const end = feed < 0 ? body.length : feed
    const line = readLine(body, start, end)
    if (line.type === 'state') revision = revisionOf(line)
    else if (line.type !== 'end') items.push(itemOf(line, state, body, start))
    if (items.length > MAX_ITEMS) throw new ApiError('ERR_BAD_REQUEST', `at most ${String(MAX_ITEMS)} at once`)
    start = end + 1
  }
  if (revision === undefined) {
    throw new ApiError('ERR_BAD_REQUEST', 'The first line of an export is missing; it has the type `state`.')
  }
  return { revision, items, ...options }
}

function revisionOf({ format, revision = '' }: Line): number {
  if (format !== FORMAT) {
    throw new ApiError('ERR_BAD_REQUEST', `Only exports of the format ${String(FORMAT)} are known here.`)
  }
  const number = parseVersion(revision, '`revision`')
  if (number <= MAX_REVISION) return number
  throw new ApiError('ERR_BAD_REQUEST', 'No node has got to this revision.')
}

function itemOf(
  { type, app, key, ttlMs, expiresAt, value }: Line,
  state: StateOfApp,
  body: Buffer,
  at: number,
): TransferItem {
  const kind = TRANSFER_KINDS.find((each) => each === type)
  if (kind === undefined || key === undefined || value === undefined) {
    throw new JsonError('a line of an export has a `type` that is known, `key` and `value`', body, at)
  }
  if ((ttlMs === undefined) !== (expiresAt === undefined)) {
    throw new JsonError('`ttlMs` and `expiresAt` go together', body, at)
  }
  const end = ttlMs === undefined || expiresAt === undefined ? undefined : { ttlMs, expiresAt }
  if (kind === 'kv') return { kind, name: state.keyOf(key, true), value, end }
  if (app === undefined || app.includes('\0') || end === undefined || !arePublications(JSON.parse(value))) {
    throw new JsonError('a line of the type `dedup` has `app`, `ttlMs` and where the events are', body, at)
  }
  return { kind, name: `${app}\0${checkId(key, '`key`')}`, value, end }
}

function arePublications(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.every((each: unknown) => {
      if (typeof each !== 'object' || each === null) return false
      const { lamport, stream, offset, timestamp } = each as Readonly<Record<string, unknown>>
      return typeof stream === 'string' && [lamport, offset, timestamp].every(Number.isSafeInteger)
    })
  )
}

export function renderImport({ imported, same, bytes, remarks }: ImportReport): string {
  const list = remarks.map(({ kind, name, outcome }) => ({ type: kind, ...nameOf(kind, name), outcome }))
  return JSON.stringify({ imported, same, bytes, remarks: list })
}

export function renderCheck({ records, entries, isStill, faults }: StateCheck, repaired: boolean): string {
  const list = faults.map(({ name, kind, problem }) => ({ record: name, kind, problem }))
  return JSON.stringify({ records, entries, still: isStill, repaired, faults: list })
}
