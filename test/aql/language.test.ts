import t, { type Test } from 'tap'
import {
  AqlFeatureNotEnabledError,
  AqlRangesDifferError,
  AqlSyntaxError,
  AqlTooComplexError,
  AqlUnsupportedFeatureError,
} from '../../aql/index.js'
import { ALL_FEATURES, ask, evaluate, eventsOf, prepare, values, type AskOptions } from '../support/aql-ask.js'

const events = eventsOf([
  [['a', 'x:1'], '{"n":1,"s":"one"}'],
  [['b'], '{"n":2}'],
  [['a', 'b'], '{"n":2.5,"list":[1,[2]],"o":{"p":{"q":7}}}'],
  [['c'], '"text"'],
])

/** Each expression and its value; `!` begins the message of a failure. */
function expressions(t: Test, cases: Readonly<Record<string, string>>): void {
  for (const [expr, wanted] of Object.entries(cases)) {
    t.test(expr.slice(0, 80), async (t) => {
      const got = await evaluate(expr)
      if (wanted.startsWith('!')) t.match(got, new RegExp(`^!.*${wanted.slice(1)}`), `${expr} gives ${got}`)
      else t.equal(got, wanted)
    })
  }
  t.end()
}

/** Queries that are refused for their text. */
function refused(t: Test, queries: readonly string[], error: unknown = AqlSyntaxError): void {
  for (const query of queries) t.throws(() => prepare(query), error as never, query.slice(0, 100))
  t.end()
}

t.test('operators group by nine levels and to the left', (t) => {
  expressions(t, {
    '2^3^2': '64',
    '100 / 10 / 5': '2',
    '10 - 3 - 2': '5',
    '1 + 2 * 3 ^ 2': '19',
    '1 < 2 = TRUE & FALSE ~ TRUE | FALSE': 'true',
    'FALSE & FALSE ?? TRUE': 'false',
    '!_.a ?? FALSE': 'false',
    '!(_.a ?? FALSE)': 'true',
    '5 -3': '2',
    '5-3': '2',
    '5--3': '5',
    '5 - -3': '8.0',
    '7 ÷ 2': '3',
    '7 ⁄ 2': '3',
    '3 × 4': '12',
    '1 ≠ 2 ∧ 2 ≤ 3 ∨ FALSE': 'true',
    '¬FALSE ⊻ FALSE': 'true',
    '1 = 1 = TRUE': 'true',
    '6 % 4 * 2': '4',
    '{a: 5 -3}': '{"a":2}',
  })
})

t.test('naturals compute exactly, everything else in doubles', (t) => {
  expressions(t, {
    '9007199254740993 + 0': '9007199254740993',
    '9007199254740992 + 1': '9007199254740993',
    '9007199254740991 + 9007199254740991': '18014398509481982',
    '4294967296 * 4294967295': '18446744069414584320',
    '4294967296 * 4294967296': '!overflow',
    '18446744073709551615 + 1': '!overflow',
    '18446744073709551615 - 18446744073709551615': '0',
    '18446744073709551615 / 2': '9223372036854775807',
    '18446744073709551615 % 10': '5',
    '5 - 7': '!overflow',
    '5 / 2': '2',
    '5.0 / 2': '2.5',
    '4 / 2.0': '2.0',
    '7 / 0': '!division by zero',
    '7 % 0': '!division by zero',
    '7.0 / 0': '!overflow',
    '0.0 / 0': '!not a number',
    '5 % 0.0': '!not a number',
    '-7 % 3': '-1.0',
    '7.5 % -2': '1.5',
    '-2 ^ 0.5': '!not a number',
    '-2 ^ 2': '4.0',
    '0 ^ 0': '1',
    '1 ^ 4294967295': '1',
    '1 ^ 4294967296': '!overflow',
    '0 ^ 4294967295': '0',
    '2 ^ 4294967295': '!overflow',
    '2 ^ 63': '9223372036854775808',
    '2 ^ 64': '!overflow',
    '3 ^ 40': '12157665459056928801',
    '3 ^ 41': '!overflow',
    '2 ^ -1': '0.5',
    '0.0 ^ -1': '!overflow',
    '10.0 ^ -5': '0.00001',
    '10.0 ^ 26': '1e+26',
    '10.0 ^ -17 * 10.0 ^ 17': '1.0',
    '100000001.0 ^ 2': '10000000200000000.0',
    '2 ^ 0.5': '1.4142135623730951',
    '27 ^ (1 / 3.0)': '3.0',
    '-2 ^ -3': '-0.125',
    '-0': '-0.0',
    '0 * -1': '-0.0',
    '18446744073709551616': '18446744073709552000.0',
    '007': '7',
    '1.50': '1.5',
    '1 + TRUE': '!numbers',
    "'1' + 1": '!numbers',
    'NULL * 2': '!numbers',
  })
})

t.test('comparison works within one type', (t) => {
  expressions(t, {
    '1 = 1.0': 'true',
    '9007199254740993 = 9007199254740992': 'false',
    '9007199254740993 = 9007199254740992.0': 'true',
    '0 = -0': 'true',
    "'😀' > '～'": 'true',
    "'e\u0301' = '\u00e9'": 'false',
    "'a' < 'ab'": 'true',
    "'' < 'a'": 'true',
    'FALSE < TRUE': 'true',
    'NULL = NULL': 'true',
    'NULL < NULL': 'false',
    "1 = '1'": '!cannot compare',
    'NULL = FALSE': '!cannot compare',
    '[1] = [1]': '!cannot compare',
    '{} != {}': '!cannot compare',
    'TIME(2020-01-01Z) = TIME(2020-01-01Z)': '!cannot compare',
    '(KEY(1))[0][1] = (KEY(1))[0][1]': '!cannot compare',
  })
})

t.test('logic evaluates both sides and looks at the right one only if needed', (t) => {
  expressions(t, {
    'FALSE & 12': 'false',
    'TRUE | 12': 'true',
    'TRUE & 12': '!boolean',
    '12 & FALSE': '!boolean',
    'FALSE & x': '!not bound',
    'TRUE | x': '!not bound',
    'TRUE ~ 1': '!boolean',
    '!1': '!boolean',
    '!!TRUE': 'true',
    'NULL ?? 1': 'null',
    'x ?? y ?? 3': '3',
    'x ?? y': '!`y` is not bound',
    '1 ?? x': '1',
    '(1 / 0) ?? 2 ?? x': '2',
  })
})

t.test('CASE takes the first condition that is TRUE', (t) => {
  expressions(t, {
    'CASE FALSE => 1 CASE TRUE => 2 ENDCASE': '2',
    'CASE x => 1 CASE 5 => 2 CASE TRUE => 3 ENDCASE': '3',
    'CASE FALSE => 1 ENDCASE': '!no case',
    'CASE TRUE => x CASE TRUE => 2 ENDCASE': '!not bound',
    'CASE 1 = 1 => 5ENDCASE': '5',
    'CASETRUE=>1ENDCASE': '1',
    'CASE 1 <= 2 => 1 ENDCASE + 1': '2',
  })
})

