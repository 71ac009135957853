/** When a block is full. */
export interface BlockLimits {
  readonly maxEvents: number
  /** Of payloads, bytes. */
  readonly maxBytes: number
}

/** What an unsealed block holds so far. */
export interface BlockFill {
  readonly events: number
  /** Of payloads, bytes. */
  readonly payloadBytes: number
}

/** Events [from, to) of a commit that go into one block. */
export interface BlockCut {
  readonly from: number
  readonly to: number
  /** Whether they begin a block instead of going on with the one before them. */
  readonly beginsBlock: boolean
}

/**
 * Cuts a commit at block boundaries: no block holds more than `maxEvents`, nor more than `maxBytes` unless it is a
 * single event. Depends on nothing but the sizes, so that the same events always fall into the same blocks.
 *
 * @param open the block that is still open; its fill may be zero
 */
export function cutAtBlocks(open: BlockFill, payloadLengths: Iterable<number>, limits: BlockLimits): BlockCut[] {
  const cuts: BlockCut[] = []
  let { events, payloadBytes } = open
  let beginsBlock = events === 0
  let from = 0
  let at = 0
  for (const length of payloadLengths) {
    if (isFull({ events, payloadBytes }, limits) || (events > 0 && payloadBytes + length > limits.maxBytes)) {
      if (at > from) cuts.push({ from, to: at, beginsBlock })
      from = at
      beginsBlock = true
      events = 0
      payloadBytes = 0
    }
    events++
    payloadBytes += length
    at++
  }
  if (at > from) cuts.push({ from, to: at, beginsBlock })
  return cuts
}

/** Whether nothing more goes into the block. */
export function isFull(fill: BlockFill, limits: BlockLimits): boolean {
  return fill.events >= limits.maxEvents || fill.payloadBytes >= limits.maxBytes
}
