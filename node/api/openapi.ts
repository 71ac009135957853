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
  TopicsReply,
} from './additions.js'
import { LogReply } from './log-routes.js'
import { QueriesReply, RunningQuery } from './query-routes.js'
import { IngestLine, NewEventLine } from './ingest-lines.js'
import { AnswerLine, CloudEvent, eventPaths } from './openapi-events.js'
import { inUrl, json, lines, LOCAL, OPERATOR, OWNER, reference, refusals, type Part } from './openapi-parts.js'
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
        Error: ErrorBody,
        Explanation: ExplainReply,
        Peers: PeersReply,
        Route: RouteReply,
        Streams: StreamsReply,
      },
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer' },
        tokenInUrl: { type: 'apiKey', in: 'query', name: 'access_token' },
      },
    },
    paths: { ...paths(), ...eventPaths() },
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
        requestBody: { required: true, content: { 'application/json': { schema: ExplainBody } } },
        responses: { 200: reference('Explanation'), 400: json(QueryErrorBody), 418: reference('Error'), ...refusals() },
      },
    },
    '/api/millrace/v1/route': {
      post: {
        operationId: 'route',
        summary: 'Which stream an event would go to, and why',
        security: LOCAL,
        requestBody: { required: true, content: { 'application/json': { schema: RouteBody } } },
        responses: { 200: reference('Route'), 400: reference('Error'), ...refusals() },
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
