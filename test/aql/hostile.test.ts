import t from 'tap'
import { prepareQuery } from '../../aql/index.js'
import { RowSink } from '../../aql/row-sink.js'
import { arrayValue, naturalValue, stringValue } from '../../aql/value.js'
import { ALL_FEATURES, ask, eventsOf, evaluate, NOW_MICROS, TEST_NODE, values } from '../support/aql-ask.js'
import { MemoryReader } from '../support/memory-reader.js'

/** Text repeated with its number in place of `#`. */
const repeat = (count: number, text: string) =>
  Array.from({ length: count }, (_, nth) => text.replaceAll('#', String(nth))).join(' ')

t.test('doubling by reference does not print without end', async (t) => {
  const doubling = `LET a0 := _ ${repeat(60, 'LET b# := [_, _] LET _ := [b#, b#]')}`
  t.same(await values(`${ALL_FEATURES}FROM [1] ${doubling}`), ['!warning'])
  t.same(await values(`${ALL_FEATURES}FROM [1] ${repeat(5000, 'LET _ := [_]')}`), ['!warning'], 'nor does nesting')
  t.same(await values(`${ALL_FEATURES}FROM [1] ${repeat(5000, 'LET _ := {a: _}')} SELECT 5`), ['5'])
})

t.test('doubling by copy is bounded', async (t) => {
  t.same(await values(`${ALL_FEATURES}FROM [[1, 2]] ${repeat(3000, 'LET _ := [..._, ..._]')}`), ['!error', 'ABORT'])
  t.same(await values(`${ALL_FEATURES}FROM ['ab'] ${repeat(3000, 'LET _ := `{_}{_}`')}`), ['!warning'])
  const held = `LET x := [${repeat(9, '..._,')} 1] ${repeat(2000, 'LET y# := [...x, #]')} SELECT 1`
  t.same(await values(`${ALL_FEATURES}FROM [[${'0,'.repeat(999)}0]] ${held}`), ['!warning'], 'in all bindings together')
})

t.test('numbers are not computed further than they can be used', async (t) => {
  t.match(await evaluate('2 ^ 4294967295'), /overflow/)
  t.match(await evaluate('18446744073709551615 ^ 18446744073709551615'), /overflow/)
  t.match(await evaluate(repeat(2000, '9 ^ 9 ^').slice(0, -1)), /overflow/)
})

t.test('texts that would hang a careless parser are refused soon', async (t) => {
  for (const text of [
    '('.repeat(100_000),
    `FROM 'a' SELECT ${'('.repeat(100_000)}`,
    `FROM 'a' SELECT ${'{a:'.repeat(50_000)}`,
    `FROM 'a' SELECT ${'`{'.repeat(50_000)}`,
    `FROM 'a' SELECT ${'FROM '.repeat(50_000)}`,
    `FROM 'a' SELECT ${'_['.repeat(50_000)}`,
    `FROM ${"'a'&(".repeat(40_000)}`,
    `FROM ${"'a'&".repeat(50_000)}`,
    `FROM ${'['.repeat(100_000)}`,
    `FROM 'a' SELECT ${'CASE '.repeat(50_000)}`,
    `FROM 'a' SELECT ${'!'.repeat(100_000)}`,
    `FROM 'a' ${'SELECT 1 '.repeat(20_000)}x`,
    `FROM '${"''".repeat(100_000)}`,
    `PRAGMA events\n${'\n'.repeat(200_000)}`,
    '-- \n'.repeat(60_000),
    ' '.repeat(250_000),
    `FROM 'a' SELECT ${'9'.repeat(250_000)}`,
    'ud800 \ud800\udfff',
  ]) {
    t.throws(() => prepareQuery(text, { endpoint: 'query', appId: 'a', nowMicros: 0 }), text.slice(0, 30))
  }
})

t.test('deep expressions that are allowed can be evaluated', async (t) => {
  const levels = '1??1|1~1&1=1<1+1*1^('
  t.match(await evaluate(levels.repeat(199) + '1' + ')'.repeat(199)), /./)
  t.equal(await evaluate('('.repeat(200) + '1' + ')'.repeat(200)), '1')
  const nested = `${'FROM [1] SELECT '.repeat(199)}7`
  t.equal(await evaluate(nested), `${'['.repeat(199)}7${']'.repeat(199)}`)
})

const many = eventsOf(Array.from({ length: 2000 }, (_, n) => [['a'], `{"n":${String(n)}}`]))

/** The longest time that the event loop was held while the work ran, in milliseconds. */
async function longestTurn(work: () => Promise<unknown>): Promise<number> {
  let last = performance.now()
  let longest = 0
  const timer = setInterval(() => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
  }, 1)
  await work().finally(() => {
    clearInterval(timer)
  })
  return longest
}

