import t from 'tap'
import { AqlRangesDifferError, AqlSyntaxError, renderRow, type Row } from '../../aql/index.js'
import { ALL_FEATURES, ask, brief, eventsOf, follow, prepare, TEST_NODE, values } from '../support/aql-ask.js'
import { MemoryReader } from '../support/memory-reader.js'

const numbers = (...list: (number | string)[]) => eventsOf(list.map((n) => [['a'], `{"n":${String(n)}}`]))
const followed = (query: string, past: (number | string)[], live: (number | string)[]) => {
  const all = numbers(...past, ...live)
  return follow(ALL_FEATURES + query, all.slice(0, past.length), all.slice(past.length))
}

t.test('past and live events pass the operations', async (t) => {
  t.same(followed("FROM 'a' FILTER _.n > 1 LET m := _.n SELECT m * 10", [1, 2], [3, 0, 4]), ['20', '|', '30', '40'])
  t.same(followed("FROM 'a' SELECT _.x", [1], [2]), ['!warning', '|', '!warning'])
  t.same(followed("FROM 'a' ORDER DESC SELECT _.n", [1, 2], [3]), ['1', '2', '|', '3'], 'ORDER has no effect')
  t.same(followed("FROM 'a' SELECT ...[_.n, 0]", [1], [2]), ['1', '0', '|', '2', '0'])
})

t.test('LIMIT ends a subscription after the n-th', async (t) => {
  t.same(followed("FROM 'a' SELECT _.n LIMIT 3", [1, 2], [3, 4]), ['1', '2', '|', '3', 'done'])
  t.same(followed("FROM 'a' SELECT _.n LIMIT 2", [1, 2, 3], [4]), ['1', '2', '|', 'done'])
  t.same(followed("FROM 'a' LIMIT 2 AGGREGATE SUM(_.n)", [1], [2, 3]), ['1', '|', '-1', '3', 'done'])
  t.same(followed("FROM 'a' LIMIT 2 AGGREGATE SUM(_.n)", [1, 2, 3], [4]), ['3', '|', 'done'])
  t.same(followed("FROM 'a' AGGREGATE SUM(_.n) LIMIT 1", [1], [2]), ['1', '|', 'done'])
})

t.test('an aggregate is withdrawn when live events change it', async (t) => {
  t.same(followed("FROM 'a' AGGREGATE SUM(_.n)", [1, 2], [3, 4]), ['3', '|', '-3', '6', '-6', '10'])
  t.same(
    followed("FROM 'a' AGGREGATE MAX(_.n)", [1, 5], [3, 7]),
    ['5', '|', '-5', '7'],
    'equal values are not repeated',
  )
  t.same(followed("FROM 'a' AGGREGATE FIRST(_.n)", [1], [2]), ['1', '|'])
  t.same(followed("FROM 'a' AGGREGATE LAST(_.n)", [1], [2]), ['1', '|', '-1', '2'])
  t.same(followed("FROM 'a' AGGREGATE SUM(1)", [], [1, 2]), ['!warning', '|', '1', '-1', '2'])
  t.same(followed("FROM 'a' AGGREGATE SUM(1) ?? 0", [], [1]), ['0', '|', '-0', '1'])
  t.same(followed("FROM 'a' AGGREGATE SUM(_.n)", [1], ['"x"', 2]), ['1', '|', '!warning'], 'a spoiled sum is said once')
  t.same(followed("FROM 'a' AGGREGATE 42", [1], [2]), ['42', '|'])
})

t.test('an aggregate changes once with all events of one delivery', async (t) => {
  const subscription = prepare("FEATURES(aggregate)FROM 'a' AGGREGATE SUM(_.n)", { endpoint: 'subscribe' }).live({
    nodeId: TEST_NODE,
  })
  const [first, ...others] = new MemoryReader(numbers(1, 2, 3, 4), TEST_NODE).events
  const rows = (list: readonly Row[]) => list.map(brief)
  t.same(rows(subscription.feed(first!)), [])
  t.same(rows(subscription.caughtUp()), ['1'])
  t.same(rows(subscription.feed(others[0]!, true)), [])
  t.same(rows(subscription.feed(others[1]!, true)), [])
  t.same(rows(subscription.feed(others[2]!)), ['-1', '10'])
})

