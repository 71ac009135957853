/** The owner has signed something else than what is held. */
export interface Contradiction {
  readonly kind: 'contradiction'
  /** Where that shows. */
  readonly offset: number
  readonly reason: string
}

export function otherEvents(offset: number): Contradiction {
  return { kind: 'contradiction', offset, reason: `the events before offset ${String(offset)} are different ones` }
}

export function twoBlocks(offset: number): Contradiction {
  return { kind: 'contradiction', offset, reason: `two blocks hold the event before offset ${String(offset)}` }
}
