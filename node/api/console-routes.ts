import { createHash } from 'node:crypto'
import { readConsoleFiles, type ConsoleFile } from './console-files.js'
import { ApiError } from './errors.js'
import type { Exchange } from './exchange.js'
import type { Routes } from './routes.js'

const PAGE = '/ui'
const ASSETS = `${PAGE}/assets`

/** Nothing from elsewhere, nothing inline, in no frame of others. */
const POLICY = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"

const SAFETY: readonly string[] = [
  'content-security-policy',
  POLICY,
  'x-content-type-options',
  'nosniff',
  'referrer-policy',
  'no-referrer',
  'cross-origin-resource-policy',
  'same-origin',
]

/** Names of assets change with their content. */
const FOR_GOOD = 'public, max-age=31536000, immutable'

/** The page for operators. It is read when it is first asked for: most nodes are never looked at. */
export function addConsoleRoutes(routes: Routes): Routes {
  let known: ReadonlyMap<string, ConsoleFile> | undefined
  const files = (): ReadonlyMap<string, ConsoleFile> => (known ??= readConsoleFiles())
  return (
    routes
      // The files are the same everywhere, and browsers send no token for them.
      .below(ASSETS, {
        GET: {
          admission: 'none',
          run: (exchange) => {
            sendFile(exchange, files().get(exchange.path.slice(PAGE.length + 1)), FOR_GOOD)
          },
        },
      })
      .at(PAGE, {
        GET: {
          admission: 'insider',
          run: (exchange) => {
            sendFile(exchange, files().get('index.html'), 'no-cache')
          },
        },
      })
  )
}

function sendFile({ request, response, common }: Exchange, file: ConsoleFile | undefined, caching: string): void {
  if (file === undefined) throw new ApiError('ERR_NOT_FOUND', 'The page has no such file.')
  const etag = `"${createHash('sha256').update(file.bytes).digest('base64url').slice(0, 22)}"`
  const headers = [...SAFETY, 'cache-control', caching, 'etag', etag, 'vary', 'accept-encoding', ...common]
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, headers)
    response.end()
    return
  }
  const isGzip = /\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))/.test(request.headers['accept-encoding'] ?? '')
  const body = isGzip ? file.gzipped : file.bytes
  const encoding = isGzip ? ['content-encoding', 'gzip'] : []
  response.writeHead(200, [
    ...headers,
    ...encoding,
    'content-type',
    file.contentType,
    'content-length',
    String(body.length),
  ])
  response.end(body)
}
