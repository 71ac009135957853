import t from 'tap'
import { startDaemon, type DaemonSettings } from '../../node/index.js'
import { startApi } from '../node/support/api-node.js'
import { ask } from '../support/ask.js'
import { httpVectors, runHttpVector, vectorVariables } from '../support/http-vectors.js'
import { OpenApi } from '../support/open-api.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const ORIGINS = ['http://app.local']

function settingsFor(data: string): DaemonSettings {
  return {
    data,
    api: {
      listen: [{ host: '127.0.0.1', port: 0 }],
      socket: null,
      apps: [],
      hosts: [],
      origins: ORIGINS,
      limits: {
        body: 2 ** 27,
        message: 2 ** 27,
        memory: 2 ** 28,
        query: { text: 2 ** 18, nesting: 200, operands: 20_000, branches: 4096, values: 1_000_000 },
      },
    },
    eventRouting: { routes: [], streams: new Map() },
    storage: {
      sync: 'os',
      block: { maxEvents: 8, maxBytes: 2 ** 18 },
      pruneInterval: 60_000,
      cache: 2 ** 25,
      maxInFlight: 2 ** 26,
      maxUnsealed: 2 ** 26,
      reserve: 2 ** 20,
    },
  }
}

/** A whole node on a free port. */
async function startNode(t: { teardown: (work: () => unknown) => void }): Promise<string> {
  const data = temporaryDirectory(t)
  const noLog = (): void => undefined
  const logger = { debug: noLog, info: noLog, warn: noLog, error: noLog }
  const daemon = await startDaemon({ settings: settingsFor(data), logger, version: '0.1.0' })
  // tap tears down in reverse order: the daemon ends before its directory goes.
  t.teardown(() => daemon.close())
  return String(daemon.addresses.api[0])
}

async function runAll(t: Pick<typeof import('tap').t, 'same'>, url: string): Promise<void> {
  const variables = await vectorVariables(url)
  for (const vector of httpVectors()) {
    t.same(await runHttpVector(url, vector, variables), [], `${vector.id}: ${vector.title}`)
  }
}

t.test('the API gives the answers of http.json, with services in memory', async (t) => {
  const { url } = await startApi(t, { access: { apps: [], hosts: [], origins: ORIGINS } })
  await runAll(t, url)
})

t.test('a whole node gives the answers of http.json', async (t) => {
  await runAll(t, await startNode(t))
})

t.test('the additions of a whole node answer as their OpenAPI description says', async (t) => {
  const url = await startNode(t)
  await vectorVariables(url)
  const api = await OpenApi.of(url)
  for (const path of ['/health', '/ready', '/metrics']) await api.check('GET', path)
  t.match(await api.check('GET', '/api/millrace/v1/streams'), {
    streams: [{ name: 'default', number: 0, own: true, events: 1 }],
  })
  const queries = [
    "FROM 'a' & 'b' | 'c'",
    'FROM allEvents ORDER DESC FILTER _.x > 1 SELECT _.x',
    "FEATURES(limit) FROM isLocal & from(2026-01-01Z) & 'a' LIMIT 1",
    "FROM 'a' & appId(me)",
    'FEATURES(fromArray) FROM [1, 2]',
  ]
  for (const query of queries) {
    t.ok(await api.check('POST', '/api/millrace/v1/explain', { body: JSON.stringify({ query }) }), query)
  }
  const failing = await api.check('POST', '/api/millrace/v1/explain', { body: '{"query":"FROM \'a\' FILTER"}' })
  t.match(failing, { code: 'ERR_BAD_REQUEST', line: 1, reason: /expected/ })
  t.equal((await ask(url, '/api/millrace/v1/explain')).status, 405)
})
