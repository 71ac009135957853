import { readFileSync } from 'node:fs'
import t from 'tap'
import { values } from '../support/aql-ask.js'

const guide = readFileSync(new URL('../../../docs/aql.md', import.meta.url), 'utf8')
const blocks = [...guide.matchAll(/^```(\w+)\n([^]*?)\n```$/gm)].map(([, language = '', text = '']) => ({
  language,
  text,
}))
const events = blocks.find(({ language }) => language === 'ndjson')!.text

t.test('every example of the guide answers what the guide says', async (t) => {
  let examples = 0
  for (const [at, { language, text }] of blocks.entries()) {
    if (language !== 'aql') continue
    const answer = blocks[at + 1]
    t.equal(answer?.language, 'text', 'an answer follows')
    const query = text.startsWith('PRAGMA') ? text : `PRAGMA events\n${events}\nENDPRAGMA\n${text}`
    const got = (await values(query)).map((value) => (value === 'ABORT' ? 'aborted' : value.replace(/^!/, '')))
    t.same(got, answer!.text.split('\n'), text)
    examples += 1
  }
  t.ok(examples > 10)
})