t.test('indexes read properties by name and elements by position', (t) => {
  expressions(t, {
    '([1, 2, 3])[1]': '2',
    '([1, 2, 3])[3]': '!not found',
    "(['a'])['0']": '!not found',
    "({['0']: 1})[0]": '!not found',
    "({['0']: 1})['0']": '1',
    "({[4]: 1})['4']": '!not found',
    '({[4]: 1})[4]': '1',
    "({a: {b: [1, {c: 2}]}}).a.b[0 + 1]['c']": '2',
    '([1])[0.0]': '!not an index',
    '([1])[-1]': '!not an index',
    '([1])[TRUE]': '!not an index',
    '([1])[x]': '!not bound',
    "('abc')[0]": '!not found',
    '(NULL).a': '!not found',
    '(5).a': '!not found',
    '([[1, 2], [3]])[0][1]': '2',
    '([1])[18446744073709551615]': '!not found',
  })
})

t.test('objects and arrays are built as written', (t) => {
  expressions(t, {
    '{}': '{}',
    '{a: 1 b: 2}': '{"a":1,"b":2}',
    '{a: 1, b: 2,}': '{"a":1,"b":2}',
    "{a: 1, ['a']: 2}": '{"a":2}',
    "{['A b']: 1}": '{"A b":1}',
    '{[`k{1}`]: 1}': '{"k1":1}',
    '{[4]: 1}': '{"4":1}',
    "{[4]: 1, ['4']: 2}": '{"4":2}',
    '{[2 + 2]: 1}': '{"4":1}',
    '{[TRUE]: 1}': '!cannot be a key',
    '{[1.5]: 1}': '!cannot be a key',
    '{[NULL]: 1}': '!cannot be a key',
    '{[[1]]: 1}': '!cannot be a key',
    '{[{}]: 1}': '!cannot be a key',
    '{[x]: 1}': '!not bound',
    '{_: 1}': '{"_":1}',
    '[]': '[]',
    '[1, [2, []]]': '[1,[2,[]]]',
    '[0, ...[1, 2], ...[], 3]': '[0,1,2,3]',
    '[...1]': '!spread',
    "[...'ab']": '!spread',
    '[...{a: 1}]': '!spread',
    '[1, x]': '!not bound',
  })
})

t.test('only IsDefined is a function', (t) => {
  expressions(t, {
    'IsDefined(1)': 'true',
    'IsDefined(NULL)': 'true',
    'IsDefined(x)': 'false',
    'IsDefined (1)': 'true',
    'IsDefined()': '!1 argument',
    'IsDefined(1, 2)': '!1 argument',
    'IsDefined(Foo(1))': 'false',
    'Foo()': '!undefined function',
    'Foo(1, x)': '!undefined function',
    'Éa(1)': '!undefined function',
    IsDefined: '!not bound',
  })
})

t.test('interpolation writes every value as text', (t) => {
  expressions(t, {
    '`a{1}b`': '"a1b"',
    '``': '""',
    '`}`': '"}"',
    '`{5.0}{-0}{0.5}`': '"5.0-0.00.5"',
    '`{10.0^16} {10.0^17}`': '"10000000000000000.0 1.0e17"',
    '`{0.000001} {0.0000001} {0.00000099}`': '"0.000001 1.0e-7 9.9e-7"',
    '`{1234567890123456789.0}`': '"1.2345678901234568e18"',
    '`{18446744073709551615}`': '"18446744073709551615"',
    "`{TRUE}{FALSE}{NULL}{[1]}{{a: 1}}{'s'}`": '"TRUEFALSENULLARRAYOBJECTs"',
    '`{TIME(2020-01-02T03:04:05.678Z)}`': '"2020-01-02T03:04:05.678000Z"',
    '`{TIME(1969-12-31T23:59:59.999999Z)}`': '"1969-12-31T23:59:59.999999Z"',
    '`{U+1F600}{U+41}{U+0}`': '"😀A\\u0000"',
    '`{ 1 + 1 }{ -- comment\n 3}`': '"23"',
    '`a{`b{`c`}`}`': '"abc"',
    '`{x}`': '!not bound',
    '`it\'s "q"\n\\n`': '"it\'s \\"q\\"\\n\\\\n"',
    '`{1}` = `{0 + 1}`': 'true',
  })
})

t.test('times and keys can be written down', (t) => {
  expressions(t, {
    'TIME(2020-01-01Z)': '1577836800.0',
    'TIME(2020-01-01T00:00:00.123456Z)': '1577836800.123456',
    'TIME(2020-01-01T00:00:00.123456789Z)': '1577836800.123456',
    'TIME(2020-01-01T05:30+05:30)': '1577836800.0',
    'TIME(2019-12-31T19:00-05:00)': '1577836800.0',
    'TIME(1969-12-31T23:59:59.500Z)': '-0.5',
    'TIME(1970-01-01Z)': '0.0',
    'TIME(2000-02-29Z)': '951782400.0',
    'TIME(2255-06-05Z)': '"2255-06-05T00:00:00Z"',
    'TIME(9999-12-31T23:59:59.120Z)': '"9999-12-31T23:59:59.120Z"',
    'TIME( 2020-01-01Z )': '1577836800.0',
    'KEY(5)': `[[5,[${Array(32).fill(0).join(',')}],0]]`,
    'KEY(18446744073709551615)': `[[18446744073709551615,[${Array(32).fill(0).join(',')}],0]]`,
    [`KEY(7/${'.'.repeat(43)}-12)`]: `[[7,[${Array(32).fill(0).join(',')}],12]]`,
    'KEY(_)': '[]',
    'TIME(_)': '[]',
    'TAGS(_)': '[]',
    'APP(_)': '[]',
    'KEY(x)': '!not bound',
    'TIME(x) ?? 1': '1',
  })
})

t.test('names follow Unicode and are compared after NFC', async (t) => {
  for (const name of [
    'x',
    'xY_1',
    'é',
    'Éa',
    'ⓐ',
    'ªx²',
    'σΔ',
    'a日',
    'Abc',
    'Null',
    'True',
    'from',
    'end',
    'ago',
    'isLocal',
  ]) {
    t.same(await values(`${ALL_FEATURES}FROM [1] LET ${name} := _ + 1 SELECT ${name}`), ['2'], name)
  }
  for (const name of ['X', 'XY', '日', '_x', '1x', 'É', 'X1']) {
    t.throws(() => prepare(`FROM 'a' LET ${name} := 1`), AqlSyntaxError, name)
  }
  t.same(
    await values(`${ALL_FEATURES}FROM [1] LET \u212bx := 5 SELECT \u00c5x`),
    ['5'],
    'variables are compared after NFC',
  )
  const decomposed = eventsOf([[['a'], '{"\u212bx":1,"\u00c5x":2}']])
  t.same(await values("FROM 'a' SELECT _.\u212bx", decomposed), ['1'], 'properties as they are')
  t.same(await values("FROM 'a' SELECT _.\u00c5x", decomposed), ['2'])
})

