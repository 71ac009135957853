import type { StreamReport } from '../../client/index.js'

/** Where the line of the limits stands in all lanes, as a part of their width. */
const LIMIT_PART = 0.3

/** Room at both ends; pixels. */
const MARGIN = 4

/**
 * How long ago the limit cuts that decides; milliseconds. Where all is within it, it is where it would cut if the stream
 * went on as it has. `undefined` for a stream without limits.
 */
export function limitAgeMs(stream: StreamReport, nowMs: number): number | undefined {
  const { decidedBy, cuts, retention, events, storedBytes, oldestTimestamp } = stream
  if (decidedBy === null) return undefined
  const cut = cuts[decidedBy]
  if (cut !== null) return Math.max(1, nowMs - cut.time / 1000)
  if (decidedBy === 'maxAge') return retention.maxAgeMicros === null ? undefined : retention.maxAgeMicros / 1000
  const [used, limit] =
    decidedBy === 'maxEvents' ? [events, retention.maxEvents] : [storedBytes, retention.maxStoredBytes]
  if (oldestTimestamp === null || limit === null || used === 0) return undefined
  return ((nowMs - oldestTimestamp / 1000) * limit) / used
}

/**
 * From age to place, so that the limits of all streams lie on one line. Beyond the line the scale shrinks so that nothing
 * is cut off.
 */
export function laneScale(
  limitMs: number | undefined,
  oldestMs: number,
  width: number,
): { readonly line: number | undefined; readonly x: (ageMs: number) => number } {
  const end = width - MARGIN
  if (limitMs === undefined) {
    const span = Math.max(1, oldestMs)
    return { line: undefined, x: (ageMs) => end - ((end - MARGIN) * Math.max(0, ageMs)) / span }
  }
  const line = width * LIMIT_PART
  // Streams that are beyond only a little are not stretched to the left end.
  const beyond = Math.max(oldestMs - limitMs, limitMs * 0.43)
  const x = (ageMs: number): number =>
    ageMs <= limitMs
      ? end - ((end - line) * Math.max(0, ageMs)) / limitMs
      : line - ((line - MARGIN) * (ageMs - limitMs)) / beyond
  return { line, x }
}
