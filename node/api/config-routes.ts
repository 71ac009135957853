import { Type, type Static } from '@sinclair/typebox'
import { readBody } from './body.js'
import type { ConfigDesk, DraftNote, DraftReport, SettingLine } from './config-desk.js'
import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import { sendJson, type Exchange } from './exchange.js'
import { optional, readBoolean, readObject, readString, required } from './json-fields.js'
import { exactly, integer, textOrNull } from './reply-schemas.js'
import type { Routes } from './routes.js'

const CONFIG = '/api/millrace/v1/config'

/** Characters of a draft; no configuration file may have more. */
const MOST_DRAFT_BYTES = 1024 * 1024

const Source = Type.Union(
  [
    exactly({ kind: Type.Literal('default') }, 'Nobody has set it'),
    exactly(
      { kind: Type.Literal('file'), file: Type.String(), line: integer('Counted from 1', 1) },
      'The configuration file',
    ),
    exactly({ kind: Type.Literal('environment'), variable: Type.String() }, 'A variable of the environment'),
    exactly({ kind: Type.Literal('flag'), flag: Type.String() }, 'A flag of the command line'),
  ],
  { description: 'What decided it' },
)

const Setting = exactly(
  {
    path: Type.String({ description: 'Such as storage.block.maxEvents' }),
    value: Type.Unknown({ description: 'As it was written; null for nothing, and for secrets' }),
    secret: Type.Boolean({ description: 'Whether its value is never shown' }),
    set: Type.Boolean({ description: 'Whether there is a value' }),
    waiting: Type.Boolean({ description: 'Whether it was changed and holds only after the next start' }),
    source: Source,
  },
  'A setting',
)

export const ConfigReply = exactly(
  { settings: Type.Array(Setting, { description: 'In the order of the reference' }) },
  'The settings of the node as they were read last, and where each comes from',
)

export const RoutingReply = exactly(
  {
    file: textOrNull('The configuration file; null when the node was started without one'),
    text: Type.String({ description: 'What stands below eventRouting, with its comments' }),
    version: Type.String({ description: 'Of the whole file; to be given back with a change' }),
    fixed: textOrNull('Why it cannot be changed from here; null when it can'),
    mayApply: Type.Boolean({ description: 'Whether who asks may change it' }),
  },
  'Routes and limits as they stand in the file',
)

export const DraftBody = Type.Object(
  { draft: Type.String({ description: 'YAML that would stand below eventRouting' }) },
  { description: 'A draft of routes and limits' },
)

const Note = exactly(
  {
    source: Type.String({ description: 'draft, or the file or variable that it clashes with' }),
    line: integer('Counted from 1', 1),
    column: integer('Counted from 1, in characters', 1),
    length: integer('Characters that are meant'),
    reason: Type.String({ description: 'What is wrong' }),
    mend: textOrNull('How to mend it'),
    text: Type.String({ description: 'The same with a drawing of the line' }),
  },
  'Something wrong or odd',
)

export const DraftReply = exactly(
  {
    errors: Type.Array(Note),
    warnings: Type.Array(Note),
    changes: Type.Union(
      [
        exactly(
          {
            settings: Type.Array(Type.String(), { description: 'Settings that would differ' }),
            looked: integer('Events that were looked at: the newest of this node, at most 10,000'),
            elsewhere: integer('How many of these would go to another stream'),
            moves: Type.Array(
              exactly(
                { from: Type.String(), into: Type.String(), events: integer('Events', 1) },
                'From stream to stream',
              ),
              { description: 'Most events first' },
            ),
            dropped: integer('Events that would go at once, beyond what goes anyway'),
            drops: Type.Array(
              exactly(
                {
                  stream: Type.String({ description: 'Name of the stream' }),
                  blocks: integer('Blocks', 1),
                  events: integer('Events in them', 1),
                  storedBytes: integer('Their stored bytes'),
                },
                'What would go of a stream',
              ),
            ),
            newStreams: Type.Array(Type.String(), { description: 'Streams that no route leads to by now' }),
          },
          'What the draft would change',
        ),
        Type.Null(),
      ],
      { description: 'null when there are errors' },
    ),
  },
  'What is wrong with a draft, or what it would change',
)

export const ApplyBody = Type.Object(
  {
    draft: Type.String({ description: 'YAML to stand below eventRouting' }),
    version: Type.String({ description: 'Of the file that the draft was made from' }),
    mayDrop: Type.Optional(
      Type.Union([Type.Boolean(), Type.Null()], {
        description: 'Whether events may go by it at once; else it is refused then',
      }),
    ),
  },
  { description: 'Routes and limits' },
)

