import fc from 'fast-check'
import t from 'tap'
import { parseQuery, prepareQuery, renderQuery } from '../../aql/index.js'
import { exactPower } from '../../aql/exact-power.js'
import { PathScanner, readValue } from '../../aql/json-slice.js'
import { normalForm } from '../../aql/normal-form.js'
import { parseTagExpr } from '../../aql/parse.js'
import { renderTagExpr } from '../../aql/render.js'
import { toSelection } from '../../aql/selection.js'
import { jsonText } from '../../aql/text.js'
import { compileSelection, MillraceError } from '../../core/index.js'
import { arbitraryTrees, withoutSpans } from '../support/aql-arbitrary.js'
import { ALL_FEATURES, ask, evaluate, eventsOf, follow, NOW_MICROS } from '../support/aql-ask.js'
import { sameJson } from '../support/same-json.js'

t.test('what a query renders to parses to the same query', async (t) => {
  fc.assert(
    fc.property(arbitraryTrees.query, (query) => {
      const rendered = renderQuery(query)
      t.same(withoutSpans(parseQuery(rendered)), withoutSpans(query), rendered)
      return true
    }),
    { numRuns: 300 },
  )
})

const events = eventsOf([
  [['a'], '{"x":1,"y":[1,{"abc":"t"}],"é":true}'],
  [['b'], '[1.5,null]'],
  [['a', 'b'], '"text"'],
])

t.test('no query that is accepted fails otherwise than by diagnostics', async () => {
  await fc.assert(
    fc.asyncProperty(arbitraryTrees.query, async (query) => {
      const text = ALL_FEATURES + renderQuery(query)
      try {
        await ask(text, events)
        follow(renderQuery(query), events, events)
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
      }
    }),
    { numRuns: 400 },
  )
})

t.test('no text makes the parser fail otherwise than by a refusal', async () => {
  const words = [
    'FROM',
    "'a'",
    '&',
    '|',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    'a:',
    '1',
    '-',
    '.',
    '`',
    'SELECT',
    'FILTER',
    'LET x :=',
    'CASE',
    '=>',
    'ENDCASE',
    'END',
    '_',
    'SUM(',
    ',',
    '...',
    'TIME',
    '>',
    '2020-01-01Z',
    'é',
    '\u2028',
    '--',
    '\n',
    'PRAGMA',
    '"',
  ]
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.constantFrom(...words), fc.string({ unit: 'binary', maxLength: 3 })), { maxLength: 20 }),
      (pieces) => {
        try {
          prepareQuery(`FROM ${pieces.join(' ')}`, { endpoint: 'query', appId: 'a', nowMicros: NOW_MICROS })
        } catch (error) {
          if (!(error instanceof MillraceError)) throw error
        }
      },
    ),
    { numRuns: 1500 },
  )
})

t.test('a spread of random bytes over a good query is refused or answered', async () => {
  const good = `${ALL_FEATURES}FROM 'a' & TIME > 5D ago | 'b' & TIME > 5D ago FILTER _.x > 1 ?? TRUE LET y := \`{_.x}\` SELECT { a: y, b: [..._.y] }, 2 LIMIT 3 AGGREGATE [SUM(_), LAST(_)] END`
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(good.length), fc.string({ maxLength: 2 })), { maxLength: 3 }),
      async (changes) => {
        let text = good
        for (const [at, put] of changes) text = text.slice(0, at) + put + text.slice(at + 1)
        try {
          await ask(text, events)
        } catch (error) {
          if (!(error instanceof MillraceError)) throw error
        }
      },
    ),
    { numRuns: 400 },
  )
})

interface TestEvent {
  readonly tags: readonly string[]
  readonly appId: string
  readonly lamport: number
  readonly stream: string
  readonly timestamp: number
}

/** A tag expression with what it means, put together side by side. */
interface MeantTags {
  readonly text: string
  readonly matches: (event: TestEvent) => boolean
}

const ATOMS: readonly MeantTags[] = [
  ...['a', 'b', 'c'].map((tag) => ({ text: `'${tag}'`, matches: (event: TestEvent) => event.tags.includes(tag) })),
  ...['x', 'y'].map((app) => ({ text: `appId(${app})`, matches: (event: TestEvent) => event.appId === app })),
  { text: 'allEvents', matches: () => true },
  { text: 'isLocal', matches: (event) => event.stream.startsWith('n') },
  { text: 'KEY > 2', matches: (event) => event.lamport >= 2 },
  { text: 'KEY < 4', matches: (event) => event.lamport < 4 },
  { text: 'TIME > 1970-01-01T00:00:00.000003Z', matches: (event) => event.timestamp > 3 },
]

