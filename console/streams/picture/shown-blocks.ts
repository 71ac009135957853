import type { BlockReport, BlocksReport, Client } from '../../../client/index.js'
import type { StreamId } from '../../../core/index.js'

/** More blocks than this are not all drawn at once. */
const MOST_BLOCKS = 120

/** So many are shown of each end then. */
const END_BLOCKS = 20

/** Shown when all are wanted: the daemon lists no more at once. */
const ALL_BLOCKS = 1000

/** Blocks of a stream, oldest first, and what is left out in their middle. */
export interface ShownBlocks {
  readonly report: BlocksReport
  readonly fold: Fold | undefined
}

/** Blocks that are not shown. */
export interface Fold {
  /** How many; `undefined` where nobody counts them. */
  readonly blocks: number | undefined
  /** Shown blocks before them. */
  readonly before: number
  /** Milliseconds since 1970. */
  readonly fromMs: number
  readonly toMs: number
}

/** All blocks of a stream, or both ends of many. `undefined` when the node has nothing of it. */
export async function loadBlocks(
  client: Client,
  stream: StreamId,
  wantsAll: boolean,
  signal: AbortSignal,
): Promise<ShownBlocks | undefined> {
  const limit = wantsAll ? ALL_BLOCKS : MOST_BLOCKS
  const newest = await client.blocks(stream, { order: 'desc', limit, signal })
  if (newest === undefined) return undefined
  const blocks = newest.blocks.toReversed()
  if (!newest.more || wantsAll) return { report: { ...newest, blocks }, fold: undefined }
  const oldest = await client.blocks(stream, { limit: END_BLOCKS, signal })
  return foldBlocks(newest, oldest?.blocks ?? [], blocks.slice(-END_BLOCKS))
}

function foldBlocks(report: BlocksReport, begin: readonly BlockReport[], end: readonly BlockReport[]): ShownBlocks {
  const [before] = begin.slice(-1)
  const [after] = end
  const fold = {
    blocks: numbersBetween(before, after),
    before: begin.length,
    fromMs: (before?.newestTimestamp ?? after?.oldestTimestamp ?? 0) / 1000,
    toMs: (after?.oldestTimestamp ?? 0) / 1000,
  }
  return { report: { ...report, blocks: [...begin, ...end] }, fold }
}

function numbersBetween(before: BlockReport | undefined, after: BlockReport | undefined): number | undefined {
  if (before?.number == null || after?.number == null) return undefined
  return after.number - before.number - 1
}
