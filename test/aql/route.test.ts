import t from 'tap'
import { parseRoute, RouteError } from '../../aql/index.js'
import { compileSelection } from '../../core/index.js'

const event = (tags: readonly string[], appId = 'com.example.a') => ({
  lamport: 1,
  stream: 's-0',
  timestamp: 1,
  tags,
  appId,
})

t.test('a route sees tags and app id', async (t) => {
  const takes = (route: string, tags: readonly string[], appId?: string) =>
    compileSelection(parseRoute(route), 'n')(event(tags, appId))
  t.ok(takes("'a'", ['a']))
  t.notOk(takes("'a'", ['b']))
  t.ok(takes('"a"', ['a']))
  t.ok(takes("'it''s'", ["it's"]))
  t.ok(takes("'a' | 'b' & 'c'", ['a']))
  t.notOk(takes("('a' | 'b') & 'c'", ['a']))
  t.ok(takes("('a' ∨ 'b') ∧ 'c' -- comment", ['b', 'c']))
  t.ok(takes('allEvents', []))
  t.ok(takes('appId(com.example.a)', []))
  t.notOk(takes('appId(com.example.b)', []))
  t.ok(takes("'x' | appId(com.example.a) & 'y'", ['y']))
  t.ok(takes("'caf\u00e9'", ['caf\u00e9']))
  t.ok(takes("'cafe\u0301'", ['caf\u00e9']), 'in NFC')
})

t.test('the size of a route is the size of what it costs', async (t) => {
  const factors = Array.from({ length: 40 }, (_, nth) => `('a${String(nth)}' | 'b${String(nth)}')`).join(' & ')
  t.equal(compileSelection(parseRoute(factors), 'n')(event(['a1'])), false)
  const many = Array.from({ length: 5000 }, (_, nth) => `'x:${String(nth)}'`).join(' | ')
  const selection = parseRoute(many)
  t.equal(selection.kind === 'tags' && selection.anyOf.size, 5000)
})

t.test('everything else is refused with place and mend', async (t) => {
  const refused: Readonly<Record<string, readonly [line: number, column: number]>> = {
    '': [1, 1],
    '   ': [1, 4],
    "'a' & isLocal": [1, 7],
    "'a' &\n  TIME > 5D ago": [2, 3],
    "'a' & KEY > 5": [1, 7],
    "'a' & from(2020-01-01Z)": [1, 7],
    "'a' & to(5)": [1, 7],
    "'a' | `b`": [1, 7],
    'appId(me)': [1, 1],
    "'a' trailing": [1, 5],
    "'a' 'b'": [1, 5],
    "'a' |": [1, 6],
    "('a'": [1, 5],
    "''": [1, 1],
    a: [1, 1],
    allevents: [1, 1],
    "FROM 'a'": [1, 1],
    'appId(A)': [1, 7],
    "'a' & TIME > 2021-02-29Z": [1, 14],
  }
  for (const [route, [line, column]] of Object.entries(refused)) {
    t.throws(() => parseRoute(route), { code: 'ERR_ROUTE_INVALID', line, column }, route)
  }
  t.throws(() => parseRoute(`${'('.repeat(300)}'a'${')'.repeat(300)}`), RouteError)
})