t.test('white space and comments may stand between tokens and nowhere need to', async (t) => {
  const spaces = ' \t\n\r\u00a0\u3000\u2028\u0085\u000b'
  t.same(await values(`${spaces}FROM${spaces}'a'${spaces}SELECT${spaces}_${spaces}.${spaces}n${spaces}`, events), [
    '1',
    '2.5',
  ])
  t.same(await values("FROM'a'FILTER_.n>2SELECT_.n", events), ['2.5'])
  t.same(await values("FROM 'a' ORDERDESC SELECT _.n", events), ['2.5', '1'])
  t.same(await values("FROM'a'LIMIT1SELECT_.n", events), ['1'])
  t.same(await values("--first\nFROM 'a' --second\r SELECT _.n --last", events), ['1', '2.5'])
  t.same(await values("FROM 'a' SELECT _.n END", events), ['1', '2.5'])
  t.same(await values("FROM 'a' SELECT 1END", events), ['1', '1'])
  t.same(await values("FROM 'a' SELECT _.idEND", eventsOf([[['a'], '{"idEND":1}']])), ['1'], 'names are greedy')
})

t.test('texts that are no query are refused', (t) => {
  refused(t, [
    '',
    'FROM',
    'FROM x',
    "FROM ''",
    'FROM ""',
    "From 'a'",
    "FROM 'a' 'b'",
    "FROM 'a' && 'b'",
    "FROM !'a'",
    "FROM ('a'",
    "FROM 'a' |",
    "FROM 'a' ORDER",
    "FROM 'a' ORDER UP",
    'FROM [1] ORDER ASC',
    "FROM 'a' END END",
    "FROM 'a' END FILTER TRUE",
    "FROM 'a' FILTER",
    "FROM 'a' SELECT 1,",
    "FROM 'a' LIMIT 0",
    "FROM 'a' LIMIT 01",
    "FROM 'a' LIMIT -1",
    "FROM 'a' LIMIT 18446744073709551616",
    "FROM 'a' LET x = 1",
    "FROM 'a' LET X := 1",
    "FROM 'a' SELECT +3",
    "FROM 'a' SELECT - 3",
    "FROM 'a' SELECT -x",
    "FROM 'a' SELECT -(3)",
    "FROM 'a' SELECT .5",
    "FROM 'a' SELECT 5.",
    "FROM 'a' SELECT 5. FILTER TRUE",
    "FROM 'a' SELECT 1e5",
    "FROM 'a' SELECT 1 == 1",
    "FROM 'a' SELECT 1 <> 1",
    "FROM 'a' SELECT TRUE && TRUE",
    "FROM 'a' SELECT TRUE || TRUE",
    "FROM 'a' SELECT TRUE AND TRUE",
    "FROM 'a' SELECT NOT TRUE",
    "FROM 'a' SELECT 2 ** 3",
    "FROM 'a' SELECT 7 // 2",
    "FROM 'a' SELECT [1][0]",
    "FROM 'a' SELECT {a: 1}.a",
    "FROM 'a' SELECT TAGS(_)[0]",
    "FROM 'a' SELECT 'abc'[0]",
    "FROM 'a' SELECT IsDefined(1)[0]",
    "FROM 'a' SELECT [1,]",
    "FROM 'a' SELECT [,1]",
    "FROM 'a' SELECT [1 2]",
    "FROM 'a' SELECT {'a': 1}",
    "FROM 'a' SELECT {A: 1}",
    "FROM 'a' SELECT {a}",
    "FROM 'a' SELECT {,a: 1}",
    "FROM 'a' SELECT {a: 1,,b: 2}",
    "FROM 'a' SELECT {...{a: 1}}",
    "FROM 'a' SELECT _.A",
    "FROM 'a' SELECT _.'a'",
    "FROM 'a' SELECT _.1",
    "FROM 'a' SELECT _[]",
    "FROM 'a' SELECT _[18446744073709551616]",
    "FROM 'a' SELECT foo(1)",
    "FROM 'a' SELECT ISDEFINED(1)",
    "FROM 'a' SELECT (IsDefined)(1)",
    "FROM 'a' SELECT CASE TRUE => 1",
    "FROM 'a' SELECT CASE ENDCASE",
    "FROM 'a' SELECT CASE TRUE = > 1 ENDCASE",
    "FROM 'a' SELECT `{}`",
    "FROM 'a' SELECT `{U+}`",
    "FROM 'a' SELECT `{U+1234567}`",
    "FROM 'a' SELECT `{U+D800}`",
    "FROM 'a' SELECT `{U+DFFF}`",
    "FROM 'a' SELECT `{U+110000}`",
    "FROM 'a' SELECT `{ U+41}`",
    "FROM 'a' SELECT `a",
    "FROM 'a' SELECT 'a",
    "FROM 'a' SELECT KEY (_)",
    "FROM 'a' SELECT KEY(_.a)",
    "FROM 'a' SELECT KEY(5/short-1)",
    `FROM 'a' SELECT KEY(5/${'z'.repeat(43)}-1)`,
    `FROM 'a' SELECT KEY(5/${'.'.repeat(43)}-18446744073709551616)`,
    "FROM 'a' SELECT KEY(18446744073709551616)",
    "FROM 'a' SELECT TIME(5)",
    "FROM 'a' SELECT TAGS(5)",
    "FROM 'a' SELECT APP('a')",
    "FROM 'a' SELECT TIME(2020-1-1Z)",
    "FROM 'a' SELECT TIME(2020-01-01)",
    "FROM 'a' SELECT TIME(2020-01-01z)",
    "FROM 'a' SELECT TIME(2020-01-01t00:00Z)",
    "FROM 'a' SELECT TIME(2020-01-01T00Z)",
    "FROM 'a' SELECT TIME(2020-01-01T00:00:00.1Z)",
    "FROM 'a' SELECT TIME(2020-01-01T00:00:00.1234Z)",
    "FROM 'a' SELECT TIME(2020-01-01T24:00Z)",
    "FROM 'a' SELECT TIME(2020-01-01T23:60Z)",
    "FROM 'a' SELECT TIME(2020-01-01T23:59:60Z)",
    "FROM 'a' SELECT TIME(2020-01-01T00:00+24:00)",
    "FROM 'a' SELECT TIME(2020-13-01Z)",
    "FROM 'a' SELECT TIME(2020-00-01Z)",
    "FROM 'a' SELECT TIME(2020-01-00Z)",
    "FROM 'a' SELECT TIME(2020-01-32Z)",
    "FROM 'a' SELECT TIME(2021-02-29Z)",
    "FROM 'a' SELECT TIME(1900-02-29Z)",
    "FROM 'a' SELECT TIME(2020-04-31Z)",
    "FROM 'a' & KEY = 5",
    "FROM 'a' & KEY != 5",
    "FROM 'a' & KEY > x",
    "FROM 'a' & TIME > 5 D ago",
    "FROM 'a' & TIME > 5Dago",
    "FROM 'a' & TIME > 5d ago",
    "FROM 'a' & TIME > 5D  ago",
    "FROM 'a' & TIME > 18446744073709551616Y ago",
    "FROM 'a' & from (5)",
    "FROM 'a' & appId(A)",
    "FROM 'a' & appId(a..b)",
    "FROM 'a' & appId(.a)",
    "FROM 'a' & appId( a )",
    "FROM 'a' & appid(a)",
    "FROM 'a' & islocal",
    "FROM 'a' & ALLEVENTS",
    `FROM 'a' SELECT ${'9'.repeat(400)}`,
  ])
})