t.test('operations after an aggregation take values back', async (t) => {
  t.same(followed("FROM 'a' AGGREGATE SUM(_.n) SELECT ...[_, _ * 2]", [1], [2]), ['1', '2', '|', '-1', '-2', '3', '6'])
  t.same(followed("FROM 'a' AGGREGATE SUM(_.n) FILTER _ > 1 LET x := _ SELECT x", [1], [2, 3]), ['|', '3', '-3', '6'])
  t.same(followed("FROM 'a' AGGREGATE SUM(_.n) AGGREGATE SUM(_ * 10)", [1], [2]), ['10', '|', '-10', '30'])
  t.same(followed("FROM 'a' AGGREGATE SUM(_.n) AGGREGATE PRODUCT(_ * 10)", [1], [2]), ['10', '|', '-10', '30'])
  t.same(followed("FROM 'a' AGGREGATE MAX(_.n) AGGREGATE SUM(_ > 2)", [1], [3]), ['false', '|', '-false', 'true'])
  t.same(followed("FROM 'a' AGGREGATE MAX(_.n) AGGREGATE PRODUCT(_ > 2)", [1], [3]), ['false', '|', '-false', 'true'])
  t.same(
    followed("FROM 'a' AGGREGATE SUM(_.n) LIMIT 2", [1], [2, 3]),
    ['1', '|', '-1', '3', '-3', '6'],
    'LIMIT gives one back',
  )
  for (const op of ['FIRST', 'LAST', 'MIN', 'MAX']) {
    const rows = followed(`FROM 'a' AGGREGATE SUM(_.n) AGGREGATE ${op}(_)`, [1], [2, 3])
    t.same(rows, ['1', '|', '!error', 'done'], `${op} cannot take back`)
  }
})

t.test('what a subscription selects is known when it starts', async (t) => {
  const live = (query: string) => prepare(ALL_FEATURES + query, { endpoint: 'subscribe' }).live({ nodeId: TEST_NODE })
  t.same(live("FROM `a{1}` & 'b'").selection, {
    kind: 'and',
    terms: [
      { kind: 'tags', anyOf: new Set(['a1']) },
      { kind: 'tags', anyOf: new Set(['b']) },
    ],
  })
  t.throws(() => live('FROM `{x}`'), AqlSyntaxError)
  t.throws(() => live('FROM ``'), AqlSyntaxError)
  t.throws(() => live("FROM `a` & KEY > 1 | 'b'"), AqlRangesDifferError)
})

t.test('private events come when the past is over', async (t) => {
  const query = 'PRAGMA events\n{"tags":["a"],"payload":1}\n{"tags":["b"],"payload":2}\nENDPRAGMA\nFROM \'a\''
  t.same(follow(query, [], []), ['1', '|'])
})

const pragma = (...lines: string[]) => `PRAGMA events\n${lines.join('\n')}\nENDPRAGMA\n${ALL_FEATURES}`

