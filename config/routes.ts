import { Type, type TUnsafe } from '@sinclair/typebox'
import { parseRoute, RouteError } from '../aql/index.js'
import type { TagSelection } from '../core/index.js'
import { decoded, InvalidSettingError } from './setting.js'
import { streamNameField } from './stream-limits.js'

/** A route: events that `selection` matches go to the stream `into`. */
export interface RouteSetting {
  /** The expression as written. */
  readonly from: string
  readonly into: string
  readonly selection: TagSelection
}

interface WrittenRoute {
  readonly from: { readonly text: string; readonly selection: TagSelection }
  readonly into: string
}

const routeSchema = Type.Object(
  {
    from: decoded(
      Type.String({
        description: 'A tag expression: tags in quotes, `allEvents`, `appId(…)`, joined by `&`, `|` and parentheses',
      }),
      (text: string) => ({ text, selection: parseExpression(text) }),
    ),
    into: streamNameField('Name of the stream'),
  },
  { additionalProperties: false },
)

/** The list of routes. The two-item form of the published Actyx tutorial is joined before it gets here. */
export function routesField(description: string): TUnsafe<readonly RouteSetting[]> {
  const route = decoded<RouteSetting>(routeSchema, ({ from, into }: WrittenRoute) => ({
    from: from.text,
    into,
    selection: from.selection,
  }))
  return Type.Unsafe<readonly RouteSetting[]>(
    Type.Array(route, { default: [], maxItems: 10_000, description, joinHalves: ['from', 'into'] }),
  )
}

function parseExpression(text: string): TagSelection {
  try {
    return parseRoute(text)
  } catch (error) {
    if (!(error instanceof RouteError)) throw error
    throw error.cause instanceof Error ? syntaxFault(text, error) : refusal(error)
  }
}

function refusal({ reason, mend, offset }: RouteError): InvalidSettingError {
  return new InvalidSettingError(reason, mend, offset)
}

/** Characters of a text that are looked at for the mend of a fault. */
const LOOKED_AT = 2000

/** What may stand in queries but not in routes, outside quoted tags. */
const OTHERS = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\b(isLocal|from|to|key|time)\b|\b([0-9]+\/)/gi

/** Names what is meant by a text that does not parse, where that can be told; the parser knows more than routes may use. */
function syntaxFault(text: string, error: RouteError): InvalidSettingError {
  const other = Array.from(text.slice(0, LOOKED_AT).matchAll(OTHERS)).find(
    ([, word, eventId]) => (word ?? eventId) !== undefined,
  )
  if (other !== undefined) {
    const [, word] = other
    if (word?.toLowerCase() === 'from' && /^\s*from\s+\S/i.test(text)) {
      return new InvalidSettingError('a route holds what follows FROM', 'leave FROM out', other.index)
    }
    const name = word === undefined ? 'an event id' : word
    const mend = 'leave it out: a route sees only tags and app id'
    return new InvalidSettingError(`${name} cannot be used in a route`, mend, other.index)
  }
  const bare = /^\s*([\p{L}\p{N}:._-]+)\s*$/u.exec(text)?.[1]
  const mend = bare === undefined ? error.mend : `write tags in quotes: "'${bare}'"`
  const reason = error.reason.includes('"isLocal"') ? 'expected "(", "allEvents", "appId(" or tag' : error.reason
  return new InvalidSettingError(reason, mend, error.offset)
}