t.test('aggregators stand in AGGREGATE, the current value only inside of them', (t) => {
  refused(t, [
    "FROM 'a' FILTER SUM(1) > 0",
    "FROM 'a' SELECT LAST(_)",
    'FROM [SUM(1)]',
    'FROM `{SUM(1)}`',
    "FROM 'a' AGGREGATE _",
    "FROM 'a' AGGREGATE _.x",
    "FROM 'a' AGGREGATE KEY(_)",
    "FROM 'a' AGGREGATE TAGS(_)",
    "FROM 'a' AGGREGATE `{_}`",
    "FROM 'a' AGGREGATE SUM(SUM(_))",
    "FROM 'a' AGGREGATE SUM (_)",
    "FROM 'a' AGGREGATE SUM()",
    "FROM 'a' AGGREGATE COUNT(_)",
    "FROM 'a' AGGREGATE FROM [_] END",
    "FROM 'a' AGGREGATE FROM [1] SELECT SUM(_) END",
    "FROM 'a' AGGREGATE SUM(1), SUM(2)",
  ])
})

t.test('a syntax error says where and what was expected', (t) => {
  const fault = (query: string): AqlSyntaxError => {
    try {
      prepare(query)
    } catch (error) {
      if (error instanceof AqlSyntaxError) return error
    }
    throw new Error('not refused')
  }
  t.match(fault('FROM x'), { line: 1, column: 6 })
  t.match(fault('FROM x').message, /^ --> 1:6\n {2}\|\n1 \| FROM x\n {2}\| {6}\^---\n {2}\|\n {2}= expected .*array/)
  t.match(fault("FROM 'a'\r\n  FILTER 😀"), { line: 2, column: 10 })
  t.match(fault("FROM 'a' SELECT TIME(2021-02-29Z)").message, /1:22[^]*the calendar has no 2021-02-29/)
  t.match(fault("FROM 'a' FITTER TRUE").reason, /"FILTER"/)
  for (const [query, column, reason] of [
    ['FROM [1, 2 + , 3]', 14, 'expected expression'],
    ["FROM 'a' SELECT [1, [2, +]]", 25, 'expected "..." or expression'],
    ["FROM 'a' SELECT `a {1 + } b`", 25, 'expected expression'],
    ["FROM 'a' SELECT `{x.Y}`", 21, 'expected name'],
    ["FROM 'a' SELECT `{U+}`", 21, 'expected 1 to 6 hexadecimal digits'],
    ["FROM 'a' FILTER SELECT 1", 17, 'expected expression'],
    ["FROM 'a' FILTER - 1", 17, 'expected expression'],
    ["FROM 'a' & KEY > 5/abc-1", 20, 'expected stream id'],
    ["FROM 'a' SELECT _[18446744073709551616]", 19, 'the number needs more than 64 bits'],
    ["FROM 'a' SELECT {[18446744073709551616]: 1}", 19, 'the number needs more than 64 bits'],
    ["FROM 'a' SELECT {a: 1, b: }", 27, 'expected expression'],
    ["FROM 'a' SELECT _[1", 20, 'expected "]" or operator'],
  ] as const) {
    const { line, column: found, reason: why } = fault(query)
    t.same([line, found, why], [1, column, reason], query)
  }
  t.match(fault(`FROM '${'a'.repeat(5000)}' x`).message.length < 2000, true, 'a long line is not shown whole')
  t.end()
})

t.test('features are found in the text and must be enabled and offered', (t) => {
  const gate = (query: string, error: unknown, options: AskOptions = {}) =>
    t.throws(() => prepare(query, options), error as never, `${options.endpoint ?? 'query'}: ${query}`)
  const used = (query: string, options: AskOptions = {}) => prepare(ALL_FEATURES + query, options).features

  t.same(used("FROM 'a' & TIME > 5D ago & KEY > 3"), ['timeRange', 'eventKeyRange'])
  t.same(used("FROM 'a' & from(2020-01-01Z) & to(5)"), ['timeRange', 'eventKeyRange'])
  t.same(used("FROM 'a' LET x := 1 LIMIT 1"), ['limit', 'binding'])
  t.same(used("FROM 'a' SELECT CASE FALSE => [...FROM [...[1]] END] ENDCASE"), ['subQuery', 'fromArray', 'spread'])
  t.same(
    used("FROM 'a' SELECT FROM [...x] END"),
    ['subQuery', 'fromArray'],
    'a spread in the source of a sub-query does not count',
  )
  t.same(used("FROM 'a' SELECT FROM [[...x]] END"), ['subQuery', 'fromArray', 'spread'])
  t.same(used('FROM `a`'), ['interpolation'])
  t.same(used("FROM 'a' SELECT FROM 'b' SELECT 1, 2 END"), ['multiEmission', 'subQuery'])
  t.same(used("FROM 'a' SELECT {a: [(`x`).a]}"), ['interpolation'])
  t.same(used('FROM [...x]'), ['fromArray', 'spread'])

  gate("FROM 'a' SELECT 1, 2", AqlFeatureNotEnabledError)
  gate("FROM 'a' AGGREGATE SUM(1)", AqlFeatureNotEnabledError)
  gate("FEATURES(Aggregate) FROM 'a' AGGREGATE SUM(1)", AqlFeatureNotEnabledError)
  gate("FEATURES(zøg) FROM 'a' SELECT 1, 2", AqlFeatureNotEnabledError)
  t.ok(prepare("FEATURES(zoeg unknown aggregate)FROM 'a' AGGREGATE SUM(1)"))
  t.ok(prepare("PRAGMA features := aggregate\nFEATURES(spread)FROM 'a' AGGREGATE SUM(1)"))
  t.ok(prepare("PRAGMA features\naggregate\n spread\nENDPRAGMA\nFROM 'a' AGGREGATE [...SUM(1)]"))
  gate(
    "PRAGMA other := 1\nPRAGMA features := spread\nPRAGMA features := aggregate\nFROM 'a' AGGREGATE SUM(1)",
    AqlFeatureNotEnabledError,
  )

  for (const endpoint of ['subscribe', 'subscribe_monotonic'] as const) {
    gate('FROM [1]', AqlUnsupportedFeatureError, { endpoint })
    gate(`${ALL_FEATURES}FROM 'a' SELECT 1, 2`, AqlUnsupportedFeatureError, { endpoint })
    gate(`${ALL_FEATURES}FROM 'a' SELECT FROM 'b' END`, AqlUnsupportedFeatureError, { endpoint })
    gate("FROM 'a' SELECT 1, 2", AqlFeatureNotEnabledError, { endpoint })
    gate("FROM 'a' & TIME > 5D ago | 'b'", AqlRangesDifferError, { endpoint })
    t.ok(prepare(`${ALL_FEATURES}FROM 'a' SELECT [...[1]]`, { endpoint }))
    t.ok(prepare("FROM 'a' ORDER DESC LET x := 1", { endpoint }))
  }
  t.ok(prepare(`${ALL_FEATURES}FROM 'a' AGGREGATE SUM(1) LIMIT 2`, { endpoint: 'subscribe' }))
  gate(`${ALL_FEATURES}FROM 'a' AGGREGATE SUM(1)`, AqlUnsupportedFeatureError, { endpoint: 'subscribe_monotonic' })
  gate("FROM 'a' LIMIT 2", AqlUnsupportedFeatureError, { endpoint: 'subscribe_monotonic' })
  t.end()
})

