import { Type, type Static } from '@sinclair/typebox'
import { parseAppId } from '../core/index.js'
import { parseListenAddress, parseOrigin, type ListenAddress } from './addresses.js'
import { audit } from './audit-schema.js'
import { count, interval, oneOf, path, section, size, textList, withinMs } from './field.js'
import { parseInterval } from './quantities.js'
import { replication } from './replication-schema.js'
import { routesField } from './routes.js'
import { decoded, InvalidSettingError } from './setting.js'
import { state } from './state-schema.js'
import { streamsField } from './stream-limits.js'
import { swarm } from './swarm-schema.js'

/** When an acknowledged commit is on disk. */
export type SyncMode = 'always' | 'os' | { readonly intervalMs: number }

const address = decoded(Type.String(), parseListenAddress)

const api = section('The interface for apps and operators', {
  listen: decoded<readonly ListenAddress[]>(
    Type.Union([address, Type.Array(address, { minItems: 1, maxItems: 64 })], {
      default: '127.0.0.1:4454',
      description:
        'Where the API listens on TCP: `host:port`, or a list of such. Port 0 takes any free port; IPv6 addresses stand in brackets. Beyond loopback every route but `/health` needs a token',
    }),
    (value: ListenAddress | readonly ListenAddress[]) => ('host' in value ? [value] : value),
  ),
  socket: path(
    Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
      default: null,
      description: 'Path of the Unix socket with the same API, mode 0660; `api.sock` in the data directory unless set',
    }),
  ),
  apps: textList(parseAppPattern, {
    description: 'Apps that may ask for a token besides `com.example.*`: app ids, or prefixes such as `com.acme.*`',
  }),
  hosts: textList(parseHostName, {
    description: 'Names that the `Host` header may carry besides IP addresses, `localhost` and the own host name',
  }),
  origins: textList(parseOrigin, {
    description: 'Web pages that may use the API besides those from loopback: origins such as `https://app.example`',
  }),
  limits: section('Bounds of single requests and of all together', {
    body: size({ default: '128MiB', min: '1MiB', max: '1GiB', description: 'One request body over HTTP' }),
    message: size({
      default: '128MiB',
      min: '128MiB',
      max: '1GiB',
      description: 'One WebSocket message, and one frame of it',
    }),
    memory: size({
      default: '256MiB',
      min: '1MiB',
      max: '64GiB',
      description: 'All requests in flight together; whoever would go beyond waits. At least the two above',
    }),
    query: section('Bounds of one AQL query; beyond them it is refused', {
      text: size({ default: '256KiB', min: '1KiB', max: '16MiB', description: 'Length of the text' }),
      nesting: count(200, 10, 200, 'Depth of parentheses, arrays, objects, cases, calls and sub-queries'),
      operands: count(20_000, 100, 1_000_000, 'Operands in one chain such as `a | b | c`'),
      branches: count(4096, 16, 1_000_000, 'Alternatives that a tag expression multiplies out to'),
      values: count(1_000_000, 100, 100_000_000, 'Values held by one sub-query or spread'),
    }),
  }),
})

const storage = section('How events are stored', {
  sync: decoded<SyncMode>(
    Type.Union(
      [
        Type.Literal('always'),
        Type.Literal('os'),
        Type.Object(
          { interval: Type.Union([Type.Integer({ minimum: 1, maximum: 3_600_000 }), Type.String()]) },
          { additionalProperties: false },
        ),
      ],
      {
        default: 'always',
        description:
          'When a publish is answered: `always` after it is on disk; `os` after it is handed to the operating system (a power cut may lose it); `{ interval: 100 }` like `os`, but on disk at the latest after so many milliseconds',
      },
    ),
    (value: SyncWritten) => (typeof value === 'string' ? value : { intervalMs: syncIntervalMs(value.interval) }),
  ),
  block: section('Blocks are the unit in which events are compressed, replicated and deleted', {
    maxEvents: count(1024, 1, 65_536, 'Events in one block'),
    maxBytes: size({ default: '256KiB', min: '1B', max: '2MiB', description: 'Payload bytes in one block' }),
  }),
  pruneInterval: interval({
    default: '60s',
    min: '100ms',
    max: '7d',
    description:
      'Time between two looks for blocks beyond their limits; there is one at start and after each new block too',
  }),
  cache: size({
    default: '32MiB',
    min: '1MiB',
    max: '64GiB',
    description: 'Memory for blocks and index parts read before',
  }),
  maxInFlight: size({
    default: '64MiB',
    min: '16MiB',
    max: '16GiB',
    description: 'Events waiting for their commit; whoever would go beyond waits',
  }),
  maxUnsealed: size({
    default: '64MiB',
    min: '1MiB',
    max: '16GiB',
    description: 'Events waiting to be made into blocks; whoever would go beyond waits',
  }),
})

/** Every setting with name, form, default, bounds and description. The only home of default values. */
export const settingsSchema = section('Settings of a millrace node. All are optional', {
  admin: section('The node as operators see it', {
    displayName: Type.String({
      minLength: 1,
      maxLength: 200,
      default: 'Default Node',
      description: 'Name of the node in listings',
    }),
  }),
  api,
  audit,
  data: path(
    Type.String({
      minLength: 1,
      default: 'millrace-data',
      description: 'Directory of identity, keys and events',
    }),
  ),
  eventRouting: section('Which event goes into which stream, and how long streams keep their events', {
    routes: routesField(
      'Routes in order; the first whose expression matches decides, and without one the stream `default` takes the event',
    ),
    streams: streamsField(
      'Limits by stream name. A stream that is not named keeps everything; `default` always does and cannot be named',
    ),
  }),
  log: section('The log of the daemon', {
    level: oneOf(['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'], {
      default: 'info',
      description: 'Least severity that is written',
    }),
    format: oneOf(['auto', 'json', 'pretty'], {
      default: 'auto',
      description: 'Form of the lines; `auto` is `pretty` on a terminal and `json` elsewhere',
    }),
  }),
  replication,
  state,
  storage,
  swarm,
})

/** All values in the form of the file, decoded. */
export type SettingValues = Static<typeof settingsSchema>

type SyncWritten = 'always' | 'os' | { readonly interval: bigint | number | string }

function syncIntervalMs(written: bigint | number | string): number {
  return typeof written === 'string' ? withinMs(parseInterval(written), '1ms', '1h') : Number(written)
}

function parseAppPattern(text: string): string {
  try {
    parseAppId(text.replace(/\.\*$/, ''))
    return text
  } catch {
    throw new InvalidSettingError(
      `'${text}' is no app id`,
      text === '*'
        ? 'name each app, or a prefix such as com.acme.*'
        : 'an app id such as com.acme.dashboard, or com.acme.*',
    )
  }
}

function parseHostName(text: string): string {
  if (/^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(text)) return text.toLowerCase()
  throw new InvalidSettingError(
    `'${text}' is no host name`,
    /:[0-9]+$/.test(text) ? `without the port: '${text.replace(/:[0-9]+$/, '')}'` : 'a name such as gateway.local',
  )
}
