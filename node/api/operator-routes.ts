import type { Static } from '@sinclair/typebox'
import { renderTopics, type TokenReply } from './additions.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { sendJson, type Exchange } from './exchange.js'
import type { Routes } from './routes.js'
import { OPERATOR_APP, TOKEN_VALIDITY_SECONDS } from './tokens.js'

const TOPICS = '/api/millrace/v1/topics'
const IDENTITY = '/api/millrace/v1/identity'

/** Who the node is, which topics it has, and what it is to do; what changes that is for operators alone. */
export function addOperatorRoutes(routes: Routes): Routes {
  return routes
    .below(TOPICS, { DELETE: { admission: 'operator', produces: 'application/json', run: deleteTopic } })
    .at(TOPICS, { GET: { admission: 'local', produces: 'application/json', run: sendTopics } })
    .at(IDENTITY, { GET: { admission: 'local', produces: 'application/json', run: sendIdentity } })
    .at('/api/millrace/v1/token', { POST: { admission: 'operator', produces: 'application/json', run: issueToken } })
    .at('/api/millrace/v1/reload', { POST: { admission: 'operator', produces: 'application/json', run: reload } })
    .at(`${IDENTITY}/epoch`, { POST: { admission: 'operator', produces: 'application/json', run: beginEpoch } })
}

async function sendTopics({ response, common }: Exchange, { options }: ApiContext): Promise<void> {
  const topics = await options.operations.topics()
  sendJson(response, 200, renderTopics(topics), ['cache-control', 'no-cache', ...common])
}

async function deleteTopic({ response, common, path }: Exchange, { options }: ApiContext): Promise<void> {
  const deleted = await options.operations.deleteTopic(decodeName(path.slice(TOPICS.length + 1)))
  sendJson(response, 200, JSON.stringify(deleted), common)
}

/** A topic with a slash comes as one segment. */
function decodeName(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (error) {
    throw new ApiError('ERR_BAD_REQUEST', 'The name of the topic is not percent-encoded.', { cause: error })
  }
}

function sendIdentity({ response, common }: Exchange, { options }: ApiContext): void {
  const identity = options.operations.identity()
  sendJson(response, 200, JSON.stringify(identity), ['cache-control', 'no-cache', ...common])
}

/** For the pages that the node serves: browsers cannot use the Unix socket. */
function issueToken({ request, response, common }: Exchange, { options }: ApiContext): void {
  request.resume()
  const { tokens, version, clock } = options
  const expiresMicros = clock.nowMicros() + TOKEN_VALIDITY_SECONDS * 1_000_000
  const token = tokens.issue({ appId: OPERATOR_APP, version, mode: 'operator' })
  const reply: Static<typeof TokenReply> = { token, appId: OPERATOR_APP, expiresAt: expiresMicros }
  sendJson(response, 200, JSON.stringify(reply), ['cache-control', 'no-store', ...common])
}

async function reload({ request, response, common }: Exchange, { options }: ApiContext): Promise<void> {
  request.resume()
  if (options.reload === undefined) {
    throw new ApiError('ERR_NOT_FOUND', 'This node was started without a configuration that could be read again.')
  }
  sendJson(response, 200, JSON.stringify(await options.reload()), common)
}

async function beginEpoch({ request, response, common }: Exchange, { options }: ApiContext): Promise<void> {
  request.resume()
  sendJson(response, 200, JSON.stringify(await options.operations.beginEpoch()), common)
}
