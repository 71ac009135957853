import type { ApiContext } from './context.js'
import { ApiError } from './errors.js'
import type { Exchange } from './exchange.js'

/** Does something until the client goes away or the node stops, of which the signal tells. */
export async function whileWanted(
  { response }: Exchange,
  { closing }: ApiContext,
  work: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const gone = new AbortController()
  const leave = (): void => {
    gone.abort()
  }
  const end = (): void => {
    gone.abort(new ApiError('ERR_SHUTTING_DOWN', 'the node is stopping'))
  }
  response.on('close', leave)
  closing.addEventListener('abort', end)
  try {
    if (closing.aborted) end()
    await work(gone.signal)
  } finally {
    response.off('close', leave)
    closing.removeEventListener('abort', end)
  }
}