t.test('pragmas are raw lines', async (t) => {
  const query = "FROM 'a' SELECT 1, 2 LIMIT 1"
  for (const head of [
    'PRAGMA features := multiEmission\n',
    'PRAGMA features := multiEmission\r\n',
    'PRAGMA features := multiEmission\r',
    'PRAGMA  features:=multiEmission\n',
    'PRAGMA\nfeatures := multiEmission\n',
    'PRAGMA features :=-- multiEmission\n',
    '  -- comment\n PRAGMA features := multiEmission\n-- comment\n',
    'PRAGMA features\nmultiEmission\nENDPRAGMA\n',
    'PRAGMA features \r\nother\r\nmultiEmission\r\nENDPRAGMA\r\n',
    "PRAGMA note := anything `' goes\nPRAGMA features := multiEmission\n",
  ]) {
    t.same(await values(head + query, events), ['1'], JSON.stringify(head))
  }
  refused(t, [
    `PRAGMA features := multiEmission ${query}`,
    `PRAGMA features multiEmission\n${query}`,
    `PRAGMAfeatures := multiEmission\n${query}`,
    `PRAGMA bad-name := 1\n${query}`,
    `PRAGMA features\nmultiEmission\nENDPRAGMA ${query}`,
    `FEATURES(multiEmission) PRAGMA a := 1\n${query}`,
    `FEATURES (multiEmission) ${query}`,
    `FEATURES(multi-emission) ${query}`,
    `${query}\nPRAGMA a := 1\n`,
  ])
})

t.test('tag expressions choose events', async (t) => {
  const found = async (tags: string, options: AskOptions = {}) =>
    (await values(`FROM ${tags} SELECT _.n ?? _`, events, options)).join()
  t.equal(await found("'a'"), '1,2.5')
  t.equal(await found('"a"'), '1,2.5')
  t.equal(await found("'a' & 'b'"), '2.5')
  t.equal(await found("'a' ∧ 'b' ∨ 'c'"), '2.5,"text"')
  t.equal(await found("'c' | 'a' & 'b'"), '2.5,"text"')
  t.equal(await found("('c' | 'a') & 'b'"), '2.5')
  t.equal(await found('allEvents'), '1,2,2.5,"text"')
  t.equal(await found('isLocal'), '1,2,2.5,"text"')
  t.equal(await found("'a' & appId(com.example.test)"), '1,2.5')
  t.equal(await found("'a' & appId(me)"), '1,2.5')
  t.equal(await found("'a' & appId(me)", { appId: 'com.other' }), '')
  t.equal(await found("'a' & appId(x) & appId(com.example.test)"), '')
  t.equal(await found('KEY > 2'), '2,2.5,"text"', 'a key without a stream comes before all streams')
  t.equal(await found('KEY >= 2'), '2,2.5,"text"')
  t.equal(await found('KEY <= 2'), '1')
  t.equal(await found('KEY < 2'), '1')
  t.equal(await found('from(2) & to(4)'), '2,2.5')
  const stream = `${'test.node'.padEnd(43, '.')}-0`
  t.equal(await found(`KEY > 2/${stream} & KEY ≤ 3 / ${stream}`), '2.5')
  t.equal(await found(`KEY >= 2/${stream} & KEY < 3/${stream}`), '2')
  t.equal(await found('TIME > 3s ago'), '2.5,"text"')
  t.equal(await found('TIME >= 3s ago'), '2,2.5,"text"')
  t.equal(await found('TIME < 3s ago'), '1')
  t.equal(await found('TIME <= 3s ago'), '1,2')
  t.equal(await found('TIME > 18446744073709551615Y ago'), '1,2,2.5,"text"')
  t.equal(await found('TIME > 1960-01-01Z'), '1,2,2.5,"text"')
  t.equal(await found('TIME < 1960-01-01Z'), '')
  t.equal(await found('from(2024-05-31T23:59:57Z) & to(2024-05-31T23:59:58Z)'), '2')
  t.equal(await found('TIME > 0M ago'), '')
})

t.test('all branches of a tag expression must have the same ranges', async (t) => {
  const differ = ['!error', 'ABORT']
  const tried = async (tags: string) => values(`FROM ${tags} SELECT 1`, events)
  t.same(await tried("'a' & TIME > 1D ago | 'b'"), differ)
  t.same(await tried("'a' & KEY > 1 | 'b' & KEY > 2"), differ)
  t.same(await tried("isLocal & KEY > 1 | 'b'"), differ)
  t.same(await tried("'a' & TIME > 1D ago | 'b' & TIME >= 1D ago"), differ)
  t.same(await tried("('a' | 'b') & TIME > 1D ago"), ['1', '1', '1'])
  t.same(await tried("'a' | 'a' & TIME > 1D ago"), ['1', '1'], 'the narrower branch is absorbed')
  t.same(await tried("'a' & TIME > 1D ago | 'a'"), ['1', '1'])
  t.same(await tried("allEvents | 'a' & TIME > 1D ago"), ['1', '1', '1', '1'])
  t.same(await tried("'a' & KEY > 1 & KEY > 2 | 'b' & KEY > 2"), ['1', '1'])
  t.same(await tried("'a' & appId(x) & appId(y) & KEY > 1 | 'b'"), ['1', '1'], 'a branch with two app ids is dropped')
  t.same(await tried("'a' & TIME > 2020-01-01Z | 'b' & TIME > 2020-01-01T01:00+01:00"), ['1', '1', '1'])
  t.equal(prepare("FROM 'a' & KEY > 1 | 'b'").selection, undefined)
  const never = (year: number) => `TIME > ${String(year)}-01-01Z & TIME < ${String(year - 1)}-01-01Z`
  t.same(await tried(`'a' & ${never(2021)} | 'b' & ${never(2023)}`), [], 'ranges that hold nothing are the same')
  t.same(await tried("'a' & KEY > 2 & KEY < 1 | 'b' & KEY > 3 & KEY < 3"), [])
  t.same(await tried(`'a' & ${never(2021)} | 'b'`), differ)
  t.same(await tried(`'a' | 'b' & ${never(2021)}`), differ)
})

t.test('interpolated tags are computed at the start', async (t) => {
  const tried = (query: string) => values(ALL_FEATURES + query, events)
  t.same(await tried('FROM `x:{0 + 1}` SELECT _.n'), ['1'])
  t.same(await tried("FROM 'a' & `{'b'}` SELECT _.n"), ['2.5'])
  t.same(await tried('FROM `{(FROM [1] SELECT `x:{_}` END)[0]}` SELECT _.n'), ['1'])
  t.same(await tried('FROM `{x}`'), ['!error', 'ABORT'])
  t.same(await tried('FROM `{_}`'), ['!error', 'ABORT'])
  t.same(await tried('FROM ``'), ['!error', 'ABORT'])
  t.same(await tried("FROM `{''}` | 'a'"), ['!error', 'ABORT'])
  t.same(await tried("FROM `a` & KEY > 1 | 'b'"), ['!error', 'ABORT'])
  t.same(await tried("FROM 'a' LIMIT 1 SELECT FROM `{_.nope}` END"), ['!warning'])
  t.same(await tried("FROM 'a' LIMIT 1 SELECT FROM `x:{_.n}` SELECT _.n END"), ['[1]'])
})

