import { parseAppId, type AppId } from '../../core/index.js'
import { readBody, tooLarge } from './body.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { sendJson, sendText, type Exchange } from './exchange.js'
import { checkAccept, checkAcceptStored } from './negotiate.js'
import type { Routes } from './routes.js'

const BASE = '/api/v2/blob'

/** Bytes of one blob, as with Actyx. */
const BLOB_BYTES = 10_485_760

/** Bytes of a path; LevelDB keys hold it. */
const PATH_BYTES = 4096

const UNKNOWN_TYPE = 'application/octet-stream'

/** `/api/v2/blob/<app id or ->/<path>` and, as far as it goes, `/api/v2/files`. */
export function addBlobRoutes(routes: Routes): Routes {
  const refuseFiles = {
    admission: 'none',
    run: () => {
      throw new ApiError('ERR_FILES_NOT_SUPPORTED', 'This node has no file service.')
    },
  } as const
  return routes
    .below(BASE, {
      GET: { admission: 'app', run: getBlob },
      PUT: { admission: 'app', run: putBlob },
      DELETE: { admission: 'app', run: deleteBlob },
      POST: { admission: 'app', run: acceptCommand },
    })
    .below('/api/v2/files', { GET: refuseFiles, POST: refuseFiles, PUT: refuseFiles, DELETE: refuseFiles })
}

async function getBlob(exchange: Exchange, { options }: ApiContext): Promise<void> {
  const { request, response, common } = exchange
  const { appId, path } = target(exchange)
  const content = await options.blobs.get(appId, path)
  if (content === undefined) {
    sendNothing(exchange)
  } else if (content.kind === 'folder') {
    checkAccept(request.headers.accept, ['application/json'])
    sendJson(response, 200, JSON.stringify(Object.fromEntries(content.entries)), common)
  } else {
    checkAcceptStored(request.headers.accept, content.mimeType)
    // An app stores what it likes: a browser must neither guess another type nor run it as a page of this origin.
    const guards = ['x-content-type-options', 'nosniff', 'content-security-policy', 'sandbox']
    sendText(response, 200, content.mimeType, content.bytes, [...guards, ...common])
  }
}

async function putBlob(exchange: Exchange, { options, timers }: ApiContext): Promise<void> {
  const { request, lease } = exchange
  const { appId, path } = ownTarget(exchange)
  if (path.length === 0) throw new ApiError('ERR_BAD_REQUEST', 'A blob needs a path.')
  const announced = request.headers['content-length']
  if (announced === undefined) {
    throw new ApiError('ERR_PAYLOAD_TOO_LARGE', `Payload length unknown. Limit is ${String(BLOB_BYTES)}`)
  }
  if (Number(announced) > BLOB_BYTES) throw tooLarge(announced, BLOB_BYTES)
  const body = await readBody(request, { limitBytes: BLOB_BYTES, stallMs: timers.bodyStallMs }, lease)
  await options.blobs.put(appId, path, request.headers['content-type'] ?? UNKNOWN_TYPE, body)
  sendNothing(exchange)
}

async function deleteBlob(exchange: Exchange, { options }: ApiContext): Promise<void> {
  const { appId, path } = ownTarget(exchange)
  await options.blobs.delete(appId, path)
  sendNothing(exchange)
}

/** Where Actyx takes a quota; ours are fixed, so the body is read and forgotten. */
function acceptCommand(exchange: Exchange): void {
  exchange.request.resume()
  sendNothing(exchange)
}

function sendNothing({ response, common }: Exchange): void {
  if (response.destroyed) return
  response.writeHead(204, [...common])
  response.end()
}

interface BlobTarget {
  readonly appId: AppId
  readonly path: readonly string[]
}

/** What the path names; `-` is the caller's own app. */
function target({ path, holder }: Exchange): BlobTarget {
  const rest = path.slice(BASE.length + 1)
  if (rest === '') throw new ApiError('ERR_NOT_FOUND', 'The requested resource could not be found.')
  if (rest.length > PATH_BYTES) throw new ApiError('ERR_BAD_REQUEST', `Paths have at most ${String(PATH_BYTES)} bytes.`)
  const [app = '', ...names] = rest
    .split('/')
    .filter((segment) => segment !== '')
    .map(decodeSegment)
  return { appId: app === '-' ? (holder?.appId ?? '') : parseAppId(app), path: names }
}

function ownTarget(exchange: Exchange): BlobTarget {
  if (!exchange.path.startsWith(`${BASE}/-`) || !/^\/?$/.test(exchange.path.charAt(BASE.length + 2))) {
    throw new ApiError('ERR_BAD_REQUEST', "Blobs are written and deleted under '-' only.")
  }
  return target(exchange)
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw new ApiError('ERR_BAD_REQUEST', 'The path is not percent-encoded UTF-8.')
  }
}
