import { Type } from '@sinclair/typebox'
import { ErrorBody } from './additions.js'
import { AbandonReply, ClaimReply, DoneReply } from './dedup-routes.js'
import { RefundReply, TakeReply } from './limit-routes.js'
import { GrantReply, LocksReply, ReleaseReply } from './lock-routes.js'
import { APP, inUrl, items, json, OPERATOR, OWNER, reference, refusals, type Part } from './openapi-parts.js'
import { exactly, integer } from './reply-schemas.js'
import {
  ConditionalPublishReply,
  StateDeleted,
  StateEntry,
  StateInfoReply,
  StatePage,
  StateTxnReply,
  StateWritten,
} from './state-replies.js'
import { StateCheckReply, StateExportLine, StateImportReply } from './state-transfer.js'

const Decimals = Type.Union([Type.String({ pattern: '^-?[0-9]+$' }), Type.Integer()])

const Ttl = Type.Union([Type.Object({ ttlMs: Type.Integer({ minimum: 1 }) }), Type.Literal('keep'), Type.Null()], {
  description: 'By default no end; `keep` leaves what is there',
})

const Condition = Type.Union([
  exactly(
    {
      key: Type.String(),
      version: Type.Optional(Decimals),
      value: Type.Optional(Type.Unknown()),
      exists: Type.Optional(Type.Boolean()),
    },
    'About an entry; version 0 is absent',
  ),
  exactly(
    { stream: Type.String(), offset: Type.Integer({ minimum: -1 }) },
    'Newest offset that an own stream, by name or id, has ever used; -1 for none',
  ),
  exactly({ lock: Type.String(), fence: Decimals }, 'That this grant of a lock is there'),
])

const Operation = exactly(
  {
    op: Type.Union(['get', 'set', 'delete', 'increment'].map((op) => Type.Literal(op))),
    key: Type.String(),
    value: Type.Optional(Type.Unknown({ description: 'Of set' })),
    ttl: Type.Optional(Ttl),
    delta: Type.Optional(Decimals),
    min: Type.Optional(Decimals),
    max: Type.Optional(Decimals),
  },
  'What is done to an entry',
)

const ConditionalEvent = {
  tags: Type.Array(Type.String()),
  payload: Type.Unknown(),
  expectedOffset: Type.Optional(Type.Integer({ minimum: -1, description: 'Newest offset of its stream before' })),
}

const TxnBody = exactly(
  {
    if: Type.Optional(Type.Array(Condition)),
    then: Type.Optional(Type.Array(Operation)),
    else: Type.Optional(Type.Array(Operation)),
    append: Type.Optional(
      Type.Array(exactly({ ...ConditionalEvent, idempotencyKey: Type.Optional(Type.String()) }, 'With `then`')),
    ),
    requestId: Type.Optional(Type.String({ description: 'A second request with it gets the first answer' })),
    fencedBy: Type.Optional(
      exactly({ lock: Type.String(), fence: Decimals }, 'Refused when this grant of a lock has ended'),
    ),
  },
  'Done at once or not at all',
)

const PublishBody = Type.Object({ data: Type.Array(exactly(ConditionalEvent, 'An event')) })

const Conflict = exactly(
  { ...ErrorBody.properties, current: Type.Union([StateEntry, Type.Null()]) },
  'The condition of the headers does not hold',
)

const OffsetConflict = Type.Object(
  {
    ...ErrorBody.properties,
    stream: Type.Optional(Type.String()),
    expected: Type.Optional(Type.Integer()),
    actual: Type.Optional(integer('Newest offset of the stream', -1)),
  },
  { description: 'The stream has gone on, or a counter would leave its bounds' },
)

const Compacted = exactly({ ...ErrorBody.properties, oldest: Type.String() }, 'Too long ago')

const WatchLine = Type.Union(
  [
    exactly({ type: Type.Literal('watching'), revision: Type.String() }, 'The first line: changes after it follow'),
    exactly(
      {
        type: Type.Literal('changes'),
        revision: Type.String(),
        changes: Type.Array(
          Type.Union([
            exactly({ key: Type.String(), value: Type.Unknown() }, 'Written'),
            exactly(
              {
                key: Type.String(),
                deleted: Type.Literal(true),
                expired: Type.Optional(Type.Literal(true, { description: 'Its time was over' })),
              },
              'Gone',
            ),
          ]),
        ),
      },
      'What one commit has changed',
    ),
    exactly(
      { type: Type.Literal('diagnostic'), severity: Type.Literal('error'), message: Type.String() },
      'Why the answer ends',
    ),
  ],
  { description: 'A line of a watch' },
)

