import type { CheckLine } from '../../storage/index.js'
import { streamAnswer } from './answer.js'
import type { ApiContext } from './context.js'
import { ApiError, isInternal } from './errors.js'
import type { Exchange } from './exchange.js'
import type { Routes } from './routes.js'

/** The check of everything that is stored, for operators alone: it takes its time, and disk. */
export function addCheckRoutes(routes: Routes): Routes {
  return routes.at('/api/millrace/v1/verify', {
    POST: { admission: 'operator', produces: 'application/x-ndjson', run: verify },
  })
}

async function verify({ request, response, common }: Exchange, api: ApiContext): Promise<void> {
  request.resume()
  const gone = new AbortController()
  const leave = (): void => {
    gone.abort()
  }
  const end = (): void => {
    gone.abort(new ApiError('ERR_SHUTTING_DOWN', 'the node is stopping'))
  }
  response.on('close', leave)
  api.closing.addEventListener('abort', end)
  try {
    if (api.closing.aborted) end()
    const answer = renderLines(api.options.operations.verify(gone.signal))
    const failure = await streamAnswer(response, answer, common, api.timers, gone.signal, () => {
      api.counters.readersCut += 1
    })
    if (failure !== undefined && isInternal(failure) && !gone.signal.aborted) {
      api.options.logger.error({ err: failure }, 'a check ended with an error')
    }
  } finally {
    response.off('close', leave)
    api.closing.removeEventListener('abort', end)
  }
}

async function* renderLines(lines: AsyncIterable<CheckLine>): AsyncGenerator<Uint8Array> {
  for await (const line of lines) yield Buffer.from(`${JSON.stringify(line)}\n`)
}
