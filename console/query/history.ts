import { recall, remember } from '../frame/memory.js'

/** A query that was asked. */
export interface Asked {
  readonly text: string
  /** Milliseconds since 1970. */
  readonly atMs: number
  readonly rows: number
  readonly tookMs: number
}

const NAME = 'queries'
const MOST = 50

/** Characters of one query that are remembered. */
const MOST_CHARACTERS = 20_000

/** Newest first. What is stored may be from another version, or from anybody. */
export function readHistory(): readonly Asked[] {
  try {
    const stored: unknown = JSON.parse(recall(NAME) ?? '[]')
    return Array.isArray(stored) ? stored.filter(isAsked).slice(0, MOST) : []
  } catch {
    return []
  }
}

/** @returns the history with one more; the same text stands there once */
export function addToHistory(history: readonly Asked[], asked: Asked): readonly Asked[] {
  const next = [asked, ...history.filter(({ text }) => text !== asked.text)].slice(0, MOST)
  remember(NAME, JSON.stringify(next.filter(({ text }) => text.length <= MOST_CHARACTERS)))
  return next
}

function isAsked(value: unknown): value is Asked {
  if (typeof value !== 'object' || value === null) return false
  const { text, atMs, rows, tookMs } = value as Partial<Record<keyof Asked, unknown>>
  return typeof text === 'string' && [atMs, rows, tookMs].every((figure) => typeof figure === 'number')
}
