import { Type, type Static } from '@sinclair/typebox'
import { parseStreamId } from '../../core/index.js'
import { renderStreams } from './additions.js'
import { renderBlocks } from './blocks-reply.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { sendJson, type Exchange } from './exchange.js'
import { exactly } from './reply-schemas.js'
import type { Routes } from './routes.js'
import { countIn, wordIn } from './url-parameters.js'

const STREAMS = '/api/millrace/v1/streams'
const BLOCKS = '/blocks'

const DEFAULT_BLOCKS = 100
const MOST_BLOCKS = 1000
const DEFAULT_TAGS = 100
const MOST_TAGS = 1000

export const TagsReply = exactly(
  {
    tags: Type.Array(Type.String(), { description: 'In order of code points' }),
    complete: Type.Boolean({
      description:
        'Whether there is no other one; false when there are more than asked for, or the index does not name all',
    }),
  },
  'Tags of stored events',
)

/** What is held: streams, their blocks, and the tags in them. */
export function addStreamRoutes(routes: Routes): Routes {
  return routes
    .below(STREAMS, { GET: { admission: 'local', produces: 'application/json', run: sendBlocks } })
    .at(STREAMS, { GET: { admission: 'local', produces: 'application/json', run: sendStreams } })
    .at('/api/millrace/v1/tags', { GET: { admission: 'local', produces: 'application/json', run: sendTags } })
}

async function sendStreams({ response, common }: Exchange, { options }: ApiContext): Promise<void> {
  sendJson(response, 200, renderStreams(await options.streams()), ['cache-control', 'no-cache', ...common])
}

async function sendBlocks({ response, common, path, query }: Exchange, { options }: ApiContext): Promise<void> {
  const stream = streamIn(path)
  const parameters = new URLSearchParams(query)
  const page = await options.views.blocks(stream, {
    from: parameters.has('from') ? countIn(parameters, 'from', 0) : undefined,
    limit: Math.max(1, Math.min(MOST_BLOCKS, countIn(parameters, 'limit', DEFAULT_BLOCKS))),
    order: wordIn(parameters, 'order', ['asc', 'desc'], 'asc'),
  })
  if (page === undefined) throw new ApiError('ERR_NOT_FOUND', 'There is nothing of such a stream on this node.')
  sendJson(response, 200, renderBlocks(page), ['cache-control', 'no-cache', ...common])
}

/** The id may stand there as it is, or percent-encoded: node ids may hold slashes. */
function streamIn(path: string): string {
  const rest = path.slice(STREAMS.length + 1)
  if (!rest.endsWith(BLOCKS)) throw new ApiError('ERR_NOT_FOUND', 'The requested resource could not be found.')
  const written = rest.slice(0, -BLOCKS.length)
  try {
    const stream = decodeURIComponent(written)
    parseStreamId(stream)
    return stream
  } catch (error) {
    if (!(error instanceof URIError)) throw error
    throw new ApiError('ERR_BAD_REQUEST', 'The id of the stream is not percent-encoded.', { cause: error })
  }
}

async function sendTags({ response, common, query }: Exchange, { options }: ApiContext): Promise<void> {
  const parameters = new URLSearchParams(query)
  const limit = Math.max(1, Math.min(MOST_TAGS, countIn(parameters, 'limit', DEFAULT_TAGS)))
  const { tags, complete } = await options.views.tags((parameters.get('prefix') ?? '').normalize('NFC'), limit)
  const reply: Static<typeof TagsReply> = { tags: [...tags], complete }
  sendJson(response, 200, JSON.stringify(reply), ['cache-control', 'no-cache', ...common])
}