t.test('long queries let others have their turn and obey their signal', async (t) => {
  const reader = new MemoryReader(many, TEST_NODE)
  for (const query of [
    "FROM 'a' SELECT FROM 'a' FILTER _.n > 5 AGGREGATE SUM(_.n) END",
    "FROM 'a' LIMIT 1 SELECT FROM 'a' LET x := FROM 'a' END SELECT FROM 'a' END END",
    `FROM [${'[1,2,3],'.repeat(99)}[1]] SELECT FROM [1,2,3] SELECT FROM [1,2,3,4,5,6,7,8,9] SELECT FROM 'a' END END END`,
    `FROM 'a' SELECT ${Array.from({ length: 5000 }, () => '_.n').join('+')} FILTER FALSE`,
  ]) {
    const controller = new AbortController()
    const run = ask(ALL_FEATURES + query, [], { reader, signal: controller.signal })
    const started = performance.now()
    let stopped = 0
    const turn = await longestTurn(async () => {
      const timer = setTimeout(() => {
        controller.abort()
        stopped = performance.now()
      }, 300)
      await run
      clearTimeout(timer)
    })
    const ended = performance.now()
    t.equal((await run).complete, false, query.slice(0, 60))
    t.ok(stopped > 0, `it was still running after ${String(Math.round(ended - started))} ms`)
    t.comment(
      `longest turn ${turn.toFixed(1)} ms, ended ${(ended - stopped).toFixed(1)} ms after its signal: ${query.slice(0, 40)}`,
    )
  }
})

t.test('a sub-query or spread holds a bounded number of values', async (t) => {
  const limits = { maxValues: 1000 }
  t.same(await values(`${ALL_FEATURES}FROM [1] SELECT FROM 'a' END`, many, { limits }), ['!error', 'ABORT'])
  t.same(await values(`${ALL_FEATURES}FROM [1] SELECT FROM 'a' END ?? 1`, many, { limits }), ['!error', 'ABORT'])
  const big = eventsOf([[['a'], `[${'0,'.repeat(1000)}0]`]])
  t.same(await values(`${ALL_FEATURES}FROM 'a' SELECT ..._`, big, { limits }), ['!error', 'ABORT'])
  t.same(await values(`${ALL_FEATURES}FROM 'a' SELECT [..._]`, big, { limits }), ['!error', 'ABORT'])
  t.equal((await values(`${ALL_FEATURES}FROM 'a' SELECT ..._`, big)).length, 1001)
})

t.test('early ends stop the reading', async (t) => {
  const readBy = async (query: string) => {
    const reader = new MemoryReader(many, TEST_NODE)
    await ask(ALL_FEATURES + query, [], { reader })
    return reader.batchesRead
  }
  t.equal(await readBy("FROM 'a' LIMIT 3"), 3)
  t.equal(await readBy("FROM 'a' AGGREGATE LAST(_)"), 1)
  t.equal(await readBy("FROM 'a' AGGREGATE FIRST(_.n)"), 1)
  t.equal(await readBy("FROM 'a' FILTER _.n < 1998 AGGREGATE LAST(_.n)"), 3)
  t.equal(await readBy("FROM 'a' AGGREGATE [LAST(_.n), LAST(_.x) ?? 0]"), 2000, 'one of them never has a value')
  t.equal(await readBy("FROM 'a' ORDER ASC AGGREGATE LAST(_.n)"), 2000)
  t.equal(await readBy("FROM 'a' AGGREGATE 42"), 1)
  t.equal(await readBy("FROM 'a' SELECT 1, 2 LIMIT 4"), 2)
  t.equal(await readBy("FROM 'a' LIMIT 2 SELECT (FROM 'a' AGGREGATE LAST(_.n) END)[0]"), 4)
})