t.test('operations run one after the other for each input', async (t) => {
  const tried = (query: string) => values(ALL_FEATURES + query, events)
  t.same(await tried('FROM [1, 2, 3] FILTER _ > 1 SELECT _ * 2'), ['4', '6'])
  t.same(await tried("FROM [1, 'x', TRUE] FILTER _ = 1"), ['1', '!warning', '!warning'])
  t.same(await tried('FROM [1] FILTER 1'), ['!warning'])
  t.same(await tried('FROM [1, 2] SELECT _, x, _ + 1'), ['1', '!warning', '2', '2', '!warning', '3'])
  t.same(await tried('FROM [[1, [2]], [3]] SELECT ..._'), ['1', '[2]', '3'])
  t.same(await tried('FROM [1] SELECT ...5, 6'), ['!warning', '6'])
  t.same(await tried('FROM [1, 2, 3] LIMIT 2'), ['1', '2'])
  t.same(await tried('FROM [1, 2, 3] LIMIT 1 SELECT _, _ * 10'), ['1', '10'])
  t.same(await tried('FROM [1, 2, 3] SELECT _, x, _ LIMIT 3'), ['1', '!warning', '1', '2', '!warning'])
  t.same(await tried('FROM [1, 1 / 0, 2] LIMIT 1'), ['1'], 'reading ends with the limit')
  t.same(await tried('FROM [1, 1 / 0, 2]'), ['1', '!warning', 'ABORT'])
  t.same(await tried('FROM [1, ...2]'), ['1', '!warning', 'ABORT'])
  t.same(await tried('FROM [_]'), ['!warning', 'ABORT'])
  t.same(await tried('FROM [1, x] AGGREGATE SUM(_)'), ['!warning', 'ABORT'])
  t.same(await tried('FROM [0, ...[1, 2], ...FROM [3] END]'), ['0', '1', '2', '3'])
  t.same(await tried('FROM [5] LET a := _ LET b := a + 1 LET a := b * 2 SELECT [a, b, _]'), ['[12,6,5]'])
  t.same(await tried('FROM [5, 6] LET _ := _ + 1 SELECT _'), ['6', '7'])
  t.same(await tried('FROM [1] LET a := x SELECT 2'), ['!warning'])
  t.same(await tried('FROM [1] LET q := 7 SELECT 1, 2 SELECT [q, _]'), ['[7,1]', '[7,2]'])
  t.same(
    await tried('FROM [1] SELECT 1, 2 LET x := _ SELECT x, _'),
    ['1', '1', '2', '2'],
    'each output has its own binding',
  )
  t.same(await tried('FROM [5] LET x := 7 SELECT FROM [x, _] LET x := 8 SELECT [x, _] END'), ['[[8,7],[8,5]]'])
  t.same(await tried('FROM []'), [])
  t.same(await tried('FROM [1] SELECT IsDefined(FROM [1, x] END)'), ['false'])
  t.same(await tried('FROM [1] SELECT FROM [1, 2] FILTER _ END ?? 5'), ['5'], 'the first diagnostic fails a sub-query')
  t.same(await tried('FROM [1] SELECT FROM [1] SELECT x END, 2'), ['!warning', '2'])
  t.same(await tried("FROM [1] SELECT CASE TRUE => 1 CASE TRUE => FROM 'a' END ENDCASE"), ['1'])
  t.same(await tried("FROM [1] SELECT FROM 'a' SELECT _.n END"), ['[1,2.5]'])
  t.same(await tried("FROM [1] SELECT FROM 'a' ORDER DESC SELECT _.n END"), ['[2.5,1]'])
  t.same(await tried("FROM [1] SELECT (FROM 'a' AGGREGATE LAST(_.n) END)[0]"), ['2.5'])
  t.same(await tried("FROM [1] SELECT FROM 'zzz' AGGREGATE LAST(_) END ?? NULL"), ['null'])
  t.same(await tried("FROM [1] SELECT FROM [...FROM 'a' END, ...[8]] SELECT _.n ?? _ END"), ['[1,2.5,8]'])
  t.same(await tried('FROM [1] SELECT FROM [10, 20] LET y := _ SELECT FROM [y] SELECT _ + y END END'), ['[[20],[40]]'])
  t.same(await tried('FROM [1] LET x := 5 SELECT FROM [1, 2] AGGREGATE SUM(_) SELECT [_, x] END'), ['[[3,5]]'])
  t.same(await tried('FROM [1] LET x := 5 SELECT FROM [1] LET y := 1 AGGREGATE SUM(_ + y) + x END'), ['[7]'])
  t.same(await tried('FROM [1] LET x := 5 SELECT FROM [1] AGGREGATE SUM(_) + x LET x := 9 SELECT _ + x END, x'), [
    '[15]',
    '5',
  ])
  t.same(await tried('FROM [3] SELECT FROM [1, 2] SELECT FROM [_] SELECT _ END END, _'), ['[[1],[2]]', '3'])
  t.same(await tried("FROM [1, 2] LET x := (FROM 'a' SELECT _.n END)[_ - 1] FILTER x > 0 SELECT x"), ['1', '2.5'])
  t.same(await tried('FROM [1, 2] SELECT [FROM [_] END, FROM [_ + 1] END], IsDefined(FROM [y] END)'), [
    '[[1],[2]]',
    'false',
    '[[2],[3]]',
    'false',
  ])
  t.same(await tried('FROM [2] SELECT FROM [1] FILTER FALSE SELECT _ END'), ['[]'])
})

t.test('the order is that of ORDER, else of the aggregation, else of the request', async (t) => {
  const n = (query: string, order: 'asc' | 'desc' | 'stream-asc') => values(ALL_FEATURES + query, events, { order })
  t.same(await n("FROM 'a' SELECT _.n", 'desc'), ['2.5', '1'])
  t.same(await n("FROM 'a' ORDER ASC SELECT _.n", 'desc'), ['1', '2.5'])
  t.same(await n("FROM 'a' ORDER STREAM SELECT _.n", 'desc'), ['1', '2.5'])
  t.same(await n('FROM allEvents LIMIT 2 AGGREGATE LAST(_)', 'asc'), ['"text"'])
  t.same(await n('FROM allEvents LIMIT 2 AGGREGATE FIRST(_.n)', 'desc'), ['1'])
  t.same(await n('FROM allEvents ORDER DESC LIMIT 3 AGGREGATE FIRST(_.n)', 'asc'), ['!warning', '2'])
  t.same(await n("FROM 'b' FILTER _.n > 2 LIMIT 1 AGGREGATE LAST(_.n)", 'asc'), ['2.5'])
  t.equal(prepare(`${ALL_FEATURES}FROM 'a' AGGREGATE [LAST(_.a), LAST(_.b)]`).preferredOrder, 'desc')
  t.equal(prepare(`${ALL_FEATURES}FROM 'a' AGGREGATE [LAST(_.a), FIRST(_.b)]`).preferredOrder, undefined)
  t.equal(prepare(`${ALL_FEATURES}FROM 'a' AGGREGATE [LAST(_.a), SUM(_.b)]`).preferredOrder, undefined)
  t.equal(prepare(`${ALL_FEATURES}FROM 'a' AGGREGATE SUM(1) AGGREGATE LAST(_)`).preferredOrder, 'desc')
})