const meantTags = fc.letrec<{ expr: MeantTags }>((tie) => ({
  expr: fc.oneof(
    { maxDepth: 4, depthSize: 'large' },
    fc.constantFrom(...ATOMS),
    fc.tuple(tie('expr'), fc.constantFrom('&', '|'), tie('expr')).map(([left, op, right]): MeantTags => ({
      text: `(${left.text} ${op} ${right.text})`,
      matches: (event) =>
        op === '&' ? left.matches(event) && right.matches(event) : left.matches(event) || right.matches(event),
    })),
  ),
}))

t.test('normal form and selection match what the expression says', async () => {
  const tagSets = [[], ['a'], ['b'], ['a', 'b'], ['a', 'b', 'c'], ['c']]
  const candidates = tagSets.flatMap((tags, nth) =>
    ['x', 'y'].flatMap((appId) =>
      [1, 3, 5].map((lamport) => ({ tags, appId, lamport, stream: nth % 2 === 0 ? 'n-0' : 'm-0', timestamp: lamport })),
    ),
  )
  const context = { appId: 'x', nowMicros: 0n }
  fc.assert(
    fc.property(meantTags.expr, ({ text, matches }) => {
      const expr = parseTagExpr(text)
      const selects = compileSelection(toSelection(expr, context), 'n')
      const branches = normalForm(expr, context, 4096)
      for (const event of candidates) {
        const wanted = matches(event)
        const byForm = branches.some(
          (branch) =>
            branch.tags.every((tag) => event.tags.includes(tag)) &&
            (branch.appId === undefined || branch.appId === event.appId) &&
            (!branch.local || event.stream.startsWith('n')) &&
            (branch.time.from === undefined || BigInt(event.timestamp) >= branch.time.from) &&
            (branch.key.from === undefined || BigInt(event.lamport) >= branch.key.from.lamport) &&
            (branch.key.to === undefined || BigInt(event.lamport) < branch.key.to.lamport),
        )
        if (selects(event) !== wanted || byForm !== wanted)
          throw new Error(`${renderTagExpr(expr)} on ${JSON.stringify(event)}`)
      }
      // No branch of the form may be a superset of another one.
      const sets = branches.map(
        (branch) =>
          new Set([
            ...branch.tags,
            branch.appId ?? '-',
            String(branch.local),
            JSON.stringify([branch.time, branch.key], (_, value: unknown) =>
              typeof value === 'bigint' ? String(value) : value,
            ),
          ]),
      )
      return new Set(sets.map((set) => [...set].join())).size === sets.length
    }),
    { numRuns: 500 },
  )
})

t.test('scanning finds what parsing finds', async () => {
  const names = fc.constantFrom('a', 'b', 'é', 'q"\\', '', '😀', 'ab')
  const json = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(null, true, false, 0, -7, 2.5, 'x', 'é"\\\n', '{"a":1}', '[', ']', '}'),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(names, tie('value'), { maxKeys: 4 }),
    ),
  })).value
  const step = fc.oneof(names, fc.nat(2))
  fc.assert(
    fc.property(
      json,
      fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
      (value, paths) => {
        const text = JSON.stringify(value)
        const bytes = Buffer.from(`##${text}}`)
        const slice = { bytes, start: 2, end: bytes.length - 1 }
        const scanner = new PathScanner()
        const slots = paths.map((path) => scanner.add(path))
        for (const [nth, path] of paths.entries()) {
          const wanted = path.reduce<unknown>(
            (inner, each) =>
              typeof inner === 'object' &&
              inner !== null &&
              Array.isArray(inner) === (typeof each === 'number') &&
              Object.hasOwn(inner, each)
                ? (inner as Record<string | number, unknown>)[each]
                : undefined,
            value,
          )
          const got = scanner.read(slots[nth]!, slice, undefined)
          if (got === undefined || wanted === undefined) {
            if (got !== wanted) throw new Error(`${JSON.stringify(path)} in ${text}`)
          } else if (!sameJson(jsonText(got)!, JSON.stringify(wanted)))
            throw new Error(`${JSON.stringify(path)} in ${text}: ${jsonText(got)!}`)
        }
      },
    ),
    { numRuns: 1000 },
  )
})

t.test('scanning for many names finds what reading them one by one finds', async (t) => {
  const members = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 15 }), fc.oneof(fc.nat(9).map(String), fc.constantFrom('{}', '[]'))),
    { maxLength: 30 },
  )
  const written = (list: [number, string][], escape: boolean) =>
    list.map(([nth, value]) => `"${escape ? '\\u006e' : 'n'}${String(nth)}":${value}`).join()
  fc.assert(
    fc.property(fc.array(members, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 16 }), (parts, count) => {
      // The same name several times at two levels: only what the last one holds is there.
      const text = `{${parts.map((part, nth) => `"o":{${written(part, nth % 2 === 1)}}`).join()}}`
      const bytes = Buffer.from(text)
      const scanner = new PathScanner()
      const slots = Array.from({ length: count }, (_, nth) => scanner.add(['o', `n${String(nth)}`]))
      for (let round = 0; round < 2; round++) {
        const slice = { bytes, start: 0, end: bytes.length }
        for (const [nth, slot] of slots.entries()) {
          const wanted = parts.at(-1)?.findLast(([name]) => name === nth)?.[1]
          const got = scanner.read(slot, slice, undefined)
          t.equal(got === undefined ? undefined : jsonText(got), wanted)
        }
      }
    }),
    { numRuns: 100 },
  )
})

