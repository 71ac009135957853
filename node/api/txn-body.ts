import { isUtf8 } from 'node:buffer'
import { JsonError, JsonScanner, type NewEvent } from '../../core/index.js'
import {
  COUNTER_MAX,
  COUNTER_MIN,
  type Append,
  type Condition,
  type Fence,
  type Operation,
  type Ttl,
  type TxnRequest,
} from '../../state/index.js'
import type { StateOfApp } from '../state/state-service.js'
import { ApiError } from './errors.js'
import { checkId, checkTtl, parseVersion, readValue } from './state-values.js'

/** Conditions, operations and events of one transaction, each. */
const MAX_PARTS = 1024

/** How events are read where they stand in a bigger text. */
export type ReadEvent = (scanner: JsonScanner) => NewEvent

/**
 * Reads `{"if":[…],"then":[…],"else":[…],"append":[…],"requestId":"…","fencedBy":{…}}`; each member may be missing.
 *
 * @throws JsonError, ApiError, and errors of keys, values, tags and namespaces
 */
export function parseTxn(body: Uint8Array, state: StateOfApp, readEvent: ReadEvent): TxnRequest {
  if (!isUtf8(body)) throw new JsonError('invalid UTF-8', body, 0)
  const scanner = new JsonScanner(body)
  const conditions: Condition[] = []
  const then: Operation[] = []
  const otherwise: Operation[] = []
  const append: Append[] = []
  let requestId: string | undefined
  let fencedBy: Fence | undefined
  members(scanner, 'struct Txn', {
    if: listInto(scanner, conditions, () => readCondition(scanner, state)),
    then: listInto(scanner, then, () => readOperation(scanner, state)),
    else: listInto(scanner, otherwise, () => readOperation(scanner, state)),
    append: listInto(scanner, append, () => readAppend(scanner, state, readEvent)),
    requestId: () => {
      requestId = checkId(scanner.string(), 'requestId')
    },
    fencedBy: () => (fencedBy = readFence(scanner, state)),
  })
  scanner.expectEnd()
  return { app: state.app, if: conditions, then, else: otherwise, append, requestId, fencedBy }
}

/**
 * Reads `{"data":[{"tags":[…],"payload":…,"expectedOffset":…},…]}`.
 *
 * @throws as {@link parseTxn}
 */
export function parsePublish(
  body: Uint8Array,
  state: StateOfApp,
  readEvent: ReadEvent,
  idempotencyKey: string | undefined,
): TxnRequest {
  if (!isUtf8(body)) throw new JsonError('invalid UTF-8', body, 0)
  const scanner = new JsonScanner(body)
  const events: NewEvent[] = []
  const expected: (number | undefined)[] = []
  const names = new Set<string>()
  scanner.members('struct PublishRequest', (name) => {
    names.add(name)
    if (name !== 'data') {
      scanner.skipValue()
      return
    }
    scanner.elements('a sequence', () => {
      const conditional = readConditional(scanner, readEvent)
      events.push(conditional.event)
      expected.push(conditional.expectedOffset)
    })
  })
  if (!names.has('data')) scanner.fail('missing field `data`')
  scanner.expectEnd()
  const append = events.length === 0 ? [] : [state.append(events, expected, idempotencyKey)]
  return { app: state.app, if: [], then: [], else: [], append, requestId: undefined }
}

/** Members of an object by name; unknown ones are refused, as a misspelt condition would otherwise be none. */
export function members(scanner: JsonScanner, what: string, readers: Readonly<Record<string, () => void>>): void {
  const seen = new Set<string>()
  scanner.members(what, (name) => {
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined
    if (read === undefined) {
      scanner.fail(`unknown field \`${name.slice(0, 40)}\`, expected one of ${Object.keys(readers).join(', ')}`)
    }
    if (seen.has(name)) scanner.fail(`duplicate field \`${name}\``)
    seen.add(name)
    read()
  })
}

/** A reader of a list. */
function listInto<T>(scanner: JsonScanner, into: T[], read: () => T): () => void {
  return () => {
    scanner.elements('a sequence', () => {
      if (into.length >= MAX_PARTS) scanner.fail(`a transaction has at most ${String(MAX_PARTS)} of these`)
      into.push(read())
    })
  }
}

function readCondition(scanner: JsonScanner, state: StateOfApp): Condition {
  let key: string | undefined
  let stream: string | undefined
  let offset: number | undefined
  let version: number | undefined
  let value: string | undefined
  let exists: boolean | undefined
  let lock: string | undefined
  let fence: number | undefined
  members(scanner, 'a condition', {
    key: () => (key = scanner.string()),
    version: () => (version = readVersion(scanner)),
    value: () => (value = readValue(scanner)),
    exists: () => (exists = readBoolean(scanner)),
    stream: () => (stream = scanner.string()),
    offset: () => (offset = readOffset(scanner)),
    lock: () => (lock = scanner.string()),
    fence: () => (fence = readVersion(scanner)),
  })
  if (lock !== undefined || fence !== undefined) {
    const others = [key, version, value, exists, stream, offset]
    if (lock !== undefined && fence !== undefined && others.every((other) => other === undefined)) {
      return { kind: 'lock', lock: state.keyOf(lock, false), fence }
    }
    return scanner.fail('a condition on a lock has `lock` and `fence`')
  }
  if (stream !== undefined && offset !== undefined && key === undefined) return state.streamAt(stream, offset)
  const isComplete = version !== undefined || value !== undefined || exists !== undefined
  if (key === undefined || !isComplete || stream !== undefined || offset !== undefined) {
    return scanner.fail(
      'a condition has `key` with `version`, `value` or `exists`; or `stream` and `offset`; or `lock` and `fence`',
    )
  }
  return { kind: 'entry', key: state.keyOf(key, false), version, value, exists }
}

