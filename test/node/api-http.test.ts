import t from 'tap'
import { request } from 'node:http'
import { startApi } from '../support/api-node.js'

/** What came back over HTTP. */
interface Reply {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly text: string
}

function ask(
  url: string,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string | Buffer; socketPath?: string } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, body, socketPath } = options
    const to = new URL(url)
    const where = socketPath === undefined ? { host: to.hostname, port: to.port } : { socketPath }
    const call = request(
      {
        ...where,
        method,
        path,
        headers: { ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }), ...headers },
        agent: false,
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => (text += part))
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        })
      },
    )
    call.on('error', reject)
    call.end(body)
  })
}

t.test('an app gets a token, publishes, reads its events back and sees them in the offsets', async (t) => {
  const { url, nodeId } = await startApi(t)
  const manifest = JSON.stringify({ appId: 'com.example.a', displayName: 'A', version: '1.0' })
  const auth = await ask(url, '/api/v2/auth', { method: 'POST', body: manifest })
  t.equal(auth.status, 200)
  const { token } = JSON.parse(auth.text) as { token: string }
  t.match(token, /^[A-Za-z0-9_-]{20,}$/)
  const headers = { authorization: `Bearer ${token}` }
  const body = '{"data":[{"tags":["a"],"payload":1},{"tags":["b"],"payload":{"x":[]}}]}'
  const published = await ask(url, '/api/v2/events/publish', { method: 'POST', headers, body })
  t.equal(published.status, 200)
  const query = '{"query":"FROM \'b\'","order":"asc"}'
  const answer = await ask(url, '/api/v2/events/query', { method: 'POST', headers, body: query })
  t.equal(answer.headers['content-type'], 'application/x-ndjson')
  const [event, offsets] = answer.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as object)
  t.match(event, { type: 'event', appId: 'com.example.a', tags: ['b'], payload: { x: [] } })
  t.same(offsets, { type: 'offsets', offsets: { [`${nodeId}-0`]: 1 } })
  const present = await ask(url, `/api/v2/events/offsets/?x=1&access_token=${token}`)
  t.same(JSON.parse(present.text), { present: { [`${nodeId}-0`]: 1 }, toReplicate: {} })
  t.equal(present.headers['cache-control'], 'no-cache')
})
