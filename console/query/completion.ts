import {
  pickedCompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
  type CompletionSource,
} from '@codemirror/autocomplete'
import type { EditorView } from '@codemirror/view'
import { signalOf, type FindTags } from './known-tags.js'
import { FUNCTIONS, KEYWORDS, SOURCES } from './words.js'

const WORDS: readonly Completion[] = [
  ...KEYWORDS.map(([label, detail]) => ({ label, detail, type: 'keyword' })),
  ...FUNCTIONS.map(([label, detail]) => ({ label, detail, type: 'function', apply: `${label}(` })),
  ...SOURCES.map(([label, detail]) => ({ label, detail, type: 'keyword' })),
]

/** Tags inside of quotes, words elsewhere. */
export function completeAql(findTags: FindTags): CompletionSource {
  return (context: CompletionContext): CompletionResult | null | Promise<CompletionResult | null> => {
    const quoted = openQuote(context.state.sliceDoc(0, context.pos))
    if (quoted !== undefined) return completeTag(context, quoted, findTags)
    const word = context.matchBefore(/[A-Za-z]+/)
    if (word === null) return context.explicit ? { from: context.pos, options: [...WORDS] } : null
    return { from: word.from, options: [...WORDS], validFor: /^[A-Za-z]*$/ }
  }
}

/** Asks again with each letter as long as there are more tags than were answered. */
async function completeTag(
  context: CompletionContext,
  from: number,
  findTags: FindTags,
): Promise<CompletionResult | null> {
  const prefix = context.state.sliceDoc(from, context.pos).replaceAll("''", "'")
  try {
    const { tags, complete } = await findTags(prefix, signalOf(context))
    const options = tags.map((tag) => ({ label: tag, type: 'text', apply: insertTag }))
    return { from, options, ...(complete ? { validFor: /^[^']*$/ } : {}) }
  } catch {
    // Nothing is offered; that the daemon is silent is said elsewhere.
    return null
  }
}

/** Writes a tag up to its closing quote, and goes on behind that. */
function insertTag(view: EditorView, completion: Completion, from: number, to: number): void {
  const text = completion.label.replaceAll("'", "''")
  const isClosed = view.state.sliceDoc(to, to + 1) === "'"
  view.dispatch({
    changes: { from, to, insert: isClosed ? text : `${text}'` },
    selection: { anchor: from + text.length + 1 },
    annotations: pickedCompletion.of(completion),
    userEvent: 'input.complete',
  })
}

/** Where the text begins that a single quote has opened and not closed; `undefined` outside of one. */
export function openQuote(text: string): number | undefined {
  let open = ''
  let from = 0
  for (let at = 0; at < text.length; at++) {
    const sign = text.charAt(at)
    if (open !== '') {
      if (sign === open) open = ''
    } else if (sign === '-' && text.charAt(at + 1) === '-') {
      const end = text.indexOf('\n', at)
      if (end < 0) return undefined
      at = end
    } else if (sign === "'" || sign === '"' || sign === '`') {
      open = sign
      from = at + 1
    }
  }
  return open === "'" ? from : undefined
}
