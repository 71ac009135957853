/** First pause between attempts to connect, ms. */
const FIRST_MS = 1_000

/**
 * How long to wait before the next attempt: doubled with each failure, and spread by a quarter in both directions, so
 * that nodes that lost each other at the same time do not come back at the same time.
 *
 * @param failures in a row; 0 for a link that was good
 * @param random from 0 to 1
 * @param longestMs pause from which on it no longer grows
 */
export function backOffMs(failures: number, random: number, longestMs: number): number {
  const pauseMs = Math.min(FIRST_MS * 2 ** Math.max(0, failures - 1), longestMs)
  return Math.min(pauseMs * (0.75 + random / 2), longestMs)
}
