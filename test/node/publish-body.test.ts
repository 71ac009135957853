import fc from 'fast-check'
import t from 'tap'
import { toTagSet } from '../../core/index.js'
import { PublishBodyReader } from '../../node/events/publish-body.js'

const read = (body: string | Uint8Array): { tags: readonly string[]; payload: string }[] =>
  new PublishBodyReader()
    .read(typeof body === 'string' ? Buffer.from(body) : body)
    .map(({ tags, payload }) => ({ tags, payload: Buffer.from(payload).toString() }))

t.same(read('{"data":[]}'), [], 'an empty list is no event')
t.same(
  read(
    ' { "x" : [1,{"data":2}] , "data" : [ { "payload" : { "a" : 5.0 , "b c" : " \\u0041 " } , "tags" : [ "z" , "a", "z" ], "extra": null } ] } ',
  ),
  [{ tags: ['a', 'z'], payload: '{"a":5.0,"b c":" \\u0041 "}' }],
  'payloads lose only the white space outside strings, tags are sorted, unknown members ignored',
)
t.same(
  read('{"data":[{"tags":["e\u0301"],"payload":18446744073709551616},{"tags":["\\u00e9","\u00e9"],"payload":-0.0}]}'),
  [
    { tags: ['\u00e9'], payload: '18446744073709551616' },
    { tags: ['\u00e9'], payload: '-0.0' },
  ],
  'tags are normalised to NFC, numbers keep their text',
)

const refused: readonly (readonly [string, RegExp])[] = [
  ['{}', /^missing field `data` at line 1 column 2$/],
  ['[]', /invalid type: expected struct PublishRequest/],
  ['{"data":null}', /expected a sequence/],
  ['{"data":[{"payload":1}]}', /missing field `tags`/],
  ['{"data":[{"tags":[]}]}', /missing field `payload`/],
  ['{"data":[{"tags":[""],"payload":1}]}', /Tag must not be empty at line 1 column 19/],
  ['{"data":[{"tags":[1],"payload":1}]}', /expected a string/],
  ['{"data":[{"tags":"a","payload":1}]}', /expected a sequence/],
  ['{"data":[{"tags":[],"payload":1e400}]}', /number out of range/],
  ['{"data":[{"tags":[],"payload":"\\ud800"}]}', /lone surrogate/],
  ['{"data":[{"tags":[],"payload":1}]} x', /trailing characters/],
  ['{"data":[{"tags":[],"payload":1}', /EOF/],
  ['{"data":[],"data":[]}', /duplicate field `data`/],
  ['{"data":[{"tags":[],"tags":[],"payload":1}]}', /duplicate field `tags`/],
  ['{"data":[{"tags":[],"payload":?}]}', /expected value at line 1 column 31/],
]
for (const [body, message] of refused) t.throws(() => read(body), { message }, `refused: ${body}`)

t.throws(
  () => read(Buffer.concat([Buffer.from('{"data":[{"tags":[],"payload":"'), Buffer.from([0xff]), Buffer.from('"}]}')])),
  { code: 'ERR_JSON_INVALID', message: /invalid UTF-8 at line 1 column 32/ },
  'a byte that is no UTF-8 is named by its place',
)
t.throws(
  () => read(`{"data":[{"tags":[],"payload":"${'x'.repeat(16 * 1024 * 1024)}"}]}`),
  { code: 'ERR_EVENT_TOO_LARGE' },
  'a payload above 16 MiB is refused',
)
t.equal(
  read(`{"data":[{"tags":[],"payload":${'['.repeat(124)}${']'.repeat(124)}}]}`).length,
  1,
  'nesting of 124 passes',
)
t.throws(() => read(`{"data":[{"tags":[],"payload":${'['.repeat(125)}${']'.repeat(125)}}]}`), {
  message: /recursion limit/,
})

void t.test('any list of events comes back as it was sent', (t) => {
  const event = fc.record({ tags: fc.array(fc.string({ minLength: 1, unit: 'grapheme' })), payload: fc.jsonValue() })
  const reader = new PublishBodyReader()
  fc.assert(
    fc.property(fc.array(event), fc.constantFrom(undefined, 2), (events, indent) => {
      const got = reader.read(Buffer.from(JSON.stringify({ data: events }, null, indent)))
      return (
        JSON.stringify(got.map(({ tags, payload }) => [tags, Buffer.from(payload).toString()])) ===
        JSON.stringify(events.map(({ tags, payload }) => [toTagSet(tags), JSON.stringify(payload)]))
      )
    }),
    { numRuns: 500 },
  )
  t.end()
})