function readOperation(scanner: JsonScanner, state: StateOfApp): Operation {
  const start = scanner.at
  let op: string | undefined
  let key: string | undefined
  let value: string | undefined
  let ttl: Ttl = null
  let delta = 1n
  let min = COUNTER_MIN
  let max = COUNTER_MAX
  members(scanner, 'an operation', {
    op: () => (op = scanner.string()),
    key: () => (key = scanner.string()),
    value: () => (value = readValue(scanner)),
    ttl: () => (ttl = readTtl(scanner)),
    delta: () => (delta = readBigInt(scanner)),
    min: () => (min = readBigInt(scanner)),
    max: () => (max = readBigInt(scanner)),
  })
  if (key === undefined) return scanner.fail('missing field `key`', start)
  switch (op) {
    case 'get':
      return { kind: 'get', key: state.keyOf(key, false) }
    case 'set':
      if (value === undefined) return scanner.fail('missing field `value`', start)
      return { kind: 'set', key: state.keyOf(key, true), value, ttl }
    case 'delete':
      return { kind: 'delete', key: state.keyOf(key, true) }
    case 'increment':
      return { kind: 'increment', key: state.keyOf(key, true), delta, min, max, ttl }
    default:
      return scanner.fail('`op` must be get, set, delete or increment', start)
  }
}

function readAppend(scanner: JsonScanner, state: StateOfApp, readEvent: ReadEvent): Append {
  const { event, expectedOffset, idempotencyKey } = readConditional(scanner, readEvent)
  return state.append([event], [expectedOffset], idempotencyKey)
}

interface ConditionalEvent {
  readonly event: NewEvent
  readonly expectedOffset: number | undefined
  readonly idempotencyKey: string | undefined
}

/** An event with what else stands in its object, which is read twice: first for the event, then for the rest. */
function readConditional(scanner: JsonScanner, readEvent: ReadEvent): ConditionalEvent {
  scanner.peek()
  const start = scanner.at
  const event = readEvent(scanner)
  scanner.at = start
  let expectedOffset: number | undefined
  let idempotencyKey: string | undefined
  const skip = (): void => {
    scanner.skipValue()
  }
  members(scanner, 'an event', {
    tags: skip,
    payload: skip,
    expectedOffset: () => (expectedOffset = readOffset(scanner)),
    idempotencyKey: () => (idempotencyKey = checkId(scanner.string(), 'idempotencyKey')),
  })
  return { event, expectedOffset, idempotencyKey }
}

/** `{"lock":"…","fence":"…"}` */
function readFence(scanner: JsonScanner, state: StateOfApp): Fence {
  let lock: string | undefined
  let fence: number | undefined
  members(scanner, 'a fence', {
    lock: () => (lock = scanner.string()),
    fence: () => (fence = readVersion(scanner)),
  })
  if (lock === undefined || fence === undefined) return scanner.fail('`fencedBy` has `lock` and `fence`')
  return { lock: state.keyOf(lock, false), fence }
}

export function readVersion(scanner: JsonScanner): number {
  return parseVersion(readScalar(scanner), 'version')
}

/** A string, or the text of a number. */
function readScalar(scanner: JsonScanner): string {
  if (scanner.peek() === QUOTE) return scanner.string()
  return readValue(scanner)
}

function readBigInt(scanner: JsonScanner): bigint {
  const text = readScalar(scanner)
  if (!/^-?[0-9]{1,40}$/.test(text)) scanner.fail('expected a whole number')
  return BigInt(text)
}

function readOffset(scanner: JsonScanner): number {
  const text = readScalar(scanner)
  const offset = /^-?[0-9]{1,16}$/.test(text) ? Number(text) : NaN
  if (!Number.isSafeInteger(offset) || offset < -1) scanner.fail('an offset is a whole number from -1 on')
  return offset
}

function readBoolean(scanner: JsonScanner): boolean {
  const text = readValue(scanner)
  if (text !== 'true' && text !== 'false') scanner.fail('expected true or false')
  return text === 'true'
}

function readTtl(scanner: JsonScanner): Ttl {
  const ttl = JSON.parse(readValue(scanner)) as unknown
  if (ttl === null || ttl === 'keep') return ttl
  if (typeof ttl === 'object' && 'ttlMs' in ttl) return checkTtl(ttl.ttlMs)
  throw new ApiError('ERR_BAD_REQUEST', '`ttl` is {"ttlMs":…}, "keep" or null')
}

const QUOTE = 0x22
