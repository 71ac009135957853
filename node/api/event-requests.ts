import {
  JsonError,
  JsonScanner,
  parseAppId,
  toTagSet,
  type AppId,
  type EventOrder,
  type OffsetMap,
} from '../../core/index.js'
import type { MonotonicRequest, QueryRequest, SubscribeRequest } from '../events/event-service.js'
import { ApiError } from './errors.js'
import type { RouteQuestion } from './explained-route.js'
import type { ExplainRequest } from './options.js'
import { optional, readObject, readOffsetMap, readString, required } from './json-fields.js'

const ORDERS: readonly string[] = ['asc', 'desc', 'stream-asc'] satisfies EventOrder[]

const QUERY = {
  query: required(readString),
  order: required(readOrder),
  lowerBound: optional(readOffsetMap),
  upperBound: optional(readOffsetMap),
}

const SUBSCRIBE = { query: required(readString), lowerBound: optional(readOffsetMap) }

const MONOTONIC = { query: required(readString), session: required(readString), lowerBound: required(readOffsetMap) }

const EXPLAIN = {
  query: required(readString),
  order: optional(readOrder),
  lowerBound: optional(readOffsetMap),
  upperBound: optional(readOffsetMap),
}

const ROUTE = {
  tags: required(readTags),
  appId: optional((scanner) => parseAppId(readString(scanner))),
  draft: optional(readString),
}

/** Reads the request in `[start, end)`, as the two below. */
export function parseQueryRequest(bytes: Uint8Array, start: number, end: number): QueryRequest {
  return readObject(bytes, start, end, 'struct QueryRequest', QUERY)
}

export function parseSubscribeRequest(bytes: Uint8Array, start: number, end: number): SubscribeRequest {
  return readObject(bytes, start, end, 'struct SubscribeRequest', SUBSCRIBE)
}

export function parseMonotonicRequest(bytes: Uint8Array, start: number, end: number): MonotonicRequest {
  return readObject(bytes, start, end, 'struct SubscribeMonotonicRequest', MONOTONIC)
}

/** The same from the parameters of a URL, for clients that can only GET; offset maps are JSON. */
export function toQueryRequest(parameters: URLSearchParams): QueryRequest {
  const order = parameters.get('order') ?? 'asc'
  if (!isOrder(order)) throw new ApiError('ERR_BAD_REQUEST', 'parameter `order` must be asc, desc or stream-asc')
  return {
    query: demand(parameters, 'query'),
    order,
    lowerBound: offsetsIn(parameters, 'lowerBound'),
    upperBound: offsetsIn(parameters, 'upperBound'),
  }
}

export function toSubscribeRequest(parameters: URLSearchParams): SubscribeRequest {
  return { query: demand(parameters, 'query'), lowerBound: offsetsIn(parameters, 'lowerBound') }
}

export function toMonotonicRequest(parameters: URLSearchParams): MonotonicRequest {
  return {
    query: demand(parameters, 'query'),
    session: parameters.get('session') ?? '',
    lowerBound: offsetsIn(parameters, 'lowerBound') ?? new Map(),
  }
}

function demand(parameters: URLSearchParams, name: string): string {
  const value = parameters.get(name)
  if (value === null) throw new ApiError('ERR_BAD_REQUEST', `missing parameter \`${name}\``)
  return value
}

function offsetsIn(parameters: URLSearchParams, name: string): OffsetMap | undefined {
  const text = parameters.get(name)
  if (text === null) return undefined
  const scanner = new JsonScanner(Buffer.from(text))
  const offsets = readOffsetMap(scanner)
  scanner.expectEnd()
  return offsets
}

export function parseExplainRequest(body: Uint8Array): ExplainRequest {
  return readObject(body, 0, body.length, 'struct ExplainRequest', EXPLAIN)
}

/** @param appId stands for the app where the request names none */
export function parseRouteQuestion(
  body: Uint8Array,
  appId: AppId,
): { readonly question: RouteQuestion; readonly draft: string | undefined } {
  const { tags, draft, ...asked } = readObject(body, 0, body.length, 'struct RouteRequest', ROUTE)
  return { question: { tags: toTagSet(tags), appId: asked.appId ?? appId }, draft }
}

function readTags(scanner: JsonScanner): string[] {
  const tags: string[] = []
  scanner.elements('a sequence', () => tags.push(readString(scanner)))
  return tags
}

function readOrder(scanner: JsonScanner): EventOrder {
  const start = scanner.at
  const text = readString(scanner)
  if (isOrder(text)) return text
  throw new JsonError(
    `unknown variant \`${text.slice(0, 100)}\`, expected one of \`asc\`, \`desc\`, \`stream-asc\``,
    scanner.bytes,
    start,
  )
}

function isOrder(text: string): text is EventOrder {
  return ORDERS.includes(text)
}
