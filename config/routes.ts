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
    throw new InvalidSettingError(error.reason, error.mend, error.offset)
  }
}
