import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { fingerprint } from '../../client/index.js'

t.test('a fingerprint is SHA-256 over lengths and JSON texts, so that values do not run into each other', async (t) => {
  const bytes = Buffer.concat([Buffer.of(0, 0, 0, 3), Buffer.from('"a"'), Buffer.of(0, 0, 0, 2), Buffer.from('12')])
  t.equal(await fingerprint(['a', 12]), createHash('sha256').update(bytes).digest('hex'))
  t.not(await fingerprint(['a', 'bc']), await fingerprint(['ab', 'c']))
  t.not(await fingerprint(['1']), await fingerprint([1]))
  t.not(await fingerprint([]), await fingerprint([null]))
  t.equal(await fingerprint([undefined]), await fingerprint([null]), 'as in JSON')
  const values = fc.array(fc.jsonValue(), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(values, values, async (one, other) => {
      const isSame = JSON.stringify(one) === JSON.stringify(other)
      if (((await fingerprint(one)) === (await fingerprint(other))) !== isSame) throw new Error('mistaken')
    }),
  )
})
