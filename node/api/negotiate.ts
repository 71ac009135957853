import { ApiError } from './errors.js'

/** What the API produces. */
export type Produced =
  | 'application/cloudevents+json'
  | 'application/cloudevents-batch+json'
  | 'application/json'
  | 'application/x-ndjson'
  | 'application/x-tar'
  | 'text/event-stream'
  | 'text/plain'

/** @throws ApiError 406 when the `accept` header is there and names neither one of the types nor everything */
export function checkAccept(accept: string | undefined, produced: readonly Produced[]): void {
  if (chooseType(accept, produced) === undefined) throw notAcceptable(accept ?? '', ['*/*', ...produced].join(', '))
}

/**
 * The type that the client likes best: by quality values; among equals a type that is named goes before `*\/*`, then what
 * stands first in the header, then what stands first in `produced`. Without a header it is the first.
 */
export function chooseType<T extends Produced>(accept: string | undefined, produced: readonly T[]): T | undefined {
  const [first] = produced
  if (accept === undefined || accept === '*/*' || accept === first) return first
  const entries = parseAccept(accept)
  const liked = produced.flatMap((type) => {
    const named = entries.find((entry) => entry.type === type)
    const entry = named ?? entries.find((any) => any.type === '*/*')
    return entry === undefined || entry.quality === 0 ? [] : [{ type, entry, isNamed: named !== undefined }]
  })
  liked.sort(
    (a, b) =>
      b.entry.quality - a.entry.quality || Number(b.isNamed) - Number(a.isNamed) || a.entry.place - b.entry.place,
  )
  return liked[0]?.type
}

/** As {@link checkAccept} for a stored type, which its family (`image/*`) admits too. */
export function checkAcceptStored(accept: string | undefined, mimeType: string): void {
  const bare = mimeType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const family = `${bare.split('/', 1)[0] ?? ''}/*`
  if (accept === undefined) return
  const types = ['*/*', family, bare, mimeType.toLowerCase()]
  if (parseAccept(accept).some(({ type, quality }) => types.includes(type) && quality > 0)) return
  throw notAcceptable(accept, `*/*, ${mimeType}`)
}

/** @throws ApiError 415 when the `content-type` header is there and is not JSON */
export function checkJsonBody(contentType: string | undefined, contentEncoding: string | undefined): void {
  const isJson =
    contentType === undefined ||
    contentType === 'application/json' ||
    /^\s*application\/json\s*(;|$)/i.test(contentType)
  if (!isJson || !isPlain(contentEncoding)) throw unsupported()
}

/** The same for JSON texts line by line, a type that was never registered and has several names. */
export function checkLinesBody(contentType: string | undefined, contentEncoding: string | undefined): void {
  const isLines =
    contentType === undefined || /^\s*application\/(x-ndjson|ndjson|jsonl|json-lines)\s*(;|$)/i.test(contentType)
  if (!isLines || !isPlain(contentEncoding)) throw unsupported()
}

function isPlain(contentEncoding: string | undefined): boolean {
  return contentEncoding === undefined || contentEncoding.toLowerCase() === 'identity'
}

function unsupported(): ApiError {
  return new ApiError('ERR_UNSUPPORTED_MEDIA_TYPE', "The request's content-type is not supported.")
}

/** One entry of an `accept` header. */
interface AcceptEntry {
  readonly type: string
  /** From 0, which takes the type back, to 1. */
  readonly quality: number
  readonly place: number
}

/** Parameters other than `q` are passed over. */
function parseAccept(accept: string): readonly AcceptEntry[] {
  return accept.split(',').map((entry, place) => {
    const [type = '', ...parameters] = entry.toLowerCase().split(';')
    const quality = parameters.map((parameter) => /^\s*q=([01](?:\.[0-9]{0,3})?)\s*$/.exec(parameter)?.[1])
    return { type: type.trim(), quality: Number(quality.find((text) => text !== undefined) ?? 1), place }
  })
}

function notAcceptable(accept: string, list: string): ApiError {
  return new ApiError(
    'ERR_NOT_ACCEPTABLE',
    `Content with type '${accept}' was requested but the resource is only capable of generating content of the following type(s): ${list}.`,
  )
}
