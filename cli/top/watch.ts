import { setTimeout as delay } from 'node:timers/promises'
import type { Client } from '../../client/index.js'
import { MillraceError } from '../../core/index.js'
import { pictureOf, type TopPicture } from './picture.js'
import { readNode, type Reading } from './reading.js'

/** Milliseconds after which a node that does not answer is one that hangs. */
const HANGS_MS = 10_000

/** A picture of the node, or why there is none. */
export type Moment =
  { readonly picture: TopPicture } | { readonly trouble: { readonly code: string; readonly message: string } }

/** How often a node is looked at. */
export interface Pace {
  readonly intervalMs: number
  /** Until the second look, which is the first that knows rates. */
  readonly firstMs: number
}

/**
 * Looks at a node again and again, at once for the first time. A node that goes away is waited for; only the first look must
 * succeed.
 *
 * @throws what the client throws the first time, and when the signal comes
 */
export async function* watchNode(
  client: Client,
  { intervalMs, firstMs }: Pace,
  signal: AbortSignal,
): AsyncGenerator<Moment> {
  let before: Reading | undefined = await readNode(client, limited(signal))
  yield { picture: pictureOf(before, undefined) }
  for (let waitMs = firstMs; ; waitMs = intervalMs) {
    await delay(waitMs, undefined, { signal })
    let reading: Reading
    try {
      reading = await readNode(client, limited(signal))
    } catch (error) {
      if (signal.aborted || !(error instanceof MillraceError)) throw error
      yield { trouble: troubleOf(error) }
      continue
    }
    yield { picture: pictureOf(reading, before) }
    before = reading
  }
}

function limited(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(HANGS_MS)])
}

function troubleOf({ code, message }: MillraceError): { readonly code: string; readonly message: string } {
  // Nobody but the limit has ended the request.
  if (code === 'ERR_ABORTED') return { code, message: `the node does not answer within ${String(HANGS_MS / 1000)} s` }
  return { code, message }
}