t.test('aggregations consume all inputs', async (t) => {
  const tried = (query: string) => values(ALL_FEATURES + query, events)
  t.same(await tried('FROM [1, 2, 3] AGGREGATE [SUM(_), PRODUCT(_), MIN(_), MAX(_), FIRST(_), LAST(_)]'), [
    '[6,6,1,3,1,3]',
  ])
  t.same(await tried('FROM [TRUE, FALSE] AGGREGATE [SUM(_), PRODUCT(_), MIN(_), MAX(_)]'), ['[true,false,false,true]'])
  t.same(await tried("FROM ['b', 'a'] AGGREGATE [MIN(_), MAX(_)]"), ['["a","b"]'])
  t.same(await tried('FROM [1, 2.5] AGGREGATE SUM(_)'), ['3.5'])
  t.same(await tried('FROM [1, TRUE, 2] AGGREGATE SUM(_)'), ['!warning'])
  t.same(await tried('FROM [1, TRUE] AGGREGATE SUM(_) ?? 0'), ['0'])
  t.same(
    await tried('FROM [18446744073709551615, 1, 0.5] AGGREGATE SUM(_)'),
    ['!warning'],
    'an overflow spoils for good',
  )
  t.same(await tried('FROM [9007199254740991, 9007199254740991] AGGREGATE SUM(_)'), ['18014398509481982'])
  t.same(await tried("FROM [1, 'a'] AGGREGATE MIN(_)"), ['!warning'])
  t.same(await tried('FROM [[1]] AGGREGATE MIN(_)'), ['[1]'])
  t.same(await tried('FROM [[1], [2]] AGGREGATE MAX(_)'), ['!warning'])
  t.same(await tried('FROM [1, 1.0] AGGREGATE MAX(_)'), ['1'], 'of equal values the first stays')
  t.same(await tried('FROM [] AGGREGATE SUM(1)'), ['!warning'])
  t.same(await tried('FROM [] AGGREGATE SUM(1) ?? 0'), ['0'])
  t.same(await tried('FROM [1, 2] AGGREGATE [SUM(_), SUM(_.x) ?? 0]'), ['!warning', '!warning', '[3,0]'])
  t.same(await tried('FROM [1, 2] LET x := 1 AGGREGATE x'), ['!warning'])
  t.same(await tried('FROM [1, 2] LET x := 1 AGGREGATE SUM(_ + x) SELECT [_, x]'), ['!warning'], 'bindings are gone')
  t.same(await tried('FROM [1, 2] AGGREGATE SUM(_) SELECT _ * 2, _'), ['6', '3'])
  t.same(await tried('FROM [1, 1 / 0] AGGREGATE 42'), ['42'], 'without aggregators the first input is enough')
  t.same(await tried('FROM [] AGGREGATE 42'), ['42'])
  t.same(await tried('FROM allEvents SELECT _.nope AGGREGATE 42'), ['!warning', '42'], 'and so is a first failure')
  t.same(await tried('FROM [1, 2, 1 / 0] FILTER _ AGGREGATE 42'), ['!warning', '42'])
  t.same(await tried('FROM [1, 2] FILTER FALSE AGGREGATE 42'), ['42'])
  t.same(await tried('FROM [1, 2] AGGREGATE SUM(x) AGGREGATE 42'), ['!warning', '!warning', '42'])
  t.same(await tried('FROM [1, 2] AGGREGATE 42 SELECT x, _'), ['!warning', '42'])
  t.same(await tried('FROM [1, 2] AGGREGATE SUM(_) AGGREGATE SUM(_ * 10)'), ['30'])
  t.same(await tried("FROM [1, 2] AGGREGATE [SUM(_), FROM 'a' SELECT _.n END]"), ['[3,[1,2.5]]'])
  t.same(await tried("FROM [1, 2] AGGREGATE SUM((FROM 'a' AGGREGATE SUM(1) END)[0] * _)"), ['6'])
  t.same(await tried('FROM [1] AGGREGATE FROM [SUM(_)] END'), ['!warning'])
  t.same(await tried('FROM [1] AGGREGATE FROM `{_}` END'), ['!warning'])
})

t.test('values carry where they come from', async (t) => {
  const metas = async (query: string) => {
    const { rows } = await ask(ALL_FEATURES + query, events)
    return rows.map((row) => {
      if (row.kind === 'diagnostic') return `!${row.message}`
      if (row.meta.kind === 'range') return `${String(row.meta.from.lamport)}-${String(row.meta.to.lamport)}`
      return row.meta.kind === 'event' ? String(row.meta.lamport) : 'none'
    })
  }
  t.same(await metas("FROM 'a' SELECT _.n"), ['1', '3'])
  t.same(
    await metas(
      "FROM 'x:1' SELECT 1, IsDefined(_.n), 5 ?? _, _.zzz ?? 5, !(_.n = 1), [1, _.n], {[`{_.n}`]: 1}, `{_.n}`",
    ),
    ['none', 'none', 'none', 'none', '1', '1', '1', '1'],
  )
  t.same(
    await metas("FROM 'x:1' SELECT ([1, 2])[_.n], CASE _.n = 1 => 2 ENDCASE, CASE TRUE => _.n ENDCASE, (_)['n']"),
    ['none', 'none', '1', '1'],
  )
  t.same(await metas("FROM 'x:1' SELECT _.n + _.n, KEY(_), TAGS(_)"), ['1', '1', '1'])
  t.same(await metas('FROM allEvents AGGREGATE SUM(_.n ?? 0)'), ['1-3'])
  t.same(await metas("FROM 'a' AGGREGATE [MIN(_.n), MAX(_.n)]"), ['1-3'])
  t.same(await metas('FROM allEvents AGGREGATE LAST(_)'), ['4'])
  t.same(await metas('FROM allEvents AGGREGATE SUM(1)'), ['none'])
  t.same(await metas('FROM [...FROM allEvents END] SELECT [_]'), ['1', '2', '3', '4'])
  t.same(await metas('FROM [...(FROM allEvents END)]'), ['1', '2', '3', '4'])
  t.same(await metas('FROM [...[FROM allEvents END]]'), ['1-4'])
  t.same(await metas("FROM 'c' SELECT FROM 'a' END, ...FROM 'a' END, FROM 'zzz' END"), ['1-3', '1', '3', 'none'])
  t.same(await metas("FROM 'c' SELECT ...[1, _]"), ['4', '4'], 'spread elements have the metadata of the array')
  t.same(await metas("FROM 'c' SELECT [...[_, FROM 'x:1' END]]"), ['1-4'])
  const rangeOf = async (query: string) => (await ask(ALL_FEATURES + query, events)).rows
  t.match(await rangeOf("FROM 'a' AGGREGATE SUM(_.n) SELECT KEY(_), TIME(_), TAGS(_), APP(_)"), [
    { payload: /^\[\[1,\[[\d,]+\],0,0\],\[3,\[[\d,]+\],0,2\]\]$/ },
    { payload: '[1717199996.0,1717199998.0]' },
    { payload: '[]' },
    { payload: '[]' },
  ])
  t.match(await rangeOf("FROM 'x:1' SELECT KEY(_), TIME(_), TAGS(_), APP(_)"), [
    { payload: /^\[\[1,\[[\d,]+\],0,0\]\]$/ },
    { payload: '[1717199996.0]' },
    { payload: '["a","x:1"]' },
    { payload: '["com.example.test"]' },
  ])
})

