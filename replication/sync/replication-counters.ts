/** Counts since the node joined. */
export interface ReplicationCounters {
  /** Runs of commits that came by broadcast and were valid. */
  runs: number
  /** Runs and blocks that were stored. */
  applied: number
  /** Broadcasts of what was held already. */
  repeated: number
  /** What could not be read or was not valid: forged, oversized, contradictory. */
  malformed: number
  /** Events stored by fetching, and the bytes in which they came. */
  fetchedEvents: number
  fetchedBytes: number
  /** Fetches that brought nothing or broke off. */
  failedFetches: number
}

export function createReplicationCounters(): ReplicationCounters {
  return {
    runs: 0,
    applied: 0,
    repeated: 0,
    malformed: 0,
    fetchedEvents: 0,
    fetchedBytes: 0,
    failedFetches: 0,
  }
}
