import type { CompletionContext } from '@codemirror/autocomplete'
import type { TagsReport } from '../../client/index.js'
import type { Link } from '../live/link.js'

/** Tags asked for at once. */
const MOST_TAGS = 200

/** Tags that begin so. */
export type FindTags = (prefix: string, signal: AbortSignal) => Promise<TagsReport>

/** Asks the daemon for tags of stored events. */
export function findTagsOver(link: Link): FindTags {
  return (prefix, signal) => link.ask((client, limit) => client.tags(prefix, MOST_TAGS, limit), signal)
}

/** Ends when the completion is no longer wanted. */
export function signalOf(context: CompletionContext): AbortSignal {
  const ending = new AbortController()
  context.addEventListener('abort', () => {
    ending.abort()
  })
  return ending.signal
}