t.test('pragma events makes a private store', async (t) => {
  const head = pragma(
    '{"timestamp":1000000,"tags":["x","k:1"],"appId":"com.example.one","payload":{"v":1}}',
    ' {"time":"2020-01-01T00:00:00Z","tags":["x"],"payload":{ "v" : 18446744073709551615 },"other":null} ',
    '{"timestamp":1577836801500000,"time":"nonsense","tags":["y"],"payload":"last"}',
    '{"payload":null,"tags":null}',
  )
  t.same(await values(`${head}FROM 'x'`), ['{"v":1}', '{"v":18446744073709551615}'])
  t.same(await values(`${head}FROM 'x' ORDER DESC SELECT _.v`), ['18446744073709551615', '1'])
  t.same(await values(`${head}FROM allEvents SELECT ...APP(_)`), [
    '"com.example.one"',
    '"com.actyx.test"',
    '"com.actyx.test"',
    '"com.actyx.test"',
  ])
  t.same(await values(`${head}FROM allEvents SELECT ...TIME(_)`), [
    '1.0',
    '1577836800.0',
    '1577836801.5',
    '1717200000.0',
  ])
  t.same(await values(`${head}FROM isLocal & KEY > 1 AGGREGATE SUM(1)`), ['3'])
  t.same(await values(`${head}FROM [1] SELECT FROM 'y' END`), ['["last"]'])
  t.same(await values('PRAGMA events\n\nENDPRAGMA\nFROM allEvents'), [])
  t.same(await values('PRAGMA events\r\n{"payload":1}\r\n\r\nENDPRAGMA\r\nFROM allEvents'), ['1'])
  const stored = eventsOf([[['x'], '5']])
  t.same(await values(`${head}FROM 'y'`, stored), ['"last"'], 'stored events are not seen')
  t.equal(prepare(`${head}FROM 'y'`).source, 'pragma')
  t.equal(prepare(`${head}FROM 'y'`).passThrough, false)
})

t.test('a line of pragma events that is no event is refused', async (t) => {
  for (const line of [
    '{"payload":1}\n\n{"payload":2}',
    ' ',
    '5',
    '[]',
    'nonsense',
    '{"tags":["a"]}',
    '{"tags":"a","payload":1}',
    '{"tags":[""],"payload":1}',
    '{"tags":[5],"payload":1}',
    '{"payload":1,"appId":"A"}',
    '{"payload":1,"appId":5}',
    '{"payload":1,"timestamp":"x"}',
    '{"payload":1,"timestamp":1.5}',
    '{"payload":1,"timestamp":-1}',
    '{"payload":1,"time":"x"}',
    '{"payload":1,"time":5}',
    '{"payload":1,"time":"2021-02-29T00:00:00Z"}',
    '{"payload":1e400}',
    '{"payload":"\\ud800"}',
    '{"payload":1} x',
  ]) {
    t.throws(() => prepare(`${pragma(line)}FROM 'a'`), AqlSyntaxError, line)
  }
  t.match(
    (() => {
      try {
        return prepare(`${pragma('{"payload":1}', '{"payload":"é😀"} x')}FROM 'a'`)
      } catch (error) {
        return error
      }
    })(),
    { line: 3, column: 18, reason: 'pragma events: trailing characters' },
  )
})

t.test('rows become lines of the wire', async (t) => {
  const events = eventsOf([
    [['b', 'a'], '{"n":1}'],
    [['a'], '{"n":2}'],
  ])
  const lines = async (query: string) => (await ask(ALL_FEATURES + query, events)).rows.map((row) => renderRow(row))
  const stream = `${TEST_NODE}-0`
  t.same(await lines("FROM 'b'"), [
    `{"type":"event","lamport":1,"stream":"${stream}","offset":0,"timestamp":1717199998000000,"tags":["a","b"],"appId":"com.example.test","payload":{"n":1}}\n`,
  ])
  const none = `"lamport":0,"stream":"${'.'.repeat(43)}-0","offset":0,"timestamp":0,"tags":[],"appId":"none"`
  t.same(await lines("FROM 'b' SELECT 5"), [`{"type":"event",${none},"payload":5}\n`])
  t.same(await lines('FROM allEvents AGGREGATE SUM(_.n)'), [
    `{"type":"event",${none},"fromKey":{"lamport":1,"stream":"${stream}","offset":0},"toKey":{"lamport":2,"stream":"${stream}","offset":1},"fromTime":1717199998000000,"toTime":1717199999000000,"payload":3}\n`,
  ])
  t.match(await lines('FROM [x]'), [/^\{"type":"diagnostic","severity":"warning","message":"[^"]+"\}\n$/])
  t.match(
    renderRow({ kind: 'antiEvent', meta: { kind: 'none' }, payload: '1' }, ',"caughtUp":true'),
    /^\{"type":"antiEvent",.*,"appId":"none","caughtUp":true,"payload":1\}\n$/,
  )
})