t.test('a reader that fails ends the run with its error', async (t) => {
  const prepared = prepareQuery("FROM 'a' SELECT 1", { endpoint: 'query', appId: 'a', nowMicros: NOW_MICROS })
  const bounds = { lowerBound: new Map<string, number>(), upperBound: new Map<string, number>() }
  const broken = {
    async *read(): AsyncGenerator<never> {
      yield await Promise.reject(new Error('disk on fire'))
    },
  }
  const signal = new AbortController().signal
  const run = prepared.run({ reader: broken, order: 'asc', ...bounds, nodeId: TEST_NODE, signal })
  await t.rejects(run.next(), { message: 'disk on fire' })
})

const tens = (name: string) => Array.from({ length: 10 }, () => `...${name}`).join(', ')
const LONG_ROWS = `LET a := [${repeat(99, '#,')} _] LET b := [${tens('a')}] LET c := [${tens('b')}] LET d := [${tens('c')}]`

t.test('a long row is written in steps', (t) => {
  const numbers = Array.from({ length: 100_000 }, (_, nth) => nth)
  const sink = new RowSink()
  sink.value(
    arrayValue(
      [
        stringValue('first'),
        arrayValue(
          numbers.map((nth) => naturalValue(nth)),
          undefined,
        ),
      ],
      undefined,
    ),
    false,
  )
  t.equal(sink.size, 0)
  let steps = 0
  while (!sink.advance()) steps += 1
  t.ok(steps > 5)
  t.match(sink.take(), [{ kind: 'event', payload: JSON.stringify(['first', numbers]) }])
  sink.value(
    arrayValue(
      numbers.map((nth) => naturalValue(nth)),
      undefined,
    ),
    false,
  )
  sink.diagnose('error', 'what comes later waits for it')
  t.match(sink.take(), [{ payload: JSON.stringify(numbers) }, { kind: 'diagnostic' }])
  t.end()
})

t.test('long rows come in their order', async (t) => {
  const rows = await values(`${ALL_FEATURES}FROM [7, 8] ${LONG_ROWS} SELECT _, [${tens('d')}], x, {a: d, b: 'x'}, _`)
  const wanted = [7, 8].flatMap((last) => {
    const numbers = Array.from({ length: 1_000_000 }, (_, nth) => (nth % 100 === 99 ? last : nth % 100))
    const object = JSON.stringify({ a: numbers.slice(0, 100_000), b: 'x' })
    return [String(last), JSON.stringify(numbers), '!warning', object, String(last)]
  })
  t.equal(rows.length, wanted.length)
  for (const [nth, row] of rows.entries()) t.ok(row === wanted[nth], `row ${String(nth)}`)
})

t.test('long texts are written in pieces that cut no character', async (t) => {
  for (const piece of ['x', 'é', '～', '😀', 'a😀', '"\\\n', '\u0001']) {
    for (const shift of ['', '-', '--', '---']) {
      const text = shift + piece.repeat(100_000)
      const payload = JSON.stringify({ text })
      const rows = await values("FROM 'a' FILTER TRUE", eventsOf([[['a'], payload]]))
      t.ok(rows[0] === payload, `${JSON.stringify(piece)} in a payload`)
      const strings = await values("FROM 'a' SELECT _.text", eventsOf([[['a'], payload]]))
      t.ok(strings[0] === JSON.stringify(text), `${JSON.stringify(piece)} as a string`)
    }
  }
})

t.test('a query can be ended while a long row is written', async (t) => {
  const ended = new AbortController()
  setImmediate(() => {
    ended.abort()
  })
  t.match(
    await ask(`${ALL_FEATURES}FROM [7, 8, 9] ${LONG_ROWS} SELECT [${tens('d')}], 1`, [], { signal: ended.signal }),
    { complete: false },
  )
})

t.test('as many paths as a text can hold are found in one pass', async (t) => {
  const count = 15_000
  const payload = `{${Array.from({ length: count }, (_, nth) => `"a${String(nth)}":{"b":${String(nth)}}`).join()}}`
  const query = `FROM 'a' SELECT [${Array.from({ length: count }, (_, nth) => `_.a${String(nth)}.b`).join()}]`
  t.same(await values(query, eventsOf([[['a'], payload]])), [
    JSON.stringify(Array.from({ length: count }, (_, nth) => nth)),
  ])
  const repeated = `{${'"a":{},'.repeat(100_000)}"a":{"b1":7}}`
  const names = Array.from({ length: 1000 }, (_, nth) => `(_.a.b${String(nth)} ?? 0)`).join(' + ')
  t.same(await values(`FROM 'a' SELECT ${names}`, eventsOf([[['a'], repeated]])), ['7'])
})
