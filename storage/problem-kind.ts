/** Everything that can be wrong with a store. Of some there may be several, which are told apart by what they concern. */
export const PROBLEM_KINDS = [
  'disk',
  'write',
  'clock',
  'damage',
  'names',
  'corrupt',
  'state',
  'fork',
  'own-ahead',
] as const

/** One of them. */
export type ProblemKind = (typeof PROBLEM_KINDS)[number]
