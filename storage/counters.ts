import { COMMIT_BOUNDS, Histogram, WORK_BOUNDS } from './histogram.js'

/** What the store counts since it was opened. */
export class Counters {
  commits = 0
  committedEvents = 0
  /** Of lines. */
  committedBytes = 0
  sealedBlocks = 0
  prunedBlocks = 0
  prunedEvents = 0
  prunedBytes = 0
  /** Damaged ones that others gave back. */
  healedBlocks = 0
  corruptRecords = 0
  /** From the begin of a group to its being durable. */
  readonly commitSeconds = new Histogram(COMMIT_BOUNDS)
  /** LevelDB's and the disk's part of it. */
  readonly syncSeconds = new Histogram(COMMIT_BOUNDS)
  readonly pruneSeconds = new Histogram(WORK_BOUNDS)
}
