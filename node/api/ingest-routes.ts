import { isUtf8 } from 'node:buffer'
import type { ServerResponse } from 'node:http'
import { AbortedError, JsonError, JsonScanner, MillraceError, type NewEvent } from '../../core/index.js'
import { tooLarge } from './body.js'
import type { ApiContext } from './context.js'
import { ApiError, isInternal, toErrorReply } from './errors.js'
import type { Exchange } from './exchange.js'
import { acceptedLine, doneLine, failedLine, refusedLine } from './ingest-lines.js'
import type { Lease } from './memory-budget.js'
import { checkLinesBody } from './negotiate.js'
import type { Routes } from './routes.js'
import { drained } from './stalled-reader.js'
import { Upload } from './upload.js'
import { LineCutter, type UploadLine } from './upload-lines.js'

/** Bytes of an unfinished line that are not taken from the shared budget. */
const FREE_BYTES = 256 * 1024

/** Events without end, one JSON object a line. */
export function addIngestRoutes(routes: Routes): Routes {
  return routes.at('/api/millrace/v1/events/ingest', {
    POST: { admission: 'app', produces: 'application/x-ndjson', run: ingest },
  })
}

async function ingest(exchange: Exchange, context: ApiContext): Promise<void> {
  const { request } = exchange
  checkLinesBody(request.headers['content-type'], request.headers['content-encoding'])
  const upload = new Upload(request, context.timers.bodyStallMs)
  const stop = (): void => {
    upload.fail(new ApiError('ERR_SHUTTING_DOWN', 'the node is stopping'))
  }
  context.closing.addEventListener('abort', stop)
  try {
    await new Intake(exchange, context).run(upload)
  } finally {
    context.closing.removeEventListener('abort', stop)
    upload.close()
  }
}

/** Stores the lines of one upload in groups, each as it comes in, and says of each group what became of it. */
class Intake {
  readonly #context: ApiContext
  readonly #exchange: Exchange
  readonly #cutter: LineCutter
  readonly #lease: Lease
  /** The first line of which nothing has been said yet. */
  #next = 1
  #accepted = 0
  #refused = 0

  constructor(exchange: Exchange, context: ApiContext) {
    this.#exchange = exchange
    this.#context = context
    this.#lease = exchange.lease
    this.#cutter = new LineCutter(context.options.limits.bodyBytes)
  }

  async run(upload: Upload): Promise<void> {
    const { response } = this.#exchange
    try {
      await this.#takeAll(upload)
    } catch (error) {
      // Before the first line of the answer the status can still tell.
      if (error instanceof AbortedError || !response.headersSent) throw error
      if (isInternal(error)) this.#context.options.logger.error({ err: error }, 'an intake ended with an error')
      response.end(failedLine(this.#next, toErrorReply(error)))
      return
    }
    this.#begin(response)
    response.end(doneLine(this.#cutter.lines, this.#accepted, this.#refused))
  }

  async #takeAll(upload: Upload): Promise<void> {
    for (;;) {
      const bytes = await upload.take()
      if (bytes === undefined) break
      await this.#lease.grow(bytes.length)
      await this.#store(this.#cutter.cut(bytes))
      if (this.#cutter.heldBytes <= FREE_BYTES) this.#lease.release()
    }
    await this.#store(this.#cutter.rest())
  }

  /** One commit. */
  async #store(lines: readonly UploadLine[]): Promise<void> {
    const last = lines.at(-1)
    if (last === undefined) return
    const { events: service } = this.#context.options
    const events: NewEvent[] = []
    const numbers: number[] = []
    const refused: string[] = []
    for (const line of lines) {
      try {
        if (isBlank(line)) continue
        events.push(this.#read(line))
        numbers.push(line.number)
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        refused.push(refusedLine(line.number, toErrorReply(error)))
      }
    }
    const publications = events.length === 0 ? [] : await service.store(events, this.#exchange.holder?.appId ?? '')
    this.#accepted += events.length
    this.#refused += refused.length
    const accepted = events.length === 0 ? '' : acceptedLine(this.#next, last.number, numbers, publications)
    this.#next = last.number + 1
    await this.#say(accepted + refused.join(''))
  }

  #read({ bytes, length }: UploadLine): NewEvent {
    if (bytes === undefined) throw tooLarge(length, this.#context.options.limits.bodyBytes)
    if (!isUtf8(bytes)) throw new JsonError('invalid UTF-8', bytes, 0)
    const scanner = new JsonScanner(bytes)
    const event = this.#context.options.events.readEvent(scanner)
    scanner.expectEnd()
    return event
  }

  /** Waits for a client that does not read what became of its lines, and takes no more of them meanwhile. */
  async #say(text: string): Promise<void> {
    if (text === '') return
    const { response } = this.#exchange
    const { timers, counters } = this.#context
    this.#begin(response)
    if (response.write(text)) return
    await drained(response, timers.stallMs, () => {
      counters.readersCut += 1
    })
  }

  #begin(response: ServerResponse): void {
    if (response.headersSent) return
    response.writeHead(200, ['content-type', 'application/x-ndjson', ...this.#exchange.common])
  }
}

function isBlank({ bytes }: UploadLine): boolean {
  return bytes !== undefined && bytes.every((byte) => byte === 0x20 || byte === 0x09 || byte === 0x0d)
}
