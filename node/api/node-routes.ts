import { readBody } from './body.js'
import type { ApiContext } from './context.js'
import { sendJson, sendText, type Exchange } from './exchange.js'
import { admitApp, parseManifest } from './manifest.js'
import type { Routes } from './routes.js'

/** Bytes of an app manifest: far more than any has, so that who has no token yet cannot make us hold much. */
const MANIFEST_BYTES = 1024 * 1024

/** The version of the Actyx API that clients may count on; they switch features on by it. */
export const API_VERSION = '2.18.2'

/** `/api/v2/auth` and `/api/v2/node`. */
export function addNodeRoutes(routes: Routes): Routes {
  return (
    routes
      // What stands below /auth is not looked at: clients of the Actyx API rely on that.
      .below('/api/v2/auth', {
        POST: { admission: 'none', produces: 'application/json', takesJson: true, run: issueToken },
      })
      .at('/api/v2/node/id', { GET: { admission: 'none', produces: 'text/plain', run: sendId } })
      .at('/api/v2/node/info', { GET: { admission: 'app', run: sendInfo } })
  )
}

async function issueToken({ request, response, common, lease }: Exchange, context: ApiContext): Promise<void> {
  const { options, timers, access } = context
  const rules = { limitBytes: Math.min(MANIFEST_BYTES, options.limits.bodyBytes), stallMs: timers.bodyStallMs }
  const body = await readBody(request, rules, lease)
  const token = options.tokens.issue(admitApp(parseManifest(body), access.apps))
  sendJson(response, 200, JSON.stringify({ token }), common)
}

function sendId({ response, common }: Exchange, { options }: ApiContext): void {
  sendText(response, 200, 'text/plain; charset=utf-8', options.nodeId, ['cache-control', 'no-cache', ...common])
}

function sendInfo({ response, common }: Exchange, { options }: ApiContext): void {
  const { connectedNodes, uptimeMs, peers } = options.status()
  const secs = Math.floor(uptimeMs / 1000)
  const info = {
    connectedNodes,
    uptime: { secs, nanos: Math.min(999_999_999, Math.floor((uptimeMs - secs * 1000) * 1e6)) },
    version: `${API_VERSION}-millrace-${options.version}`,
    swarmState: { peersStatus: peers },
  }
  sendJson(response, 200, JSON.stringify(info), common)
}
