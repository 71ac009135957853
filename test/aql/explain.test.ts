import t from 'tap'
import { AqlFeatureNotEnabledError, explainQuery, type PrepareOptions } from '../../aql/index.js'
import { ALL_FEATURES, NOW_MICROS } from '../support/aql-ask.js'

const options: PrepareOptions = { endpoint: 'query', appId: 'com.example.me', nowMicros: NOW_MICROS }

t.test('an explanation says what a query will do', async (t) => {
  t.same(
    explainQuery(
      `${ALL_FEATURES}FROM ('a' | 'b' & appId(me) & isLocal) & TIME > 1D ago LIMIT 3 AGGREGATE LAST(_.x)`,
      options,
    ),
    {
      query:
        "FEATURES(aggregate fromArray interpolation multiEmission spread subQuery) FROM ('a' | 'b' & appId(me) & isLocal) & TIME > 1D ago LIMIT 3 AGGREGATE LAST(_.x)",
      features: ['timeRange', 'aggregate', 'limit'],
      source: 'events',
      order: 'desc',
      stopsEarly: true,
      passThrough: false,
      branches: [
        { tags: ['a'], time: { from: '2024-05-31T00:00:00.000001Z' } },
        { tags: ['b'], appId: 'com.example.me', local: true, time: { from: '2024-05-31T00:00:00.000001Z' } },
      ],
      operations: 2,
    },
  )
  t.match(explainQuery("FROM 'a' & KEY >= 3 & KEY < 9", options), {
    passThrough: true,
    order: null,
    stopsEarly: false,
    branches: [{ tags: ['a'], key: { from: `3/${'.'.repeat(43)}-0`, to: `9/${'.'.repeat(43)}-0` } }],
  })
  t.match(explainQuery(`${ALL_FEATURES}FROM [1]`, options), { source: 'array', branches: null })
  t.match(explainQuery(`${ALL_FEATURES}FROM \`a\``, options), { source: 'events', branches: null, passThrough: false })
  t.match(explainQuery("FROM 'a' | 'a' & 'b' | allEvents", options), { branches: [{ tags: [] }] })
  t.throws(() => explainQuery("FROM 'a' AGGREGATE SUM(1)", options), AqlFeatureNotEnabledError)
})