const Ms = (minimum: number, description: string) => Type.Number({ minimum, description })
const RequestId = Type.String({ description: 'A second request with it takes the place of the first one' })

const AcquireBody = exactly(
  {
    ttlMs: Ms(100, 'Milliseconds of the lease'),
    waitMs: Type.Optional(Ms(0, 'Milliseconds to wait; by default none')),
    mode: Type.Optional(Type.Union([Type.Literal('read'), Type.Literal('write')])),
    owner: Type.Optional(Type.String({ description: 'For people; by default the app' })),
    bound: Type.Optional(
      Type.Union([Type.Literal('lease'), Type.Literal('connection')], {
        description: 'With `connection` the answer stays open, and its end is that of the grant too',
      }),
    ),
    requestId: Type.Optional(RequestId),
  },
  'Which lease',
)

const Fence = { fence: Decimals }

const ClaimBody = exactly(
  {
    key: Type.String({ description: 'Of what is to be done once; without a namespace that of the app' }),
    windowMs: Type.Optional(Ms(1, 'How long its result is remembered; by default a day')),
    staleMs: Type.Optional(Ms(1, 'How long it may take; by default a minute')),
    requestId: Type.Optional(Type.String({ description: 'A second request with it gets the same claim' })),
  },
  'What is to be done',
)

const Token = { token: Type.String({ description: 'As `claim` has answered' }) }

const DoneBody = exactly(
  { ...Token, result: Type.Optional(Type.Unknown({ description: 'Any JSON; by default null' })) },
  'What became of it',
)

const Count = Type.Integer({ minimum: 0 })

const TakeBody = exactly(
  {
    limits: Type.Array(
      exactly(
        {
          name: Type.String({ description: 'Without a namespace that of the app' }),
          n: Type.Optional(Count),
          max: Count,
          windowMs: Ms(1, 'Length of the window'),
          align: Type.Optional(
            Type.Union([Type.Literal('epoch'), Type.Literal('sliding')], { description: 'By default `sliding`' }),
          ),
        },
        'How much of which limit; `n` is 1 by default, and at most `max`',
      ),
      { minItems: 1, maxItems: 64 },
    ),
    requestId: Type.Optional(Type.String({ description: 'A second request with it gets the first answer' })),
  },
  'What is wanted',
)

const TakeToken = { token: Type.String({ description: 'As `take` has answered' }) }

const GrantLine = Type.Union(
  [
    exactly({ type: Type.Literal('granted'), ...GrantReply.properties }, 'The first line'),
    exactly({ type: Type.Literal('ended') }, 'The grant is no more'),
    exactly(
      { type: Type.Literal('diagnostic'), severity: Type.Literal('error'), message: Type.String() },
      'Why the answer ends',
    ),
  ],
  { description: 'A line about a grant that is bound to its connection' },
)

/** What is referred to by name. */
export const STATE_SCHEMAS = { WatchLine, StateExportLine, GrantLine }

const BODY_REFUSALS = { 400: reference('Error'), 413: reference('Error'), ...refusals() }

function header(name: string, description: string): Part {
  return { name, in: 'header', description, schema: { type: 'string' } }
}

const KEY: Part = {
  name: 'key',
  in: 'path',
  required: true,
  description: 'namespace/kind/id, percent-encoded; without a namespace that of the app',
  schema: { type: 'string' },
}

const CONDITIONS = [
  header('If-Match', 'The version that the entry must have, in quotes; `*` for any'),
  header('If-None-Match', '`*`: only when there is no entry'),
  header('Idempotency-Key', 'A second request with it gets the first answer, for a day'),
  header('Millrace-Fence', 'Name of a lock, `:` and the fence of the grant that must be there'),
]

function body(schema: object): Part {
  return { required: true, content: { 'application/json': { schema } } }
}

