import type { ErrorKind } from './wire-errors.js'

/** What a node says over a WebSocket. `items` is the JSON text of an array. */
export type SocketMessage =
  | { readonly type: 'next'; readonly requestId: number; readonly items: string }
  | { readonly type: 'complete'; readonly requestId: number }
  | { readonly type: 'error'; readonly requestId: number; readonly kind: ErrorKind }

/** How a millrace node begins what it delivers. */
const NEXT = /^\{"type":"next","requestId":([0-9]+),"payload":\[/

/** Reads a message; the items of `next` stay text, so that their numbers stay exact. */
export function parseMessage(text: string): SocketMessage {
  const [head, id] = NEXT.exec(text) ?? []
  if (head !== undefined) return { type: 'next', requestId: Number(id), items: text.slice(head.length - 1, -1) }
  const message = JSON.parse(text) as SocketMessage | { type: 'next'; requestId: number; payload: unknown }
  if (message.type !== 'next' || 'items' in message) return message
  return { type: 'next', requestId: message.requestId, items: JSON.stringify(message.payload) }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING: readonly number[] = [0x5b, 0x7b]
const CLOSING: readonly number[] = [0x5d, 0x7d]
const COMMA = 0x2c

/** The texts of the items of a JSON array, without looking into them. */
export function itemTexts(array: string): string[] {
  const items: string[] = []
  let depth = 0
  let start = 1
  for (let at = 0; at < array.length; at++) {
    const unit = array.charCodeAt(at)
    if (unit === QUOTE) at = endOfString(array, at)
    else if (OPENING.includes(unit)) depth += 1
    else if (CLOSING.includes(unit)) depth -= 1
    if ((unit === COMMA && depth === 1) || depth === 0) {
      const item = array.slice(start, at).trim()
      if (item !== '') items.push(item)
      start = at + 1
    }
  }
  return items
}

/** Where the string ends that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit === BACKSLASH) at += 1
    else if (unit === QUOTE) return at
  }
  return text.length
}
