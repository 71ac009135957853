import { Type, type Static } from '@sinclair/typebox'
import { LIMITS, type Cuts, type Retention, type StreamStatus } from '../../storage/index.js'
import type { TopicReport } from '../node-reports.js'
import type { ExplainedRoute, RouteQuestion } from './explained-route.js'
import { exactly, integer, oneOf, orNull } from './reply-schemas.js'

/** What our own resources take and give, written down once: for the compiler, for OpenAPI and for the tests. */

const RetentionReply = exactly(
  {
    maxEvents: orNull('Events; null is no limit'),
    maxStoredBytes: orNull('Stored bytes; null is no limit'),
    maxAgeMicros: orNull('Microseconds; null is no limit'),
    maxBlockAgeMicros: orNull('Microseconds after which an unfilled block is sealed; null is never'),
  },
  'Limits of an ephemeral stream; the tightest decides',
)

const PruneReply = exactly(
  {
    blocks: integer('Blocks that would go'),
    events: integer('Events in them'),
    storedBytes: integer('Their stored bytes'),
    heldBackBy: oneOf(
      ['no-limit', 'unsealed', 'within-limits', 'clock-jump', 'owner', 'damage', 'read-only'],
      'What keeps the oldest remaining block',
    ),
  },
  'What a prune at this moment would drop',
)

const Cut = Type.Union(
  [
    exactly(
      {
        offset: integer('First offset within the limit; in a block whose ends alone are known it is an estimate'),
        time: Type.Integer({ description: 'Microseconds since 1970; the same, except for maxAge' }),
      },
      'What lies before it is beyond the limit',
    ),
    Type.Null(),
  ],
  { description: 'null: no such limit, or everything is within' },
)

/** Where the limits of a stream cut it. */
export const CUT_PROPERTIES = {
  nextPruneAt: orNull(
    'Microseconds since 1970: when blocks go next, at the latest; null while the store takes no writes',
  ),
  decidedBy: Type.Union([oneOf(LIMITS, 'The limit that cuts nearest to now'), Type.Null()]),
  cuts: exactly({ maxEvents: Cut, maxSize: Cut, maxAge: Cut }, 'Where each limit cuts at this moment'),
}

const StreamReply = exactly(
  {
    stream: Type.String({ description: 'Stream id' }),
    name: Type.Union([Type.String(), Type.Null()], { description: 'Name, where it is known' }),
    number: integer('Number among the streams of its node'),
    own: Type.Boolean({ description: 'Whether this node writes it' }),
    events: integer('Events that can be read'),
    firstOffset: integer('Oldest offset that can be read; nextOffset when there is none'),
    nextOffset: integer('Offset of the next event'),
    blocks: integer('Sealed blocks'),
    tailEvents: integer('Events not yet in a block'),
    storedBytes: integer('Bytes that count for maxSize'),
    oldestTimestamp: orNull('Microseconds since 1970 of the oldest event'),
    newestTimestamp: orNull('Microseconds since 1970 of the newest event'),
    retention: RetentionReply,
    nextPrune: PruneReply,
    ...CUT_PROPERTIES,
  },
  'One stream',
)

export const StreamsReply = exactly({ streams: Type.Array(StreamReply) }, 'All streams of the node')

const TopicReply = exactly(
  {
    name: Type.String({ description: 'The topic' }),
    bytesOnDisk: integer('Bytes of all its files'),
    active: Type.Boolean({ description: 'Whether it is the one that the node works with' }),
  },
  'One topic',
)

export const TopicsReply = exactly({ topics: Type.Array(TopicReply) }, 'All topics that have a store')

export const DeletedTopicReply = exactly(TopicReply.properties, 'The topic as it was')

export const IdentityReply = exactly(
  {
    nodeId: Type.String({ description: 'Node id' }),
    peerId: Type.String({ description: 'The same as libp2p writes it' }),
    epoch: integer('Grows each time the node goes on from an older backup'),
  },
  'Who the node is',
)

export const TokenReply = exactly(
  {
    token: Type.String({ description: 'Goes where tokens of apps go' }),
    appId: Type.String({ description: 'Whom its holder publishes and queries as' }),
    expiresAt: Type.Integer({ description: 'Microseconds since 1970' }),
  },
  'A token for an operator who cannot use the Unix socket, such as one in a browser',
)

const SettingNames = (description: string) => Type.Array(Type.String(), { description })

export const ReloadReply = exactly(
  {
    applied: SettingNames('Settings that differ and hold from now on'),
    waiting: SettingNames('Settings that differ and hold after the next start'),
    warnings: SettingNames('What is odd about the configuration, each with its place'),
  },
  'What reading the configuration again has changed',
)

