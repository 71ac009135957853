import type { BlockReport } from '../../../client/index.js'
import type { TimeScale } from './time-scale.js'

/** How a block looks: each state has a form of its own. */
export type BlockForm = 'inside' | 'goes' | 'held' | 'open' | 'lost'

/** A block where it is drawn; in pixels. */
export interface DrawnBlock {
  readonly block: BlockReport
  readonly form: BlockForm
  readonly x: number
  readonly width: number
  /** From 0 to 1 of the height of a full block. */
  readonly level: number
}

/** What the height of a block shows. */
export type Height = 'events' | 'bytes'

export function formOf({ state, sealed, fate }: BlockReport): BlockForm {
  if (state !== 'ok') return 'lost'
  if (!sealed) return 'open'
  if (fate === null) return 'inside'
  if ('goesAt' in fate) return 'goes'
  return fate.old ? 'held' : 'inside'
}

/** What becomes of a block, in words. */
export function fateWords({ state, sealed, fate }: BlockReport): string {
  if (state === 'damaged') return 'is damaged and not served'
  if (state === 'missing') return 'is missing'
  if (fate === null) return sealed ? 'stays' : 'takes the next events'
  if (!sealed && 'heldBy' in fate && fate.heldBy === 'inside' && !fate.old) return 'takes the next events'
  if ('goesAt' in fate) return fate.by === 'owner' ? 'goes: its owner has dropped it' : 'goes at the next prune'
  switch (fate.heldBy) {
    case 'inside':
      return fate.old ? `stays: an event is inside ${fate.limit ?? 'its limits'}` : 'inside its limits'
    case 'notFull':
      return fate.old ? 'stays: it is not full' : 'takes the next events'
    case 'owner':
      return 'stays: its owner decides'
    case 'behind':
      return 'stays: an older block stays'
    case 'noLimit':
      return 'kept for ever'
    case 'clockJump':
      return 'stays: the clock has jumped'
    case 'damage':
      return 'stays: the stream is damaged'
    case 'readOnly':
      return 'stays: the store takes no writes'
  }
}

/** How a form is filled. @param patterns the id of the drawn `Patterns` */
export function fillOf(form: BlockForm, patterns: string): { readonly fill: string; readonly stroke?: string } {
  switch (form) {
    case 'lost':
      return { fill: 'var(--alarmbg)', stroke: 'var(--alarmfill)' }
    case 'goes':
      return { fill: `url(#hatched-${patterns})`, stroke: 'var(--data)' }
    case 'held':
      return { fill: `url(#dotted-${patterns})`, stroke: 'var(--data)' }
    case 'open':
      return { fill: 'var(--soft)', stroke: 'var(--data)' }
    case 'inside':
      return { fill: 'var(--data)' }
  }
}

/** Times of a block, milliseconds since 1970. What is not known about a lost one is taken from its neighbours. */
export function spanOf(
  { oldestTimestamp, newestTimestamp }: BlockReport,
  before: BlockReport | undefined,
  after: BlockReport | undefined,
): { readonly fromMs: number; readonly toMs: number } {
  const from = oldestTimestamp ?? before?.newestTimestamp ?? after?.oldestTimestamp ?? 0
  const to = newestTimestamp ?? after?.oldestTimestamp ?? from
  return { fromMs: from / 1000, toMs: to / 1000 }
}

/**
 * Places blocks along time; each is wide enough to be seen.
 *
 * @param full what a block at full height has
 * @param scale time in milliseconds to pixels
 * @param before so many stand before the fold
 */
export function drawBlocks(
  blocks: readonly BlockReport[],
  height: Height,
  full: number,
  { x, right, fold }: TimeScale,
  before = blocks.length,
): readonly DrawnBlock[] {
  const gap = blocks.length > 60 ? 0.8 : 3
  return blocks.map((block, index) => {
    const { fromMs, toMs } = spanOf(block, blocks[index - 1], blocks[index + 1])
    const form = formOf(block)
    const least = form === 'open' ? 10 : form === 'lost' ? 4 : 2
    // Both sides of a fold may be of the same time.
    const behind = index < before ? 0 : (fold?.right ?? 0)
    const from = Math.min(Math.max(x(fromMs), behind), right - least)
    return {
      block,
      form,
      x: from,
      width: Math.max(least, x(toMs) - from - gap),
      level: Math.min(1, sizeOf(block, height) / Math.max(1, full)),
    }
  })
}

/** What the height of a block stands for. */
export function sizeOf({ events, storedBytes }: BlockReport, height: Height): number {
  return height === 'events' ? events : (storedBytes ?? 0)
}
