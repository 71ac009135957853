import { createContext } from 'preact'
import { useContext, useEffect, useMemo } from 'preact/hooks'
import { useCell } from './cell.js'
import type { Link } from './link.js'
import { Poller, type Load, type Polled } from './poller.js'

/** So often figures are asked for; milliseconds. */
export const POLL_MS = 2000

/** Answers kept of things that are not shown now. */
const MOST_KEPT = 100

/** What was there before is shown at once, until something newer comes. */
const kept = new Map<string, Polled<unknown>>()

const LinkContext = createContext<Link | undefined>(undefined)

export const LinkProvider = LinkContext.Provider

/** The link to the daemon. */
export function useLink(): Link {
  const link = useContext(LinkContext)
  if (link === undefined) throw new TypeError('used outside of the page')
  return link
}

/** What was answered, and how to ask at once. */
export interface Watched<T> extends Polled<T> {
  readonly askNow: () => void
}

/**
 * Asks while the part is shown.
 *
 * @param key what is asked for: another key is another thing
 */
export function usePolled<T>(key: string, load: Load<T>, everyMs = POLL_MS): Watched<T> {
  const link = useLink()
  // The key stands for what `load` asks for.
  const poller = useMemo(() => new Poller(link, load, everyMs, kept.get(key) as Polled<T> | undefined), [link, key])
  useEffect(() => {
    void poller.run()
    return () => {
      poller.end()
      keep(key, poller.polled.value)
    }
  }, [poller])
  return { ...useCell(poller.polled), askNow: poller.askNow }
}

function keep(key: string, polled: Polled<unknown>): void {
  kept.delete(key)
  kept.set(key, polled)
  for (const oldest of kept.keys()) {
    if (kept.size <= MOST_KEPT) break
    kept.delete(oldest)
  }
}
