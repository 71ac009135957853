import { AlarmsReply } from './alarms-reply.js'
import { AuditReply } from './audit-routes.js'
import { BlocksReply } from './blocks-reply.js'
import { AppliedReply, ApplyBody, ConfigReply, DraftBody, DraftReply, RoutingReply } from './config-routes.js'
import { TagsReply } from './stream-routes.js'
import { SwarmReply } from './swarm-reply.js'
import {
  CheckLineReply,
  DeletedTopicReply,
  ErrorBody,
  ExplainBody,
  ExplainReply,
  HealthReply,
  IdentityReply,
  QueryErrorBody,
  ReadyReply,
  ReloadReply,
  RouteBody,
  RouteReply,
  StreamsReply,
  TokenReply,
  TopicsReply,
} from './additions.js'
import { LogReply } from './log-routes.js'
import { QueriesReply, RunningQuery } from './query-routes.js'
import { IngestLine, NewEventLine } from './ingest-lines.js'
import { AnswerLine, CloudEvent, eventPaths } from './openapi-events.js'
import {
  bodyOf,
  inUrl,
  INSIDER,
  json,
  lines,
  LOCAL,
  MANAGER,
  OPERATOR,
  OWNER,
  reference,
  refusals,
  type Part,
} from './openapi-parts.js'
import { STATE_SCHEMAS, statePaths } from './openapi-state.js'
import { PeersReply } from './peers-reply.js'

/** The OpenAPI 3.1 description of everything that the Actyx API does not have, from the schemas that the code uses. */
export function openApiDocument(version: string): Part {
  return {
    openapi: '3.1.0',
    info: {
      title: 'millrace: additions to the app API',
      version,
      description: 'Resources beside the Actyx API v2 (/api/v2), which docs/api.md describes.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    components: {
      schemas: {
        AnswerLine,
        CloudEvent,
        IngestLine,
        NewEventLine,
        Alarms: AlarmsReply,
        Blocks: BlocksReply,
        Config: ConfigReply,
        DraftReport: DraftReply,
        ...STATE_SCHEMAS,
        Error: ErrorBody,
        Explanation: ExplainReply,
        Peers: PeersReply,
        Route: RouteReply,
        Streams: StreamsReply,
        Swarm: SwarmReply,
      },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        tokenInUrl: { type: 'apiKey', in: 'query', name: 'access_token' },
      },
    },
    paths: { ...paths(), ...consolePaths(), ...eventPaths(), ...statePaths() },
  }
}

