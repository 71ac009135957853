import fc from 'fast-check'
import t from 'tap'
import { compactJson, JsonError, JsonScanner } from '../../core/index.js'

function accepts(text: string, maxDepth?: number): boolean {
  const scanner = new JsonScanner(Buffer.from(text))
  try {
    scanner.skipValue(maxDepth)
    scanner.expectEnd()
    return true
  } catch (error) {
    if (error instanceof JsonError) return false
    throw error
  }
}

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const spaced = fc
  .tuple(fc.json(), fc.constantFrom(undefined, 1, 3))
  .map(([text, indent]) => JSON.stringify(JSON.parse(text), null, indent))

void t.test('every text that JSON.stringify makes is accepted, and compaction gives what JSON.stringify gives', (t) => {
  fc.assert(
    fc.property(spaced, (text) => {
      const bytes = Buffer.from(text)
      const compact = Buffer.from(compactJson(bytes, 0, bytes.length)).toString()
      return accepts(text) && compact === JSON.stringify(JSON.parse(text))
    }),
    { numRuns: 1000 },
  )
  t.end()
})

void t.test('a text with one character changed is accepted exactly when JSON.parse takes it', (t) => {
  const mutation = fc.tuple(spaced, fc.nat(), fc.constantFrom(...'{}[]",:0-.eE+1\\ntu\u0001 '.split('')))
  fc.assert(
    fc.property(mutation, ([text, at, character]) => {
      const index = at % (text.length + 1)
      const changed = text.slice(0, index) + character + text.slice(index + (at % 2))
      // Overflowing numbers and lone surrogates are refused on purpose; the generators make neither by one change
      // except through exponents, which are compared apart below.
      if (/[eE]/.test(changed.replace(/true|false/g, '')) || /\\u/i.test(changed)) return true
      return accepts(changed) === parses(changed)
    }),
    { numRuns: 5000 },
  )
  t.end()
})

const cases: readonly (readonly [string, boolean])[] = [
  ['1e400', false],
  ['-1e400', false],
  ['1e308', true],
  ['9'.repeat(400), false],
  ['12345678901234567890', true],
  ['-0.0', true],
  ['01', false],
  ['1.', false],
  ['.5', false],
  ['+1', false],
  ['1e', false],
  ['1E+5', true],
  ['"\\ud800"', false],
  ['"\\udc00"', false],
  ['"\\ud83d\\ude00"', true],
  ['"\\ud83d\\u0041"', false],
  ['"\\u00e9"', true],
  ['"\\u00g9"', false],
  ['"\\x"', false],
  ['"abc', false],
  ['"a\nb"', false],
  ['', false],
  ['[1,]', false],
  ['{"a":1,}', false],
  ['{"a":1,"a":2}', true],
  ['{a:1}', false],
  ['tru', false],
  ['nulls', false],
  ['1 2', false],
  ['[[]', false],
  ['[}', false],
]
for (const [text, ok] of cases) t.equal(accepts(text), ok, `${text.slice(0, 30)} is ${ok ? 'accepted' : 'refused'}`)

t.equal(accepts('['.repeat(124) + ']'.repeat(124), 124), true, 'nesting up to the limit is accepted')
t.equal(accepts('['.repeat(125) + ']'.repeat(125), 124), false, 'nesting beyond the limit is refused')
t.equal(
  accepts('{"a":'.repeat(125) + '1' + '}'.repeat(125), 124),
  false,
  'nesting of objects beyond the limit is refused',
)

t.throws(
  () => new JsonScanner(Buffer.from('{\n "a": ?}')).skipValue(),
  { code: 'ERR_JSON_INVALID', message: 'expected value at line 2 column 7' },
  'an error names line and column',
)

t.test('any string is read as JSON.parse reads it, the first time and when it is remembered', (t) => {
  const units = fc.constantFrom('a', 'b', '\\', '"', 'é', '\u007f', '\u0000', '😀')
  fc.assert(
    fc.property(fc.string({ unit: units, maxLength: 30 }), (text) => {
      const bytes = Buffer.from(JSON.stringify(text))
      return new JsonScanner(bytes).string() === text && new JsonScanner(bytes).string() === text
    }),
    { numRuns: 1000 },
  )
  t.end()
})
