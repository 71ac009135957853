import { MillraceError } from './errors.js'

/** The tags of one event: NFC, sorted by code point, without duplicates, none empty. */
export type TagSet = readonly string[]

/** A tag from outside cannot be stored. */
export class TagError extends MillraceError {
  readonly code = 'ERR_TAG_INVALID'
}

/** Code-point order, which is the order of the UTF-8 bytes and not that of JavaScript's `<` (UTF-16 units). */
export function compareCodePoints(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let at = 0; at < length; at++) {
    const x = a.charCodeAt(at)
    const y = b.charCodeAt(at)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/** UTF-16 unit → a number that orders as its code point does: surrogates above everything else of the first plane. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/** @throws TagError for an empty tag */
export function toTagSet(tags: readonly string[]): TagSet {
  const set = new Set<string>()
  for (const tag of tags) {
    if (tag === '') throw new TagError('empty tag')
    set.add(tag.normalize('NFC'))
  }
  return [...set].sort(compareCodePoints)
}
