import { NodeUnreachableError } from './errors.js'
import { splitLines } from './lines.js'
import type { Requests } from './requests.js'
import { SilenceWatch } from './silence.js'

/** Milliseconds without a byte after which an answer counts as broken off; a node sends an empty line every 15 s. */
const MOST_SILENT_MS = 45_000

/**
 * The lines of an answer without end. A connection that is dead without a word is found out by its silence.
 *
 * @throws NodeUnreachableError, RequestRefusedError, AbortedError
 */
export async function* followOverHttp(
  requests: Requests,
  path: string,
  body: string | undefined,
  signal: AbortSignal,
  mostSilentMs = MOST_SILENT_MS,
): AsyncGenerator<string> {
  const connection = new AbortController()
  const leave = (): void => {
    connection.abort()
  }
  const watch = new SilenceWatch(mostSilentMs, leave)
  if (signal.aborted) leave()
  else signal.addEventListener('abort', leave, { once: true })
  try {
    watch.expect()
    const answer = await requests.ask(body === undefined ? 'GET' : 'POST', path, body, connection.signal)
    yield* splitLines(watch.over(answer.body))
  } catch (error) {
    if (!watch.hasFired) throw error
    throw new NodeUnreachableError('the node has fallen silent', { cause: error, neverSent: false })
  } finally {
    watch.rest()
    signal.removeEventListener('abort', leave)
    leave()
  }
}
