import { Type, type Static } from '@sinclair/typebox'
import { HOLDERS, LIMITS, type BlockFate, type BlockPage, type BlockStatus } from '../../storage/index.js'
import { CUT_PROPERTIES, toCutsReply } from './additions.js'
import { exactly, integer, oneOf, orNull } from './reply-schemas.js'

const LimitOrNone = Type.Union([oneOf(LIMITS, 'The limit that decides'), Type.Null()])

const Fate = Type.Union(
  [
    exactly(
      {
        goesAt: Type.Integer({ description: 'Microseconds since 1970: the next prune, at the latest' }),
        by: oneOf(
          [...LIMITS, 'owner'],
          'A limit that all its events are beyond; owner: the node that writes it has pruned it',
        ),
      },
      'It goes at the next prune',
    ),
    exactly(
      {
        heldBy: oneOf(
          HOLDERS,
          'inside: an event of it is within the limits; notFull: it is beyond, but still being filled; owner: the node ' +
            'that writes it keeps it, or has not signed it yet; behind: it is beyond, but an older block stays; noLimit; ' +
            'clockJump: ages cannot be trusted; damage: the index of the stream is damaged; readOnly: nothing can be written',
        ),
        limit: LimitOrNone,
        until: orNull(
          'Microseconds since 1970: when that ends; null where it depends on what is published, or on others',
        ),
        old: Type.Boolean({ description: 'Whether some of its events are beyond a limit already' }),
      },
      'It stays',
    ),
    Type.Null(),
  ],
  { description: 'What becomes of it if nothing is published until the next prune; null where it cannot be told' },
)

const Block = exactly(
  {
    number: orNull('Counted from 0 from the first that was sealed here; null in the middle of a stream'),
    firstOffset: integer('Offset of its first event'),
    events: integer('Events in it', 1),
    storedBytes: orNull('Bytes that count for maxSize; null, as the next two, where its entry in the index is gone'),
    oldestTimestamp: orNull('Microseconds since 1970'),
    newestTimestamp: orNull('Microseconds since 1970'),
    sealed: Type.Boolean({ description: 'Whether it is complete and on disk as a block' }),
    state: oneOf(
      ['ok', 'damaged', 'missing'],
      'As far as it is known: blocks are read only when somebody asks for them',
    ),
    fate: Fate,
  },
  'A block, or a hole where blocks should be',
)

const OpenBlock = exactly(
  {
    firstOffset: integer('Offset of its first event'),
    events: integer('Events in it', 1),
    payloadBytes: integer('Bytes of their payloads'),
    maxEvents: integer('With so many events it is full', 1),
    maxBytes: integer('With so many bytes of payloads it is full', 1),
    endsAt: orNull('Microseconds since 1970: when it is ended although it is not full; null for never'),
  },
  'The block that events go into',
)

export const BlocksReply = exactly(
  {
    stream: Type.String({ description: 'Stream id' }),
    firstOffset: integer('Oldest offset that can be read'),
    nextOffset: integer('Offset of the next event'),
    ...CUT_PROPERTIES,
    blocks: Type.Array(Block, { description: 'In the order that was asked for' }),
    more: Type.Boolean({ description: 'Whether there are more behind the last' }),
    open: Type.Union([OpenBlock, Type.Null()]),
  },
  'Blocks of a stream, and what becomes of them',
)

export function renderBlocks({ stream, firstOffset, nextOffset, blocks, hasMore, open, ...page }: BlockPage): string {
  const reply: Static<typeof BlocksReply> = {
    stream,
    firstOffset,
    nextOffset,
    ...toCutsReply(page),
    blocks: blocks.map((block) => toBlock(block, page.nextPruneMicros)),
    more: hasMore,
    open: open === undefined ? null : toOpenBlock(open),
  }
  return JSON.stringify(reply)
}

function toOpenBlock({ endsMicros, ...open }: NonNullable<BlockPage['open']>): Static<typeof OpenBlock> {
  return { ...open, endsAt: endsMicros ?? null }
}

function toBlock(block: BlockStatus, nextPruneMicros: number | undefined): Static<typeof Block> {
  return {
    number: block.number ?? null,
    firstOffset: block.firstOffset,
    events: block.events,
    storedBytes: block.storedBytes ?? null,
    oldestTimestamp: block.oldestTimestamp ?? null,
    newestTimestamp: block.newestTimestamp ?? null,
    sealed: block.sealed,
    state: block.state,
    fate: toFate(block.fate, nextPruneMicros),
  }
}

function toFate(fate: BlockFate | undefined, nextPruneMicros: number | undefined): Static<typeof Fate> {
  if (fate === undefined) return null
  if (fate.kind === 'held') {
    return { heldBy: fate.by, limit: fate.limit ?? null, until: fate.untilMicros ?? null, old: fate.isOld }
  }
  // Without a next prune nothing goes.
  return nextPruneMicros === undefined ? null : { goesAt: nextPruneMicros, by: fate.by }
}
