import { createHash } from 'node:crypto'
import type { BatchForm } from './batch-form.js'
import { AuditSinkError } from './errors.js'
import type { AuditSink } from './sink.js'

/** Characters of a refusal that are told. */
const SHOWN = 200

/** What {@link HttpSink} needs. */
export interface HttpSinkOptions {
  readonly name: string
  readonly form: BatchForm
  /** Asked for each batch, so that a renewed secret counts at once. */
  readonly headers: () => Promise<Readonly<Record<string, string>>>
}

/**
 * Sends batches by POST. What was not answered with success is sent again; the same batch then carries the same
 * `Idempotency-Key`.
 */
export class HttpSink implements AuditSink {
  readonly name: string
  readonly #options: HttpSinkOptions

  constructor(options: HttpSinkOptions) {
    this.name = options.name
    this.#options = options
  }

  open(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  async write(lines: readonly string[], signal: AbortSignal): Promise<void> {
    const { form, headers } = this.#options
    const body = form.body(lines)
    const response = await fetch(form.url, {
      method: 'POST',
      headers: {
        ...(await headers()),
        'content-type': form.contentType,
        'idempotency-key': createHash('sha256').update(body).digest('hex'),
      },
      body,
      signal,
      // A record goes where the operator has said, and nowhere else.
      redirect: 'error',
    }).catch((error: unknown) => {
      throw new AuditSinkError(reasonOf(error), { cause: error })
    })
    if (response.ok) {
      await response.body?.cancel()
      return
    }
    const text = await beginningOf(response)
    throw new AuditSinkError(`it answered ${String(response.status)}${text === '' ? '' : `: ${text}`}`)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

async function beginningOf(response: Response): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true })
    if (text.length >= SHOWN) break
  }
  return text
    .slice(0, SHOWN)
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
}

/** What `fetch` says is only that it failed; why is said by the cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message || cause.name : String(cause)
}
