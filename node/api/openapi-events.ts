import { Type } from '@sinclair/typebox'
import { APP, inUrl, reference, refusals, items, type Part } from './openapi-parts.js'
import { CLOSED, exactly, integer } from './reply-schemas.js'

const Offsets = Type.Record(Type.String(), Type.Integer({ minimum: -1 }), { description: 'Stream id to offset' })

const Order = Type.Union([Type.Literal('asc'), Type.Literal('desc'), Type.Literal('stream-asc')])

const Text = Type.String({ description: 'AQL' })

const QueryBody = Type.Object({
  query: Text,
  order: Order,
  lowerBound: Type.Optional(Type.Union([Offsets, Type.Null()], { description: 'Exclusive' })),
  upperBound: Type.Optional(Type.Union([Offsets, Type.Null()], { description: 'Inclusive; by default the present' })),
})

const SubscribeBody = Type.Object({
  query: Text,
  lowerBound: Type.Optional(Type.Union([Offsets, Type.Null()], { description: 'Exclusive' })),
})

const MonotonicBody = Type.Object({ query: Text, session: Type.String(), lowerBound: Offsets })

const EventKey = exactly({ lamport: integer(''), stream: Type.String(), offset: integer('') }, 'Key of an event')

/** One line of an answer. */
export const AnswerLine = Type.Union(
  [
    Type.Object(
      {
        type: Type.Union([Type.Literal('event'), Type.Literal('antiEvent')]),
        lamport: integer('Lamport time'),
        stream: Type.String({ description: 'Stream id' }),
        offset: integer('Position in the stream'),
        timestamp: integer('Microseconds since 1970'),
        tags: Type.Array(Type.String()),
        appId: Type.String(),
        payload: Type.Unknown(),
      },
      { description: 'An event, or the withdrawal of one' },
    ),
    Type.Object({ type: Type.Literal('offsets'), offsets: Offsets }, { description: 'Up to here all is answered' }),
    Type.Object({
      type: Type.Literal('diagnostic'),
      severity: Type.Union([Type.Literal('warning'), Type.Literal('error')]),
      message: Type.String(),
    }),
    Type.Object({ type: Type.Literal('timeTravel'), newStart: EventKey }),
  ],
  { description: 'One line of an answer' },
)

/** CloudEvents 1.0 in their JSON form, as answers have them. */
export const CloudEvent = Type.Object(
  {
    specversion: Type.Literal('1.0'),
    id: Type.String({ description: 'The offset of a stored event' }),
    source: Type.String({ description: '`millrace:<stream id>`, its slashes as %2F; distinct with the id' }),
    type: Type.String({ description: '`<app id>.event`; `millrace.…` for what is no stored event' }),
    time: Type.Optional(Type.String({ description: 'RFC 3339 with microseconds' })),
    subject: Type.Optional(Type.String({ description: 'The first tag' })),
    datacontenttype: Type.Literal('application/json'),
    data: Type.Unknown({ description: 'The payload' }),
    tags: Type.Optional(Type.String({ description: 'All tags as the text of a JSON array' })),
    appid: Type.Optional(Type.String({ description: 'App that published it' })),
    lamport: Type.Optional(Type.String({ description: 'Lamport time in decimals' })),
    fromkey: Type.Optional(Type.String({ description: 'Of an aggregate: `<lamport>/<stream>/<offset>`' })),
    tokey: Type.Optional(Type.String({ description: 'Likewise' })),
    fromtime: Type.Optional(Type.String({ description: 'Of an aggregate' })),
    totime: Type.Optional(Type.String({ description: 'Of an aggregate' })),
    caughtup: Type.Optional(Type.Boolean({ description: 'Of a monotonic subscription' })),
  },
  { ...CLOSED, description: 'A line of an answer as CloudEvent' },
)

const LAST_EVENT_ID: Part = {
  name: 'Last-Event-ID',
  in: 'header',
  description: 'Of an event stream: the id of the last event that was taken; it goes on from there',
  schema: { type: 'string' },
}

const QUERY_PARAMETER = inUrl('query', 'AQL', true)
const LOWER_BOUND = inUrl('lowerBound', 'Offsets as JSON; exclusive')
const FORMAT = inUrl('format', '`cloudevents` has CloudEvents as lines and as data of event streams')
const LAST_ID_IN_URL = inUrl('lastEventId', 'As the header Last-Event-ID, which goes first')

/** The streams of events as event streams and for those who can only GET. */
export function eventPaths(): Part {
  return {
    '/api/millrace/v1/events/query': answers(
      'query',
      'All events that match, then the offsets',
      QueryBody,
      [inUrl('order', 'asc (by default), desc or stream-asc'), inUrl('upperBound', 'Offsets as JSON; inclusive')],
      [{ 'application/cloudevents-batch+json': { schema: Type.Array(CloudEvent) } }],
    ),
    '/api/millrace/v1/events/ingest': {
      post: {
        operationId: 'ingest',
        summary: 'Stores events line by line as they come in, and says of each group of lines what became of it',
        security: APP,
        requestBody: { required: true, content: { 'application/x-ndjson': items('NewEventLine') } },
        responses: {
          200: {
            description: 'One line for each group and each refused line',
            content: { 'application/x-ndjson': items('IngestLine') },
          },
          408: reference('Error'),
          415: reference('Error'),
          503: reference('Error'),
          ...refusals(),
        },
      },
    },
    '/api/millrace/v1/events/subscribe': answers(
      'subscribe',
      'What matches, the offsets, then live events',
      SubscribeBody,
    ),
    '/api/millrace/v1/events/subscribe_monotonic': answers(
      'subscribeMonotonic',
      'As subscribe, in order; ends where that is not possible',
      MonotonicBody,
      [inUrl('session', 'Without effect')],
    ),
  }
}

function answers(
  name: string,
  summary: string,
  body: object,
  parameters: readonly Part[] = [],
  documents: readonly Part[] = [],
): Part {
  const responses = {
    200: {
      description: summary,
      content: Object.assign(
        {
          'application/x-ndjson': items('AnswerLine'),
          'text/event-stream': { schema: { type: 'string', description: 'The data of each event is an AnswerLine' } },
          'application/cloudevents+json': items('CloudEvent'),
        },
        ...documents,
      ) as Part,
    },
    204: { description: 'The id is that of an answer that has ended: do not come back' },
    400: reference('Error'),
    406: reference('Error'),
    418: reference('Error'),
    ...refusals(),
  }
  return {
    get: {
      operationId: `${name}ByUrl`,
      summary,
      security: APP,
      parameters: [QUERY_PARAMETER, LOWER_BOUND, ...parameters, FORMAT, LAST_ID_IN_URL, LAST_EVENT_ID],
      responses,
    },
    post: {
      operationId: name,
      summary,
      security: APP,
      parameters: [FORMAT, LAST_EVENT_ID],
      requestBody: { required: true, content: { 'application/json': { schema: body } } },
      responses,
    },
  }
}
