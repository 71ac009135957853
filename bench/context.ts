import type { Measurement } from './measure.js'
import type { Peer } from './peer.js'

/** What every part of the bench gets. */
export interface BenchContext {
  /** Repetitions of each measurement. */
  readonly runs: number
  /** Length of one run of a measurement that has no natural end. */
  readonly seconds: number
  /** Events in the store for everything that reads. */
  readonly events: number
  /** Empty, gone afterwards; on a real disk. */
  readonly directory: string
  /** Those that are installed, ours first. */
  readonly peers: readonly Peer[]
  /** Whether a system was asked for, by its name. */
  readonly wants: (name: string) => boolean
  readonly report: (measurement: Measurement) => void
  /** Writes a page of its own, when pages are to be written. */
  readonly document: (path: string, text: string) => void
  /** Something could not be measured, and why. */
  readonly fail: (what: string) => void
}

/** A question that the bench answers. */
export interface Bench {
  readonly name: string
  run(context: BenchContext): Promise<void>
}

/** A system that fails is reported; the others are still measured. */
export async function attempt(context: BenchContext, peer: Peer, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    context.fail(`${peer.name}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