const Topic = Type.String({ description: 'The topic' })
const StreamOrNone = Type.Union([Type.String(), Type.Null()], { description: 'Stream id; null for the store itself' })

export const CheckLineReply = Type.Union(
  [
    exactly(
      {
        type: Type.Literal('damage'),
        topic: Topic,
        stream: StreamOrNone,
        from: orNull('First offset that it is about; null where no events are'),
        to: orNull('Last offset, inclusive'),
        part: Type.String({ description: 'Kind of stored value' }),
        problem: Type.String({ description: 'What is wrong' }),
        lost: Type.String({ description: 'What is lost by it' }),
        advice: Type.String({ description: 'What to do' }),
      },
      'Something that is not as it was written',
    ),
    exactly(
      { type: Type.Literal('note'), topic: Topic, stream: StreamOrNone, text: Type.String() },
      'Something that costs nobody an event',
    ),
    exactly(
      {
        type: Type.Literal('progress'),
        topic: Topic,
        blocks: integer('Blocks checked'),
        totalBlocks: integer('Blocks in all'),
      },
      'How far it has got',
    ),
    exactly(
      {
        type: Type.Literal('topic'),
        topic: Topic,
        streams: integer('Streams checked'),
        blocks: integer('Blocks checked'),
        events: integer('Events checked'),
        damages: integer('Lines of type damage'),
        notes: integer('Lines of type note'),
      },
      'The last line: all of the topic was looked at',
    ),
  ],
  { description: 'Lines of a check of what is stored' },
)

export const RouteBody = Type.Object(
  {
    tags: Type.Array(Type.String({ minLength: 1 }), { description: 'Tags of the event' }),
    appId: Type.Optional(
      Type.Union([Type.String(), Type.Null()], { description: 'App that publishes it; by default that of the token' }),
    ),
    draft: Type.Optional(
      Type.Union([Type.String(), Type.Null()], {
        description: 'YAML that would stand below eventRouting, for its routes instead of those in force',
      }),
    ),
  },
  { description: 'An event as routes see it' },
)

export const RouteReply = exactly(
  {
    stream: Type.String({ description: 'Name of the stream that the event would go to' }),
    number: orNull('Its number among the streams of the node; null for a draft'),
    route: Type.Union([integer('From 0'), Type.Null()], {
      description: 'Which route decides; null when none matches and the stream is `default`',
    }),
    tags: Type.Array(Type.String(), { description: 'The tags as they would be stored' }),
    appId: Type.String(),
    routes: Type.Array(
      exactly(
        {
          from: Type.String({ description: 'Tag expression' }),
          into: Type.String({ description: 'Name of the stream' }),
          matches: Type.Boolean({ description: 'Whether it matches; the first that does decides' }),
          atoms: Type.Array(
            exactly(
              {
                atom: Type.String({ description: "A tag as 'tag', or appId(…)" }),
                holds: Type.Boolean({ description: 'Whether the event has it' }),
              },
              'A part of the expression',
            ),
            { description: 'What the expression looks at, each once' },
          ),
        },
        'One route',
      ),
      { description: 'All routes in force, in the order in which they are tried' },
    ),
    retention: Type.Union([RetentionReply, Type.Null()], {
      description: 'Limits of the stream; null when there are none',
    }),
  },
  'Where an event would go, and why',
)

export const HealthReply = exactly({ status: Type.Literal('ok') }, 'The process answers')

export const ReadyReply = exactly(
  {
    ready: Type.Boolean({ description: 'Whether the node does all its work' }),
    reasons: Type.Array(Type.String(), { description: 'Why not, in sentences for operators' }),
  },
  'Whether the node is ready',
)

export const ErrorBody = exactly(
  {
    code: Type.String({ description: 'What programs branch on; see the list of errors' }),
    message: Type.String({ description: 'What people read' }),
  },
  'Every error of the API',
)

const Offsets = Type.Record(Type.String(), Type.Integer({ minimum: -1 }), { description: 'Stream id to offset' })

const Order = Type.Union([Type.Literal('asc'), Type.Literal('desc'), Type.Literal('stream-asc')])

export const ExplainBody = Type.Object(
  {
    query: Type.String({ description: 'AQL' }),
    order: Type.Optional(Type.Union([Order, Type.Null()])),
    lowerBound: Type.Optional(Type.Union([Offsets, Type.Null()])),
    upperBound: Type.Optional(Type.Union([Offsets, Type.Null()])),
  },
  { description: 'A query as for /api/v2/events/query; all but the text may be missing' },
)

const Ends = Type.Object(
  { from: Type.Optional(Type.String()), to: Type.Optional(Type.String()) },
  { description: 'from is inclusive, to exclusive; absent is unbounded' },
)

