import type { CheckLine } from '../../storage/index.js'
import { streamAnswer } from './answer.js'
import { NDJSON_FORM } from './answer-form.js'
import type { ApiContext } from './context.js'
import { isInternal } from './errors.js'
import type { Exchange } from './exchange.js'
import type { Routes } from './routes.js'
import { drained } from './stalled-reader.js'
import { whileWanted } from './while-wanted.js'

/** The check of everything that is stored, and its backup, for operators alone: they take their time, and disk. */
export function addKeepingRoutes(routes: Routes): Routes {
  return routes
    .at('/api/millrace/v1/verify', {
      POST: { admission: 'operator', produces: 'application/x-ndjson', run: verify },
    })
    .at('/api/millrace/v1/backup', {
      POST: { admission: 'operator', produces: 'application/x-tar', run: sendBackup },
    })
}

function verify(exchange: Exchange, api: ApiContext): Promise<void> {
  const { request, response, common } = exchange
  request.resume()
  return whileWanted(exchange, api, async (signal) => {
    const answer = renderLines(api.options.operations.verify(signal))
    const failure = await streamAnswer(response, answer, NDJSON_FORM, common, api.timers, signal, () => {
      api.counters.readersCut += 1
    })
    if (failure !== undefined && isInternal(failure) && !signal.aborted) {
      api.options.logger.error({ err: failure }, 'a check ended with an error')
    }
  })
}

/** A backup that cannot be ended is cut off: it lacks its manifest then, so nobody takes it for a whole one. */
function sendBackup(exchange: Exchange, api: ApiContext): Promise<void> {
  const { request, response, common, query } = exchange
  const withIdentity = new URLSearchParams(query).get('identity') !== 'false'
  request.resume()
  return whileWanted(exchange, api, async (signal) => {
    await using backup = await api.options.operations.backup(withIdentity)
    response.writeHead(200, ['content-type', 'application/x-tar', 'cache-control', 'no-store', ...common])
    try {
      for await (const chunk of backup.chunks) {
        if (!response.write(chunk)) {
          await drained(response, api.timers.stallMs, () => {
            api.counters.readersCut += 1
          })
        }
        signal.throwIfAborted()
      }
      // Whoever has got all of it may ask for the next one at once.
      await backup[Symbol.asyncDispose]()
      response.end()
    } catch (error) {
      response.destroy()
      if (!signal.aborted) api.options.logger.error({ err: error }, 'a backup ended with an error')
    }
  })
}

async function* renderLines(lines: AsyncIterable<CheckLine>): AsyncGenerator<Uint8Array> {
  for await (const line of lines) yield Buffer.from(`${JSON.stringify(line)}\n`)
}