function paths(): Part {
  return {
    '/health': {
      get: {
        operationId: 'health',
        summary: 'The process answers',
        security: [{}],
        responses: { 200: json(HealthReply) },
      },
    },
    '/ready': {
      get: {
        operationId: 'ready',
        summary: 'Whether the node does all its work, and why not',
        security: LOCAL,
        responses: { 200: json(ReadyReply), 503: json(ReadyReply), ...refusals() },
      },
    },
    '/metrics': {
      get: {
        operationId: 'metrics',
        summary: 'Figures for Prometheus',
        security: LOCAL,
        responses: {
          200: { description: 'Text format 0.0.4', content: { 'text/plain': { schema: { type: 'string' } } } },
          ...refusals(),
        },
      },
    },
    '/api/millrace/v1/streams': {
      get: {
        operationId: 'streams',
        summary: 'All streams: size, limits, and what the next prune would drop',
        security: LOCAL,
        responses: { 200: reference('Streams'), ...refusals() },
      },
    },
    '/api/millrace/v1/peers': {
      get: {
        operationId: 'peers',
        summary: 'The swarm: peers, what they lack, alarms',
        security: LOCAL,
        responses: { 200: reference('Peers'), ...refusals() },
      },
    },
    '/api/millrace/v1/topics': {
      get: {
        operationId: 'topics',
        summary: 'All topics that have a store, and what they take',
        security: LOCAL,
        responses: { 200: json(TopicsReply), ...refusals() },
      },
    },
    '/api/millrace/v1/topics/{name}': {
      delete: {
        operationId: 'deleteTopic',
        summary: 'Deletes all events of a topic that is not in use; for operators',
        security: OPERATOR,
        parameters: [
          {
            name: 'name',
            in: 'path',
            required: true,
            description: 'The topic, percent-encoded, slashes too',
            schema: { type: 'string' },
          },
        ],
        responses: {
          200: json(DeletedTopicReply),
          404: reference('Error'),
          409: reference('Error'),
          ...refusals(),
        },
      },
    },
    '/api/millrace/v1/identity': {
      get: {
        operationId: 'identity',
        summary: 'Who the node is',
        security: LOCAL,
        responses: { 200: json(IdentityReply), ...refusals() },
      },
    },
    '/api/millrace/v1/identity/epoch': {
      post: {
        operationId: 'beginEpoch',
        summary: 'Has events go into new streams from now on, after a restored backup; for operators',
        security: OPERATOR,
        responses: { 200: json(IdentityReply), 503: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/backup': {
      post: {
        operationId: 'backup',
        summary: 'Everything that the node has on disk as it is at one moment; for operators',
        security: OPERATOR,
        parameters: [
          {
            name: 'identity',
            in: 'query',
            required: false,
            description: 'Whether the keys of the node are in it',
            schema: { type: 'boolean', default: true },
          },
        ],
        responses: {
          200: {
            description: 'An archive; its last file is manifest.json, without which it is not whole',
            content: { 'application/x-tar': { schema: { contentMediaType: 'application/x-tar' } } },
          },
          409: reference('Error'),
          503: reference('Error'),
          ...refusals(),
        },
      },
    },
    '/api/millrace/v1/reload': {
      post: {
        operationId: 'reload',
        summary: 'Has the node read its configuration again; for operators',
        security: OPERATOR,
        responses: { 200: json(ReloadReply), 404: reference('Error'), 422: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/verify': {
      post: {
        operationId: 'verify',
        summary: 'Checks everything that is stored of the active topic, beside all other work; for operators',
        security: OPERATOR,
        responses: { 200: lines(CheckLineReply), ...refusals() },
      },
    },
    '/api/millrace/v1/queries': {
      get: {
        operationId: 'queries',
        summary: 'Queries and subscriptions under way: the own ones, over the Unix socket all',
        security: OWNER,
        responses: { 200: json(QueriesReply), ...refusals() },
      },
    },
    '/api/millrace/v1/queries/{name}': {
      delete: {
        operationId: 'endQuery',
        summary: 'Ends a query or subscription; its reader is told so in the last line',
        security: OWNER,
        parameters: [{ name: 'name', in: 'path', required: true, description: 'Its id', schema: { type: 'string' } }],
        responses: { 200: json(RunningQuery), 404: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/audit': {
      get: {
        operationId: 'audit',
        summary: 'Records of the audit, where its sink is the stream of the node; for operators',
        security: MANAGER,
        parameters: [
          inUrl('after', 'Only records with greater offsets'),
          inUrl('limit', 'At most so many; 100 by default, 1000 at most'),
        ],
        responses: { 200: json(AuditReply), 400: reference('Error'), 404: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/log': {
      get: {
        operationId: 'log',
        summary: 'The last lines of the log',
        security: LOCAL,
        parameters: [
          inUrl('level', 'debug (by default), info, warn or error: this one and those above'),
          inUrl('after', 'Only lines with greater numbers'),
          inUrl('limit', 'At most so many, the newest; 200 by default, 1000 at most'),
        ],
        responses: { 200: json(LogReply), 400: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/explain': {
      post: {
        operationId: 'explain',
        summary: 'What a query would do',
        security: LOCAL,
        requestBody: bodyOf(ExplainBody),
        responses: { 200: reference('Explanation'), 400: json(QueryErrorBody), 418: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/route': {
      post: {
        operationId: 'route',
        summary: 'Which stream an event would go to, and why',
        security: LOCAL,
        requestBody: bodyOf(RouteBody),
        responses: { 200: reference('Route'), 400: reference('Error'), 422: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/openapi.json': {
      get: {
        operationId: 'openapi',
        summary: 'This document',
        security: LOCAL,
        responses: { 200: json({ type: 'object' }), ...refusals() },
      },
    },
  }
}

/** What a person sees of the node, and how it is set up. */
function consolePaths(): Part {
  return {
    '/api/millrace/v1/swarm': {
      get: {
        operationId: 'swarm',
        summary: 'Who is in the swarm, and who has what of whom',
        security: LOCAL,
        responses: { 200: reference('Swarm'), ...refusals() },
      },
    },
    '/api/millrace/v1/alarms': {
      get: {
        operationId: 'alarms',
        summary: 'Everything that somebody has to look after, since when, and what to do',
        security: LOCAL,
        responses: { 200: reference('Alarms'), ...refusals() },
      },
    },
    '/api/millrace/v1/streams/{stream}/blocks': {
      get: {
        operationId: 'blocks',
        summary: 'Blocks of a stream: which go at the next prune, and what holds the others',
        security: LOCAL,
        parameters: [
          {
            name: 'stream',
            in: 'path',
            required: true,
            description: 'Stream id, percent-encoded, slashes too',
            schema: { type: 'string' },
          },
          inUrl('from', 'asc: from the block with this offset on; desc: from the one before this offset back'),
          inUrl('limit', 'At most so many; 100 by default, 1000 at most'),
          inUrl('order', 'asc (by default), or desc: the newest first'),
        ],
        responses: { 200: reference('Blocks'), 400: reference('Error'), 404: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/tags': {
      get: {
        operationId: 'tags',
        summary: 'Tags of stored events, from a bounded look at the index',
        security: LOCAL,
        parameters: [
          inUrl('prefix', 'What they begin with'),
          inUrl('limit', 'At most so many; 100 by default, 1000 at most'),
        ],
        responses: { 200: json(TagsReply), 400: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/token': {
      post: {
        operationId: 'operatorToken',
        summary: "An operator's token, for a browser; for operators",
        security: OPERATOR,
        responses: { 200: json(TokenReply), ...refusals() },
      },
    },
    '/api/millrace/v1/config': {
      get: {
        operationId: 'config',
        summary: 'All settings, and where each comes from; no secrets',
        security: INSIDER,
        responses: { 200: reference('Config'), 404: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/config/check': {
      post: {
        operationId: 'checkDraft',
        summary: 'What is wrong with a draft of routes and limits, or what it would change',
        security: INSIDER,
        requestBody: bodyOf(DraftBody),
        responses: {
          200: reference('DraftReport'),
          400: reference('Error'),
          404: reference('Error'),
          409: reference('Error'),
          422: reference('Error'),
          ...refusals(),
        },
      },
    },
    '/api/millrace/v1/config/eventRouting': {
      get: {
        operationId: 'routing',
        summary: 'Routes and limits as they stand in the file',
        security: INSIDER,
        responses: { 200: json(RoutingReply), 404: reference('Error'), 422: reference('Error'), ...refusals() },
      },
      put: {
        operationId: 'applyRouting',
        summary:
          'Writes routes and limits into the file, where all else stays as it is, and applies them; for operators',
        security: MANAGER,
        requestBody: bodyOf(ApplyBody),
        responses: {
          200: json(AppliedReply),
          400: reference('Error'),
          404: reference('Error'),
          409: reference('Error'),
          422: reference('Error'),
          ...refusals(),
        },
      },
    },
  }
}