const ExplainedBranch = Type.Object(
  {
    tags: Type.Array(Type.String(), { description: 'All of these tags' }),
    appId: Type.Optional(Type.String()),
    local: Type.Optional(Type.Literal(true, { description: 'Events of this node only' })),
    time: Type.Optional(Ends),
    key: Type.Optional(Ends),
  },
  { description: 'One way to match' },
)

const PlannedReads = exactly(
  {
    streams: integer('Streams that would be read'),
    blocks: integer('Blocks that would be read'),
    blocksSkipped: integer('Blocks within the bounds that cannot match'),
    tailEvents: integer('Events not yet in blocks that would be looked at'),
  },
  'What the store would read, found out from the index alone',
)

export const ExplainReply = Type.Object(
  {
    query: Type.String({ description: 'The text as the parser understood it' }),
    features: Type.Array(Type.String(), { description: 'Features that the query uses' }),
    source: Type.Union([Type.Literal('events'), Type.Literal('array'), Type.Literal('pragma')]),
    order: Order,
    stopsEarly: Type.Boolean({ description: 'Whether it may end before the last event' }),
    passThrough: Type.Boolean({ description: 'Whether events are copied to the answer as they are' }),
    branches: Type.Union([Type.Array(ExplainedBranch), Type.Null()], {
      description: 'Ways to match; null when they are known only when the query runs',
    }),
    operations: integer('Operations after the source'),
    reads: Type.Union([PlannedReads, Type.Null()], {
      description: 'null when no events are read, or it cannot be told',
    }),
  },
  { description: 'What the query would do, found out without running it' },
)

/** A query that does not parse, with the place of the fault. */
export const QueryErrorBody = exactly(
  {
    code: Type.String(),
    message: Type.String({ description: 'With a drawing of the line' }),
    line: Type.Optional(integer('From 1', 1)),
    column: Type.Optional(integer('From 1, in characters', 1)),
    offset: Type.Optional(integer('UTF-16 units from the beginning of the text')),
    reason: Type.Optional(Type.String({ description: 'What would be right, or what is wrong' })),
  },
  'An error of the request; the place is there when the text of the query is at fault',
)

type StreamReplyBody = Static<typeof StreamReply>

/** `{"streams":[…]}`; what is unlimited or unknown is `null`. */
export function renderStreams(streams: readonly StreamStatus[]): string {
  const reply: Static<typeof StreamsReply> = { streams: streams.map(toStreamReply) }
  return JSON.stringify(reply)
}

export function renderTopics(topics: readonly TopicReport[]): string {
  const reply: Static<typeof TopicsReply> = { topics: [...topics] }
  return JSON.stringify(reply)
}

export function renderRoute({ tags, appId, ...explained }: RouteQuestion & ExplainedRoute): string {
  const { into, streamNumber, route, routes, retention } = explained
  const reply: Static<typeof RouteReply> = {
    stream: into,
    number: streamNumber ?? null,
    route: route ?? null,
    tags: [...tags],
    appId,
    routes: routes.map(({ atoms, ...candidate }) => ({ ...candidate, atoms: [...atoms] })),
    retention: retention === undefined ? null : toRetentionReply(retention),
  }
  return JSON.stringify(reply)
}

function toStreamReply({ nextPruneMicros, decidingLimit, cuts, ...status }: StreamStatus): StreamReplyBody {
  return {
    ...status,
    name: status.name ?? null,
    oldestTimestamp: status.oldestTimestamp ?? null,
    newestTimestamp: status.newestTimestamp ?? null,
    retention: toRetentionReply(status.retention),
    ...toCutsReply({ nextPruneMicros, decidingLimit, cuts }),
  }
}

export function toCutsReply({
  nextPruneMicros,
  decidingLimit,
  cuts,
}: Pick<StreamStatus, 'nextPruneMicros' | 'decidingLimit' | 'cuts'>) {
  return {
    nextPruneAt: nextPruneMicros ?? null,
    decidedBy: decidingLimit ?? null,
    cuts: { maxEvents: toCut(cuts.maxEvents), maxSize: toCut(cuts.maxSize), maxAge: toCut(cuts.maxAge) },
  }
}

function toCut(cut: Cuts['maxAge']): Static<typeof Cut> {
  return cut === undefined ? null : { offset: cut.offset, time: cut.timestamp }
}

function toRetentionReply(retention: Retention): Static<typeof RetentionReply> {
  return {
    maxEvents: finite(retention.maxEvents),
    maxStoredBytes: finite(retention.maxStoredBytes),
    maxAgeMicros: finite(retention.maxAgeMicros),
    maxBlockAgeMicros: finite(retention.maxBlockAgeMicros),
  }
}

function finite(limit: number): number | null {
  return Number.isFinite(limit) ? limit : null
}
