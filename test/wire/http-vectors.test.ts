import t from 'tap'
import { startApi } from '../node/support/api-node.js'
import { httpVectors, runHttpVector, vectorVariables } from '../support/http-vectors.js'

t.test('every case of http.json gets the answer of the Actyx API', async (t) => {
  const { url } = await startApi(t, { access: { apps: [], hosts: [], origins: ['http://app.local'] } })
  const variables = await vectorVariables(url)
  for (const vector of httpVectors())
    t.same(await runHttpVector(url, vector, variables), [], `${vector.id}: ${vector.title}`)
})
