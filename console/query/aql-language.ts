import { HighlightStyle, StreamLanguage, syntaxHighlighting, type StringStream } from '@codemirror/language'
import type { Extension } from '@codemirror/state'
import { tags } from '@lezer/highlight'
import { KEYWORD_SET, SOURCE_SET } from './words.js'

/** Colours AQL. What is right and wrong is for the daemon to say. */
const language = StreamLanguage.define<{ quote: string }>({
  name: 'aql',
  startState: () => ({ quote: '' }),
  token(stream, state) {
    if (state.quote !== '') return endText(stream, state)
    if (stream.eatSpace()) return null
    if (stream.match('--')) {
      stream.skipToEnd()
      return 'comment'
    }
    if (stream.match(/^["'`]/)) {
      state.quote = stream.current()
      return endText(stream, state)
    }
    if (stream.match(/^-?\d+(\.\d+)?/)) return 'number'
    if (stream.match(/^[\p{L}_][\p{L}\p{N}_]*/u)) return wordKind(stream.current())
    stream.next()
    return 'operator'
  },
  languageData: { commentTokens: { line: '--' }, closeBrackets: { brackets: ['(', '[', '{', "'", '"', '`'] } },
})

/** A quote inside of a text is written twice; both ends count as text, so that needs no care. */
function endText(stream: StringStream, state: { quote: string }): string {
  while (!stream.eol()) {
    if (stream.next() === state.quote) {
      state.quote = ''
      break
    }
  }
  return 'string'
}

function wordKind(word: string): string | null {
  if (KEYWORD_SET.has(word)) return 'keyword'
  return SOURCE_SET.has(word) ? 'keyword' : null
}

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--kw)', fontWeight: '650' },
  { tag: tags.string, color: 'var(--str)' },
  { tag: tags.number, color: 'var(--num)' },
  { tag: [tags.comment, tags.operator], color: 'var(--ink2)' },
])

export const aql: Extension = [language, syntaxHighlighting(colours)]