export const AppliedReply = exactly(
  {
    applied: Type.Array(Type.String(), { description: 'Settings that differ and hold from now on' }),
    waiting: Type.Array(Type.String(), { description: 'Settings that differ and hold after the next start' }),
    warnings: Type.Array(Type.String(), { description: 'What is odd about the configuration, each with its place' }),
    version: Type.String({ description: 'Of the file as it is now' }),
  },
  'What has changed',
)

/** The configuration: as it is, as it could be, and its change. */
export function addConfigRoutes(routes: Routes): Routes {
  return routes
    .at(CONFIG, { GET: { admission: 'insider', produces: 'application/json', run: sendSettings } })
    .at(`${CONFIG}/check`, {
      POST: { admission: 'insider', produces: 'application/json', takesJson: true, run: checkDraft },
    })
    .at(`${CONFIG}/eventRouting`, {
      GET: { admission: 'insider', produces: 'application/json', run: sendRouting },
      PUT: { admission: 'manager', produces: 'application/json', takesJson: true, run: applyRouting },
    })
}

function deskOf({ options }: ApiContext): ConfigDesk {
  if (options.configuration !== undefined) return options.configuration
  throw new ApiError('ERR_NOT_FOUND', 'This node was started without a configuration that could be looked at.')
}

function sendSettings({ response, common }: Exchange, context: ApiContext): void {
  const reply: Static<typeof ConfigReply> = { settings: deskOf(context).settings().map(toSetting) }
  sendJson(response, 200, JSON.stringify(reply), ['cache-control', 'no-store', ...common])
}

function sendRouting({ response, common, isOperator }: Exchange, context: ApiContext): void {
  const { file, text, version, fixed } = deskOf(context).routing()
  const reply: Static<typeof RoutingReply> = {
    file: file ?? null,
    text,
    version,
    fixed: fixed ?? null,
    mayApply: isOperator,
  }
  sendJson(response, 200, JSON.stringify(reply), ['cache-control', 'no-store', ...common])
}

const DRAFT = { draft: required(readString) }

const APPLY = { draft: required(readString), version: required(readString), mayDrop: optional(readBoolean) }

async function checkDraft(exchange: Exchange, context: ApiContext): Promise<void> {
  const body = await readDraft(exchange, context)
  const { draft } = readObject(body, 0, body.length, 'struct DraftRequest', DRAFT)
  const report = await deskOf(context).check(draft)
  sendJson(exchange.response, 200, JSON.stringify(toDraftReply(report)), exchange.common)
}

async function applyRouting(exchange: Exchange, context: ApiContext): Promise<void> {
  const body = await readDraft(exchange, context)
  const { draft, version, mayDrop } = readObject(body, 0, body.length, 'struct RoutingRequest', APPLY)
  const {
    applied,
    waiting,
    warnings,
    version: next,
  } = await deskOf(context).applyRouting(draft, version, mayDrop ?? false)
  const reply: Static<typeof AppliedReply> = {
    applied: [...applied],
    waiting: [...waiting],
    warnings: [...warnings],
    version: next,
  }
  sendJson(exchange.response, 200, JSON.stringify(reply), exchange.common)
}

function readDraft({ request, lease }: Exchange, { options, timers }: ApiContext): Promise<Buffer> {
  const limitBytes = Math.min(MOST_DRAFT_BYTES, options.limits.bodyBytes)
  return readBody(request, { limitBytes, stallMs: timers.bodyStallMs }, lease)
}

function toSetting({ path, value, isSecret, isSet, isWaiting, source }: SettingLine): Static<typeof Setting> {
  return { path, value: isSecret ? null : (value ?? null), secret: isSecret, set: isSet, waiting: isWaiting, source }
}

function toDraftReply({ errors, warnings, changes }: DraftReport): Static<typeof DraftReply> {
  return {
    errors: errors.map(toNote),
    warnings: warnings.map(toNote),
    changes:
      changes === undefined
        ? null
        : {
            settings: [...changes.settings],
            looked: changes.looked,
            elsewhere: sum(changes.moves),
            moves: [...changes.moves],
            dropped: sum(changes.drops),
            drops: changes.drops.map(({ name, ...drop }) => ({ stream: name, ...drop })),
            newStreams: [...changes.newStreams],
          },
  }
}

function toNote({ mend, ...note }: DraftNote): Static<typeof Note> {
  return { ...note, mend: mend ?? null }
}

function sum(parts: readonly { readonly events: number }[]): number {
  return parts.reduce((total, { events }) => total + events, 0)
}
