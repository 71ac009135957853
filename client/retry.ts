/** How long a subscription waits before it tries again; milliseconds. */
export interface RetryPauses {
  /** After the first failure; twice as long after each further one. */
  readonly firstMs: number
  readonly longestMs: number
}

export const DEFAULT_PAUSES: RetryPauses = { firstMs: 200, longestMs: 10_000 }

/**
 * The pause after so many failures in a row, at least one. Between half and all of what is due, so that apps which lost the
 * same node do not come back at the same moment.
 *
 * @param random from 0 to 1
 */
export function retryPauseMs(failures: number, { firstMs, longestMs }: RetryPauses, random: number): number {
  const due = Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30))
  return Math.round(due * (0.5 + random / 2))
}
