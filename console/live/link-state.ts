/** Figures older than this are called old, and a daemon silent for this long gone; milliseconds. */
export const OLD_MS = 10_000

/**
 * `loading`: nothing was answered yet. `live`: the figures are fresh. `stale`: answers take long. `disconnected`: there
 * are none.
 */
export type LinkState = 'loading' | 'live' | 'stale' | 'disconnected'

/** What is known of the link to the daemon; all times in milliseconds since 1970. */
export interface LinkFacts {
  /** The last answer; `undefined` before the first. */
  readonly answeredMs: number | undefined
  /** The first failure since then. */
  readonly failingSinceMs: number | undefined
  /** A hidden tab asks for nothing, so its silence means nothing. */
  readonly visibleSinceMs: number | undefined
}

export function linkState({ answeredMs, failingSinceMs, visibleSinceMs }: LinkFacts, nowMs: number): LinkState {
  if (visibleSinceMs === undefined) return answeredMs === undefined ? 'loading' : 'live'
  const silentMs = nowMs - Math.max(answeredMs ?? 0, visibleSinceMs)
  if (silentMs < OLD_MS) return answeredMs === undefined ? 'loading' : 'live'
  return failingSinceMs === undefined && answeredMs !== undefined ? 'stale' : 'disconnected'
}
