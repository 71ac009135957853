import t from 'tap'
import { startDaemon } from '../../node/index.js'
import { startApi } from '../node/support/api-node.js'
import { ask } from '../support/ask.js'
import { daemonSettings, silentLogger } from '../support/daemon-settings.js'
import { httpVectors, runHttpVector, vectorVariables } from '../support/http-vectors.js'
import { OpenApi } from '../support/open-api.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const ORIGINS = ['http://app.local']

/** A whole node on a free port. */
async function startNode(t: { teardown: (work: () => unknown) => void }): Promise<string> {
  const data = temporaryDirectory(t)
  const settings = daemonSettings(data)
  const daemon = await startDaemon({
    settings: { ...settings, api: { ...settings.api, access: { apps: [], hosts: [], origins: ORIGINS } } },
    logger: silentLogger,
    version: '0.1.0',
  })
  // tap tears down in reverse order: the daemon ends before its directory goes.
  t.teardown(() => daemon.close())
  return String(daemon.addresses.api[0])
}

type Tap = Pick<typeof t, 'same'>

async function runAll(t: Tap, url: string): Promise<void> {
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