t.test('numbers of a payload are read to the last bit', async () => {
  const digits = fc.stringMatching(/^-?(0|[1-9]\d{0,22})(\.\d{1,20})?([eE][-+]?\d{1,2})?$/)
  fc.assert(
    fc.property(digits, (text) => {
      const value = readValue(Buffer.from(text), 0, text.length, undefined)
      const isInteger = /^-?\d+$/.test(text)
      const exact = isInteger ? BigInt(text) : 0n
      if (isInteger && exact >= -(2n ** 63n) && exact < 2n ** 64n) {
        return value.kind === (exact < 0n ? 'integer' : 'natural') && BigInt(value.data) === exact
      }
      return value.kind === 'decimal' && Object.is(value.data, Number(text))
    }),
    { numRuns: 2000 },
  )
})

t.test('natural arithmetic is that of big integers within 64 bits', async () => {
  const near = fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: 0n, max: 20n }),
    fc.bigInt({ min: 2n ** 53n - 3n, max: 2n ** 53n + 3n }),
    fc.bigInt({ min: 2n ** 32n - 3n, max: 2n ** 32n + 3n }),
  )
  const oracle = (op: string, a: bigint, b: bigint): bigint | undefined => {
    if (op === '/' || op === '%') return b === 0n ? undefined : op === '/' ? a / b : a % b
    if (op === '^') return b > 200n && a > 1n ? undefined : a <= 1n ? a ** (b > 0n ? 1n : 0n) : a ** b
    return op === '+' ? a + b : op === '-' ? a - b : a * b
  }
  await fc.assert(
    fc.asyncProperty(near, fc.constantFrom('+', '-', '*', '/', '%', '^'), near, async (a, op, b) => {
      const exact = op === '^' && b > 2n ** 32n - 1n ? undefined : oracle(op, a, b)
      const wanted = exact === undefined || exact < 0n || exact >= 2n ** 64n ? undefined : String(exact)
      const got = await evaluate(`${String(a)} ${op} ${String(b)}`)
      return wanted === undefined ? got.startsWith('!') : got === wanted
    }),
    { numRuns: 500 },
  )
})

t.test('powers of decimals are rounded to the nearest double', async (t) => {
  fc.assert(
    fc.property(
      fc.double({ min: 1e-9, max: 1e9, noNaN: true }),
      fc.integer({ min: -30, max: 70 }),
      fc.boolean(),
      (size, exponent, isNegative) => {
        const wanted = roundedPower(size, exponent)
        fc.pre(wanted > 1e-290 && wanted < 1e290)
        const base = isNegative ? -size : size
        t.equal(exactPower(base, exponent), isNegative && exponent % 2 !== 0 ? -wanted : wanted)
      },
    ),
    { numRuns: 500 },
  )
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e300, noNaN: true }), (square) => {
      t.equal(exactPower(square, 0.5), Math.sqrt(square))
    }),
    { numRuns: 200 },
  )
})

/** By exact fractions, rounded to 53 bits, ties to even. */
function roundedPower(base: number, exponent: number): number {
  const scaled = toFraction(base)
  const size = BigInt(Math.abs(exponent))
  const [up, down] = exponent < 0 ? [scaled.down, scaled.up] : [scaled.up, scaled.down]
  const [numerator, denominator] = [up ** size, down ** size]
  const bits = (value: bigint) => value.toString(2).length
  const shift = 54 + bits(denominator) - bits(numerator)
  const [top, bottom] =
    shift >= 0 ? [numerator << BigInt(shift), denominator] : [numerator, denominator << BigInt(-shift)]
  // 54 or 55 bits, of which the last also says whether anything is left.
  const quotient = (top / bottom) * 2n + (top % bottom === 0n ? 0n : 1n)
  const extra = BigInt(bits(quotient) - 53)
  const half = 1n << (extra - 1n)
  const kept = quotient >> extra
  const dropped = quotient - (kept << extra)
  const rounded = dropped > half || (dropped === half && kept % 2n === 1n) ? kept + 1n : kept
  return Number(rounded) * 2 ** (Number(extra) - shift - 1)
}

function toFraction(value: number): { readonly up: bigint; readonly down: bigint } {
  let shift = 0
  while (!Number.isInteger(value * 2 ** shift)) shift++
  return { up: BigInt(value * 2 ** shift), down: 1n << BigInt(shift) }
}
