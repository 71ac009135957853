import { Cell } from './cell.js'

/** Since when the tab can be seen; `undefined` while it is hidden. Milliseconds since 1970. */
export const visibleSince = new Cell<number | undefined>(document.hidden ? undefined : Date.now())

document.addEventListener('visibilitychange', () => {
  visibleSince.value = document.hidden ? undefined : Date.now()
})

/** Resolves when the tab can be seen, or the signal comes. */
export function untilVisible(signal: AbortSignal): Promise<void> {
  if (visibleSince.value !== undefined || signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const end = (): void => {
      unwatch()
      signal.removeEventListener('abort', end)
      resolve()
    }
    const unwatch = visibleSince.watch(end)
    signal.addEventListener('abort', end, { once: true })
  })
}
