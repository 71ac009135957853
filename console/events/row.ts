import type { EventLine } from '../../client/index.js'

/** An event as the list shows it. */
export interface Row {
  /** `<stream>/<offset>`. */
  readonly key: string
  readonly event: EventLine
  /** The beginning of the payload's text. */
  readonly preview: string
}

/** Characters of a payload in the list. */
const PREVIEW = 240

export function rowOf(event: EventLine): Row {
  return { key: eventName(event), event, preview: previewOf(event.payload) }
}

/** Tells events apart, and stands in addresses. */
export function eventName({ stream, offset }: Pick<EventLine, 'stream' | 'offset'>): string {
  return `${stream}/${String(offset)}`
}

/** @returns `undefined` for what names no event */
export function parseEventName(name: string): { readonly stream: string; readonly offset: number } | undefined {
  const [, stream, offset] = /^(.+-\d+)\/(\d{1,16})$/.exec(name) ?? []
  return stream === undefined ? undefined : { stream, offset: Number(offset) }
}

/** Writes as much of a value as fits: a payload may have 16 MiB. */
export function previewOf(value: unknown, most = PREVIEW): string {
  return beginningOf(value, most).slice(0, most)
}

/** At least so much, where there is so much. */
function beginningOf(value: unknown, most: number): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, most))
  if (typeof value !== 'object' || value === null) return String(value)
  const isList = Array.isArray(value)
  let text = isList ? '[' : '{'
  for (const name in value) {
    if (text.length > most) break
    if (text.length > 1) text += ','
    const member = beginningOf((value as Readonly<Record<string, unknown>>)[name], Math.max(0, most - text.length))
    text += isList ? member : `${JSON.stringify(name.slice(0, most))}:${member}`
  }
  return text + (isList ? ']' : '}')
}