t.test('numbers of payloads keep what they are', async (t) => {
  const one = async (payload: string, expr: string) =>
    (await values(`${ALL_FEATURES}FROM 'a' SELECT ${expr}`, eventsOf([[['a'], payload]])))[0]
  t.equal(await one('{"n":5}', '_.n / 2'), '2')
  t.equal(await one('{"n":5.0}', '_.n / 2'), '2.5')
  t.equal(await one('{"n":5e0}', '_.n / 2'), '2.5')
  t.equal(await one('{"n":9007199254740993}', '_.n + 0'), '9007199254740993')
  t.equal(await one('{"n":18446744073709551615}', '_.n'), '18446744073709551615')
  t.equal(await one('{"n":18446744073709551616}', '`{_.n}`'), '"1.8446744073709552e19"')
  t.equal(await one('{"n":-9223372036854775808}', '`{_.n}`'), '"-9223372036854775808"')
  t.equal(await one('{"n":-9223372036854775807}', '_.n'), '-9223372036854775807')
  t.equal(await one('{"n":-9223372036854775809}', '`{_.n}`'), '"-9.223372036854776e18"')
  t.equal(await one('{"n":-7}', '_.n'), '-7')
  t.equal(await one('{"n":-7}', '_.n + 1'), '-6.0')
  t.equal(await one('{"n":-7}', '_.n * _.n'), '49.0')
  t.equal(await one('{"n":-7}', '_.n < 3'), 'true')
  t.equal(await one('{"n":1073741824.0}', '_.n'), '1073741824.0')
  t.equal(await one('{"n":0.1}', '_.n'), '0.1')
  t.equal(await one('{"n":123456789.123456789}', '_.n = 123456789.123456789'), 'true')
  t.equal(await one('{"n":1e300}', '_.n'), '1e+300')
  t.equal(await one('{"n":-0.0}', '_.n'), '-0.0')
  t.equal(await one('[1.50,-0.0,1E2]', '_'), '[1.50,-0.0,1E2]', 'untouched payloads keep their text')
})

t.test('paths read payloads of any form', async (t) => {
  const payload = JSON.stringify({
    a: { b: [10, { c: 'x' }, [20]] },
    'a-b': 1,
    é: 2,
    '': 3,
    'q"\\\n': 4,
    list: [],
    e: {},
    t: true,
    z: null,
  })
  const one = async (expr: string, text = payload) =>
    (await values(`${ALL_FEATURES}FROM 'a' SELECT ${expr}`, eventsOf([[['a'], text]])))[0]
  t.equal(await one('_.a.b[0]'), '10')
  t.equal(await one('_.a.b[1].c'), '"x"')
  t.equal(await one('_.a.b[2][0]'), '20')
  t.equal(await one('_.a.b[3]'), '!warning')
  const { rows } = await ask(`${ALL_FEATURES}FROM 'a' SELECT _.zz, _.a.b[3], _.a['c']`, eventsOf([[['a'], payload]]))
  t.match(rows, [
    { message: 'property `zz` not found in `_`' },
    { message: 'element 3 not found in `_.a.b`' },
    { message: 'property `c` not found in `_.a`' },
  ])
  t.equal(await one('_.a.b.c'), '!warning')
  t.equal(await one('_.a[0]'), '!warning')
  t.equal(await one("_['a-b']"), '1')
  t.equal(await one('_.é'), '2')
  t.equal(await one("_['']"), '3')
  t.equal(await one('_[`q"\\\n`]'), '4', 'escaped names are found')
  t.equal(await one('_.a', '{"\\u0061":5}'), '5')
  t.equal(
    await one('[_.a, _.a.b, _.t, _.z, _.list, _.e]'),
    `[${JSON.stringify({ b: [10, { c: 'x' }, [20]] })},[10,{"c":"x"},[20]],true,null,[],{}]`,
  )
  t.equal(await one('_.a', '{"a":1,"b":{"a":3},"a":2}'), '2', 'the last of equal names counts')
  t.equal(await one('[_.a.x ?? 0, _.a.y]', '{"a":{"x":1},"a":{"y":2}}'), '[0,2]')
  t.equal(await one("_[`{'a'}`].b[0 + 0]"), '10')
  t.equal(await one('[..._.a.b]'), '[10,{"c":"x"},[20]]')
  t.equal(await one('_[0]', '"text"'), '!warning')
  t.equal(await one('_.a', '"text"'), '!warning')
  t.equal(await one("_.s = '😀\"'", '{"s":"\\ud83d\\ude00\\""}'), 'true')
})

t.test('limits refuse what could hurt', (t) => {
  const deep = (open: string, close: string, count: number) =>
    `FROM 'a' SELECT ${open.repeat(count)}1${close.repeat(count)}`
  t.ok(prepare(deep('(', ')', 200)))
  for (const [open, close] of [
    ['(', ')'],
    ['[', ']'],
    ['{a:', '}'],
    ['!', ''],
    ['CASE TRUE => ', ' ENDCASE'],
    ['IsDefined(', ')'],
    ['(_)[', ']'],
    ['`{', '}`'],
  ] as const) {
    t.throws(() => prepare(deep(open, close, 201)), AqlTooComplexError, open)
    t.throws(() => prepare(deep(open, close, 20_000 / open.length)), AqlTooComplexError, open)
  }
  t.throws(() => prepare(`FROM ${'('.repeat(201)}'a'${')'.repeat(201)}`), AqlTooComplexError)
  t.throws(() => prepare(`FROM 'a' ${"SELECT FROM 'a' ".repeat(201)}`), AqlTooComplexError)
  const chain = (count: number, op: string) => Array.from({ length: count }, () => '1').join(op)
  t.ok(prepare(`FROM 'a' SELECT ${chain(20_000, '+')}`))
  t.throws(() => prepare(`FROM 'a' SELECT ${chain(20_001, '+')}`), AqlTooComplexError)
  const tags = (count: number, op: string) => Array.from({ length: count }, (_, nth) => `'${String(nth)}'`).join(op)
  t.ok(prepare(`FROM ${tags(20_000, '|')}`).selection)
  t.ok(prepare(`FROM ${tags(20_000, '&')}`).selection)
  t.throws(() => prepare(`FROM ${tags(20_001, '|')}`), AqlTooComplexError)
  const factors = (count: number) =>
    Array.from({ length: count }, (_, nth) => `('a${String(nth)}' | 'b${String(nth)}')`).join(' & ')
  t.ok(prepare(`FROM ${factors(12)}`))
  t.throws(() => prepare(`FROM ${factors(14)}`), AqlTooComplexError)
  t.ok(prepare(`FROM ${Array.from({ length: 14 }, () => "('a' | 'b')").join(' & ')}`), 'absorption keeps it small')
  t.throws(() => prepare(`FROM '${'a'.repeat(256 * 1024)}'`), AqlTooComplexError)
  t.throws(() => prepare(`FROM '${'é'.repeat(128 * 1024)}'`), AqlTooComplexError)
  t.throws(() => prepare(deep('(', ')', 11), { limits: { maxNesting: 10 } }), AqlTooComplexError)
  t.end()
})

t.test('a chain of 20,000 operands has a value', async (t) => {
  t.equal(await evaluate(Array.from({ length: 20_000 }, () => '1').join('+')), '20000')
  t.equal(await evaluate(Array.from({ length: 19_999 }, () => 'x').join('??') + '??7'), '7')
})
