import type { StreamId } from '../core/index.js'

/** Something that is not as it was written, and what that means. */
export interface Damage {
  readonly type: 'damage'
  readonly topic: string
  /** `null` for what belongs to no stream. */
  readonly stream: StreamId | null
  /** First and last offset that it is about, both inclusive; `null` where no events are. */
  readonly from: number | null
  readonly to: number | null
  /** Kind of value, such as `block header` or `tail record`. */
  readonly part: string
  /** What is wrong, as below a sentence for operators. */
  readonly problem: string
  readonly lost: string
  readonly advice: string
}

/** Something that is worth knowing and costs nobody an event. */
export interface CheckNote {
  readonly type: 'note'
  readonly topic: string
  readonly stream: StreamId | null
  readonly text: string
}

/** How far a check has got. */
export interface CheckProgress {
  readonly type: 'progress'
  readonly topic: string
  readonly blocks: number
  readonly totalBlocks: number
}

/** The last of a check of one topic: what was looked at. */
export interface CheckTotals {
  readonly type: 'topic'
  readonly topic: string
  readonly streams: number
  readonly blocks: number
  readonly events: number
  readonly damages: number
  readonly notes: number
}

export type CheckFinding = Damage | CheckNote

/** What a check of a store tells, as it goes. */
export type CheckLine = CheckFinding | CheckProgress | CheckTotals
