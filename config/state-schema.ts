import { Type, type TUnsafe } from '@sinclair/typebox'
import { nearestWord, parseAppId } from '../core/index.js'
import { path, section, size } from './field.js'
import { decoded, InvalidSettingError } from './setting.js'
import { checkStateUrl } from './state-url.js'

/** Where the state can be kept. */
type Backend = 'embedded' | 'memory' | 'postgres' | 'redis'

const SUPPORTED: readonly Backend[] = ['embedded', 'memory', 'postgres', 'redis']

/** Stores that have no place here, and why. */
const REFUSED: Readonly<Record<string, string>> = {
  clickhouse: 'eventually consistent, no atomic compare-and-swap',
  elasticsearch: 'eventually consistent, reads may be older than acknowledged writes',
  opensearch: 'eventually consistent, reads may be older than acknowledged writes',
  s3: 'a plain object store has no transactions and no times to live',
  streams: 'replicated streams are eventually consistent',
}

/** Stores that could take it, by an adapter that this version does not have. */
const WITHOUT_ADAPTER: readonly string[] = ['dynamodb']

/** A namespace that an app may touch. */
export interface Grant {
  readonly app: string
  readonly namespace: string
}

/** The section `state`. */
export const state = section('The strongly consistent state: entries, transactions, watches', {
  backend: decoded<Backend>(
    Type.String({
      default: 'embedded',
      description:
        "Where it is kept: `embedded` in the node's own store, in the same commits as the events; `memory` until the node ends, for tests; `postgres` and `redis` on a server, by packages that are installed beside",
    }),
    parseBackend,
  ),
  url: decoded(
    Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
      default: null,
      writeOnly: true,
      description:
        'Server of `postgres` or `redis`, such as `postgres://user:password@host/database` or `rediss://:password@host:6379/0`. None unless set',
    }),
    (value: string | null) => (value === null ? null : checkStateUrl(value)),
  ),
  urlFile: path(
    Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
      default: null,
      description: 'File that holds the URL and nothing else, instead of `url`. None unless set',
    }),
  ),
  acceptFailoverLoss: Type.Boolean({
    default: false,
    description: 'Must be set for `backend: redis`, which may lose what it has acknowledged when a replica takes over',
  }),
  maxBytes: size({
    default: '256MiB',
    min: '64KiB',
    max: '64GiB',
    description: 'Keys and values of all entries; what would go beyond is refused',
  }),
  allowVolatile: Type.Boolean({ default: false, description: 'Must be set for `backend: memory`' }),
  grants: grantsField('Namespaces that an app may read and write beside its own, as a list of `{ app, namespace }`'),
})

function grantsField(description: string): TUnsafe<readonly Grant[]> {
  const grant = Type.Object(
    {
      app: decoded(Type.String({ description: 'App id' }), parseApp),
      namespace: decoded(Type.String({ description: 'First part of the keys' }), parseNamespace),
    },
    { additionalProperties: false },
  )
  return Type.Unsafe<readonly Grant[]>(Type.Array(grant, { default: [], maxItems: 10_000, description }))
}

function parseBackend(text: string): Backend {
  const backend = SUPPORTED.find((name) => name === text)
  if (backend !== undefined) return backend
  const name = text.toLowerCase()
  const supported = `Supported: ${SUPPORTED.join(', ')}`
  const refusal = `ERR_STATE_BACKEND_UNSUPPORTED unsupported state backend ${JSON.stringify(text.slice(0, 60))}`
  const reason = Object.hasOwn(REFUSED, name) ? REFUSED[name] : undefined
  if (reason !== undefined) {
    throw new InvalidSettingError(
      `${refusal}: ${reason}. ${supported}`,
      'it may be an audit sink, which only takes copies; for the state take embedded',
    )
  }
  if (WITHOUT_ADAPTER.includes(name)) {
    throw new InvalidSettingError(`${refusal}: this version has no adapter for it. ${supported}`, 'take embedded')
  }
  const nearest = nearestWord(text, SUPPORTED)
  throw new InvalidSettingError(
    `${refusal}. ${supported}`,
    nearest === undefined ? 'take embedded' : `did you mean '${nearest}'?`,
  )
}

function parseApp(text: string): string {
  try {
    return parseAppId(text)
  } catch {
    throw new InvalidSettingError(`'${text.slice(0, 60)}' is no app id`, 'an app id such as com.acme.dashboard')
  }
}

function parseNamespace(text: string): string {
  if (text === 'mr') throw new InvalidSettingError("the namespace 'mr' is the daemon's own", 'name another one')
  if (/^[A-Za-z0-9._-]{1,200}$/.test(text)) return text
  throw new InvalidSettingError(
    `'${text.slice(0, 60)}' is no namespace`,
    'the first part of keys, without slashes: an app id, or a name such as shared',
  )
}