/** The strongly consistent state, and publishing that rests on it. */
export function statePaths(): Part {
  return {
    '/api/millrace/v1/state/kv': {
      get: {
        operationId: 'stateScan',
        summary: 'Entries below a prefix, all pages of one moment',
        security: OWNER,
        parameters: [
          inUrl('prefix', 'Of the keys; by default all of the app'),
          inUrl('after', 'Key behind which to begin'),
          inUrl('limit', 'Entries, from 1 to 1000; by default 100'),
          inUrl('atRevision', 'The revision of the first page'),
        ],
        responses: { 200: json(StatePage), 400: reference('Error'), 410: json(Compacted), ...refusals() },
      },
    },
    '/api/millrace/v1/state/kv/{key}': entryPaths(),
    '/api/millrace/v1/state/txn': {
      post: {
        operationId: 'stateTxn',
        summary: 'Conditions, operations and events in one commit',
        security: OWNER,
        requestBody: body(TxnBody),
        responses: { 200: json(StateTxnReply), 409: json(OffsetConflict), 507: reference('Error'), ...BODY_REFUSALS },
      },
    },
    '/api/millrace/v1/state/watch': {
      get: {
        operationId: 'stateWatch',
        summary: 'Changes below a prefix as they are committed',
        security: OWNER,
        parameters: [
          inUrl('prefix', 'Of the keys; by default all of the app'),
          inUrl('from', 'Revision after which to go on; by default from now'),
          header('Last-Event-ID', 'As `from`, for event streams'),
        ],
        responses: {
          200: {
            description: 'Without end',
            content: {
              'application/x-ndjson': items('WatchLine'),
              'text/event-stream': { schema: { type: 'string', description: 'The data of each event is a WatchLine' } },
            },
          },
          400: reference('Error'),
          410: json(Compacted),
          ...refusals(),
        },
      },
    },
    '/api/millrace/v1/state/info': {
      get: {
        operationId: 'stateInfo',
        summary: 'Backend, revision and size of the state',
        security: OWNER,
        responses: { 200: json(StateInfoReply), ...refusals() },
      },
    },
    ...transferPaths(),
    ...lockPaths(),
    ...dedupPaths(),
    ...limitPaths(),
    '/api/millrace/v1/events/publish': {
      post: {
        operationId: 'publishConditionally',
        summary: 'As publish, with expected offsets, and stored once for an idempotency key',
        security: APP,
        parameters: [
          header('Idempotency-Key', 'The events of a second request with it are not stored again, for a day'),
        ],
        requestBody: body(PublishBody),
        responses: { 200: json(ConditionalPublishReply), 409: json(OffsetConflict), ...BODY_REFUSALS },
      },
    },
  }
}

