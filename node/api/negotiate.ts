import { ApiError } from './errors.js'

/** What the API produces. */
export type Produced = 'application/json' | 'application/x-ndjson' | 'application/x-tar' | 'text/plain'

/** @throws ApiError 406 when the `accept` header is there and names neither the type nor everything */
export function checkAccept(accept: string | undefined, produced: Produced): void {
  if (accept === undefined || accept === '*/*' || accept === produced || accepts(accept, [produced, '*/*'])) return
  throw notAcceptable(accept, `*/*, ${produced}`)
}

/** As {@link checkAccept} for a stored type, which its family (`image/*`) admits too. */
export function checkAcceptStored(accept: string | undefined, mimeType: string): void {
  const bare = mimeType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const family = `${bare.split('/', 1)[0] ?? ''}/*`
  if (accept === undefined || accepts(accept, ['*/*', family, bare, mimeType.toLowerCase()])) return
  throw notAcceptable(accept, `*/*, ${mimeType}`)
}

/** @throws ApiError 415 when the `content-type` header is there and is not JSON */
export function checkJsonBody(contentType: string | undefined, contentEncoding: string | undefined): void {
  const isJson =
    contentType === undefined ||
    contentType === 'application/json' ||
    /^\s*application\/json\s*(;|$)/i.test(contentType)
  const isPlain = contentEncoding === undefined || contentEncoding.toLowerCase() === 'identity'
  if (isJson && isPlain) return
  throw new ApiError('ERR_UNSUPPORTED_MEDIA_TYPE', "The request's content-type is not supported.")
}

/** Entries with parameters count by their type; `q=0` takes the entry back. */
function accepts(accept: string, types: readonly string[]): boolean {
  return accept.split(',').some((entry) => {
    const [type = '', ...parameters] = entry.toLowerCase().split(';')
    return types.includes(type.trim()) && !parameters.some((parameter) => /^\s*q=0(\.0*)?\s*$/.test(parameter))
  })
}

function notAcceptable(accept: string, list: string): ApiError {
  return new ApiError(
    'ERR_NOT_ACCEPTABLE',
    `Content with type '${accept}' was requested but the resource is only capable of generating content of the following type(s): ${list}.`,
  )
}
