import { gathered, LineSplitter, type AnswerForm } from './answer-form.js'

/** How long a browser waits before it comes back after a broken connection, milliseconds. */
const RETRY_MS = 2000

const START = /^\{"type":"([A-Za-z]+)"(?:,"revision":"([0-9]+)")?/

/** The lines of a watch as server-sent events; their ids are revisions, after which a browser goes on when it comes back. */
export class StateWatchForm implements AnswerForm {
  readonly contentType = 'text/event-stream'
  readonly headers = ['cache-control', 'no-store']
  readonly head = `retry: ${String(RETRY_MS)}\n\n`
  readonly keepAlive = ':\n\n'
  readonly #lines = new LineSplitter()

  encode(chunk: Uint8Array): Iterable<Uint8Array> {
    return gathered(this.#messages(chunk))
  }

  end(error: string | undefined): string | undefined {
    return error === undefined ? undefined : messageOf(error.trimEnd())
  }

  *#messages(chunk: Uint8Array): Generator<Buffer> {
    for (const line of this.#lines.split(chunk)) yield Buffer.from(messageOf(line.toString()))
  }
}

function messageOf(line: string): string {
  const [, type = 'message', revision] = START.exec(line) ?? []
  return `${revision === undefined ? '' : `id: ${revision}\n`}event: ${type}\ndata: ${line}\n\n`
}
