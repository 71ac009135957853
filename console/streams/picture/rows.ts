/** Room at the left for the figures of the scales; pixels. */
export const LEFT = 60

const BLOCK_HEIGHT = 148

/** Where things stand from top to bottom; pixels. */
export interface Rows {
  /** Blocks stand between these. */
  readonly top: number
  readonly bottom: number
  /** The ground of the rates, and the axis of time. */
  readonly rate: number
  readonly height: number
}

export function rowsFor(top: number): Rows {
  const bottom = top + BLOCK_HEIGHT
  return { top, bottom, rate: bottom + 64, height: bottom + 90 }
}
