import type { ServerResponse } from 'node:http'
import type { Answer } from '../events/event-service.js'
import type { AnswerForm } from './answer-form.js'
import { toErrorReply } from './errors.js'
import { drained } from './stalled-reader.js'
import { TurnTaker } from './turn-taker.js'

/** The line that says why an answer ends before its time. */
function errorLine(error: unknown): string {
  return `${JSON.stringify({ type: 'diagnostic', severity: 'error', message: toErrorReply(error).message })}\n`
}

/** How patient the writer of a stream is; milliseconds. */
export interface StreamTimers {
  readonly keepAliveMs: number
  readonly stallMs: number
}

/**
 * Sends an answer in its form, at the pace of the reader, with a sign of life now and then in silence. Ends when the
 * answer ends or the signal comes, which the caller gives when the client goes away.
 *
 * @returns the error that ended the answer before its time, if any; the client has been told
 */
export async function streamAnswer(
  response: ServerResponse,
  answer: Answer,
  form: AnswerForm,
  headers: readonly string[],
  timers: StreamTimers,
  signal: AbortSignal,
  onCut: () => void,
): Promise<unknown> {
  response.writeHead(200, ['content-type', form.contentType, ...form.headers, ...headers])
  if (form.head !== '') response.write(form.head)
  // Silence at first must not hold up the head of the answer; otherwise it shares a packet with the first lines.
  const flush = setImmediate(() => {
    response.flushHeaders()
  })
  const keepAlive = setInterval(() => {
    if (!response.writableNeedDrain) response.write(form.keepAlive)
  }, timers.keepAliveMs)
  const turns = new TurnTaker()
  let failure: unknown
  try {
    for await (const chunk of answer) {
      for (const bytes of form.encode(chunk)) {
        if (signal.aborted) break
        clearImmediate(flush)
        keepAlive.refresh()
        if (!response.write(bytes)) await drained(response, timers.stallMs, onCut)
        await turns.after(bytes.length)
      }
      if (signal.aborted) break
    }
  } catch (error) {
    failure = error
  } finally {
    clearImmediate(flush)
    clearInterval(keepAlive)
  }
  const reason: unknown = failure ?? (signal.aborted ? signal.reason : undefined)
  response.end(form.end(reason === undefined ? undefined : errorLine(reason)))
  return failure
}
