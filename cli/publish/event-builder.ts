import { JsonScanner, MillraceError } from '../../core/index.js'
import type { TagTemplate } from './tag-template.js'

export interface BuilderOptions {
  /** Tags of every event. */
  readonly tags: readonly string[]
  readonly templates: readonly TagTemplate[]
  /** Lines hold `{"tags":[…],"payload":…}` instead of payloads. */
  readonly isEnvelope: boolean
}

/** A line is no event. The message says what is wrong, not where. */
export class LineError extends MillraceError {
  readonly code = 'ERR_JSON_INVALID'
}

/**
 * Makes the JSON text of an event, as the publish request takes it, of one line. The payload keeps its text, digit for
 * digit.
 *
 * @throws LineError, JsonError
 */
export function buildEvent(line: Uint8Array, { tags, templates, isEnvelope }: BuilderOptions): string {
  const text = decodeText(line)
  const envelope = isEnvelope ? readEnvelope(line) : { tags: [], payload: checkPayload(line, text) }
  const made = templates.length === 0 ? [] : tagsOf(envelope.payload, templates)
  const all = [...new Set([...tags, ...envelope.tags, ...made])]
  return `{"tags":${JSON.stringify(all)},"payload":${envelope.payload}}`
}

/** Of bytes of UTF-8. @throws LineError */
export function decodeText(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes)
  } catch (error) {
    throw new LineError('not UTF-8', { cause: error })
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true })

function checkPayload(line: Uint8Array, text: string): string {
  const scanner = new JsonScanner(line)
  scanner.peek()
  scanner.skipValue()
  scanner.expectEnd()
  return text
}

interface Envelope {
  readonly tags: readonly string[]
  readonly payload: string
}

function readEnvelope(line: Uint8Array): Envelope {
  const scanner = new JsonScanner(line)
  const texts = new Map<string, string>()
  scanner.peek()
  scanner.members('an object with tags and payload', (name) => {
    const start = scanner.at
    scanner.skipValue()
    texts.set(name, decodeText(line.subarray(start, scanner.at)))
  })
  scanner.expectEnd()
  const payload = texts.get('payload')
  if (payload === undefined) throw new LineError("the member 'payload' is missing")
  const tags: unknown = JSON.parse(texts.get('tags') ?? '[]')
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string' && tag !== '')) {
    throw new LineError("'tags' must be a list of texts that are not empty")
  }
  return { tags: tags as string[], payload }
}

function tagsOf(payload: string, templates: readonly TagTemplate[]): string[] {
  const value: unknown = JSON.parse(payload)
  return templates.flatMap((template) => template(value)).filter((tag) => tag !== '')
}