function transferPaths(): Part {
  return {
    '/api/millrace/v1/state/export': {
      get: {
        operationId: 'stateExport',
        summary: 'What another state could take over; for operators',
        security: OPERATOR,
        parameters: [
          inUrl('prefix', 'Of the keys of entries'),
          inUrl('kinds', '`kv` are entries, `dedup` idempotency keys; by default both, separated by commas'),
        ],
        responses: {
          200: {
            description: 'Ends with a line of the type `end`',
            content: { 'application/x-ndjson': items('StateExportLine') },
          },
          400: reference('Error'),
          410: json(Compacted),
          ...refusals(),
        },
      },
    },
    '/api/millrace/v1/state/import': {
      post: {
        operationId: 'stateImport',
        summary: 'Takes over part of an export, its first line included, all of it or nothing; for operators',
        security: OPERATOR,
        parameters: [
          inUrl('overwrite', '`true`: also entries that are there with another value'),
          inUrl('dryRun', '`true`: only says what would be'),
        ],
        requestBody: { required: true, content: { 'application/x-ndjson': items('StateExportLine') } },
        responses: { 200: json(StateImportReply), 507: reference('Error'), ...BODY_REFUSALS },
      },
    },
    '/api/millrace/v1/state/verify': {
      post: {
        operationId: 'stateVerify',
        summary: 'Looks at every record of the state; for operators',
        security: OPERATOR,
        parameters: [inUrl('repair', '`true`: gives up what is damaged, while writes wait')],
        responses: { 200: json(StateCheckReply), 400: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/state/compact': {
      post: {
        operationId: 'stateCompact',
        summary: 'Gives back the room of what is expired or deleted; for operators',
        security: OPERATOR,
        responses: { 200: json(exactly({ compacted: Type.Literal(true) }, 'Done')), ...refusals() },
      },
    },
  }
}

const LOCK: Part = {
  name: 'name',
  in: 'path',
  required: true,
  description: 'Of the lock, percent-encoded; without a namespace that of the app',
  schema: { type: 'string' },
}

/** Something that is asked for by what stands in the body. */
function action(operationId: string, summary: string, given: object, responses: Part, parameters: Part[] = []): Part {
  return {
    post: {
      operationId,
      summary,
      security: OWNER,
      parameters,
      requestBody: body(given),
      responses: { ...responses, ...BODY_REFUSALS },
    },
  }
}

function dedupPaths(): Part {
  const path = '/api/millrace/v1/state/dedup'
  return {
    [`${path}/claim`]: action('stateDedupClaim', 'Whether something is still to be done, and by whom', ClaimBody, {
      200: json(ClaimReply),
      507: reference('Error'),
    }),
    [`${path}/done`]: action('stateDedupDone', 'Remembers that it was done', DoneBody, {
      200: json(DoneReply),
      409: reference('Error'),
      507: reference('Error'),
    }),
    [`${path}/abandon`]: action('stateDedupAbandon', 'Lets somebody else try', exactly(Token, 'Which claim'), {
      200: json(AbandonReply),
    }),
  }
}

function limitPaths(): Part {
  const path = '/api/millrace/v1/state/limits'
  return {
    [`${path}/take`]: action('stateLimitsTake', 'Takes from one or more limits, all or nothing', TakeBody, {
      200: json(TakeReply),
      507: reference('Error'),
    }),
    [`${path}/refund`]: action('stateLimitsRefund', 'Gives back what was taken', exactly(TakeToken, 'Which take'), {
      200: json(RefundReply),
      507: reference('Error'),
    }),
  }
}

function lockPaths(): Part {
  const path = '/api/millrace/v1/state/locks'
  const act = (operationId: string, summary: string, given: object, responses: Part): Part =>
    action(operationId, summary, given, responses, [LOCK])
  return {
    [path]: {
      get: {
        operationId: 'stateLocks',
        summary: 'Who has which locks, and who waits for them',
        security: OWNER,
        parameters: [
          inUrl('prefix', 'Of the names; by default all of the app'),
          inUrl('after', 'Name behind which to begin'),
          inUrl('limit', 'Locks, from 1 to 1000; by default 100'),
        ],
        responses: { 200: json(LocksReply), 400: reference('Error'), ...refusals() },
      },
    },
    [`${path}/{name}`]: {
      get: {
        operationId: 'stateLock',
        summary: 'Who has a lock; no lock when nobody has it or waits for it',
        security: OWNER,
        parameters: [LOCK],
        responses: { 200: json(LocksReply), 400: reference('Error'), ...refusals() },
      },
    },
    [`${path}/{name}/acquire`]: act('stateLockAcquire', 'Gets a lock, or waits for it', AcquireBody, {
      200: {
        description: 'The grant',
        content: { 'application/json': { schema: GrantReply }, 'application/x-ndjson': items('GrantLine') },
      },
      409: reference('Error'),
      507: reference('Error'),
    }),
    [`${path}/{name}/extend`]: act(
      'stateLockExtend',
      'Has a grant last so long from now on',
      exactly({ ...Fence, ttlMs: Ms(100, 'From now on') }, 'Which grant'),
      { 200: json(GrantReply), 409: reference('Error') },
    ),
    [`${path}/{name}/release`]: act('stateLockRelease', 'Gives a lock back', exactly(Fence, 'Which grant'), {
      200: json(ReleaseReply),
    }),
  }
}

function entryPaths(): Part {
  return {
    get: {
      operationId: 'stateGet',
      summary: 'An entry; its version is the entity tag',
      security: OWNER,
      parameters: [KEY],
      responses: { 200: json(StateEntry), 400: reference('Error'), 404: reference('Error'), ...refusals() },
    },
    put: {
      operationId: 'statePut',
      summary: 'Writes an entry; the body is the value',
      security: OWNER,
      parameters: [KEY, ...CONDITIONS, header('Millrace-TTL', 'Milliseconds to live, or `keep`; without it no end')],
      requestBody: body({}),
      responses: {
        200: json(StateWritten),
        201: json(StateWritten),
        409: reference('Error'),
        412: json(Conflict),
        507: reference('Error'),
        ...BODY_REFUSALS,
      },
    },
    delete: {
      operationId: 'stateDelete',
      summary: 'Deletes an entry',
      security: OWNER,
      parameters: [KEY, ...CONDITIONS],
      responses: {
        200: json(StateDeleted),
        400: reference('Error'),
        409: reference('Error'),
        412: json(Conflict),
        ...refusals(),
      },
    },
  }
}
