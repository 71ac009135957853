import { PayloadError } from './errors.js'

/**
 * An event to publish: tags with a payload, which is any value that JSON can say; or with the payload as ready JSON
 * text, which goes out digit for digit; or the whole as JSON text of `{"tags":[…],"payload":…}`, which is for those who
 * have made sure that it is JSON: it goes out unseen, and a WebSocket breaks on text that is none.
 */
export type EventDraft =
  | { readonly tags: readonly string[]; readonly payload: unknown }
  | { readonly tags: readonly string[]; readonly payloadText: string }
  | string

/** The JSON text of a draft. @throws PayloadError */
export function draftText(draft: EventDraft): string {
  if (typeof draft === 'string') return draft
  const payload = 'payloadText' in draft ? checked(draft.payloadText) : payloadOf(draft.payload)
  return `{"tags":${JSON.stringify(draft.tags)},"payload":${payload}}`
}

/** What is no JSON could break out of its place in the request. */
function checked(text: string): string {
  try {
    JSON.parse(text)
    return text
  } catch (error) {
    throw new PayloadError(`the text of the payload is not JSON: ${String(error)}`, { cause: error })
  }
}

/** Gives nothing at all for undefined, functions and symbols. */
const stringify: (value: unknown) => string | undefined = JSON.stringify

function payloadOf(value: unknown): string {
  let text: string | undefined
  try {
    text = stringify(value)
  } catch (error) {
    throw new PayloadError(`the payload cannot be written as JSON: ${String(error)}`, { cause: error })
  }
  if (text === undefined) throw new PayloadError(`a payload cannot be ${typeof value}`)
  return text
}
