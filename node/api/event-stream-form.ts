import type { CloudEventMapper } from './cloud-events.js'
import { gathered, LineSplitter, type AnswerForm } from './answer-form.js'
import { ENDED, type ResumePoint } from './resume-point.js'

/** How long a browser waits before it comes back after a broken connection. */
const RETRY_MS = 2000

/** Bytes of a line within which its type, stream and offset stand. */
const START_BYTES = 256

const START = /^\{"type":"([A-Za-z]+)"(?:,"lamport":[0-9]+,"stream":"([^"]+)","offset":([0-9]+))?/

const MESSAGE_END = Buffer.from('\n\n')

/**
 * Server-sent events (WHATWG HTML, section 9.2): each line is the data of one event, whose name is the type of the line
 * and whose id says how far the answer has come.
 */
export class EventStreamForm implements AnswerForm {
  readonly contentType = 'text/event-stream'
  readonly headers = ['cache-control', 'no-store']
  readonly head = `retry: ${String(RETRY_MS)}\n\n`
  readonly keepAlive = ':\n\n'
  readonly #lines = new LineSplitter()
  readonly #point: ResumePoint | undefined
  readonly #mapper: CloudEventMapper | undefined

  /**
   * @param point where the answer begins; `undefined` when it cannot be taken up in its middle
   * @param mapper makes CloudEvents of the data
   */
  constructor(point: ResumePoint | undefined, mapper: CloudEventMapper | undefined) {
    this.#point = point
    this.#mapper = mapper
  }

  encode(chunk: Uint8Array): Iterable<Uint8Array> {
    return gathered(this.#messages(chunk))
  }

  /** An answer that has ended by itself says so, as browsers would otherwise ask again for ever. */
  end(error: string | undefined): string | Uint8Array {
    if (error === undefined) return `id: ${ENDED}\nevent: end\ndata: {}\n\n`
    return Buffer.concat([...this.#message(Buffer.from(error.trimEnd()))])
  }

  *#messages(chunk: Uint8Array): Generator<Buffer> {
    for (const line of this.#lines.split(chunk)) yield* this.#message(line)
  }

  *#message(line: Buffer): Generator<Buffer> {
    const [, type = 'message', stream, offset] = START.exec(line.toString('latin1', 0, START_BYTES)) ?? []
    const id = this.#advance(type, line, stream, Number(offset))
    yield Buffer.from(`${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: `)
    yield this.#mapper?.map(line) ?? line
    yield MESSAGE_END
  }

  /** The id of what lies behind this line; `undefined` where the line brings nothing forward. */
  #advance(type: string, line: Buffer, stream: string | undefined, offset: number): string | undefined {
    if (type === 'event' && stream !== undefined) this.#point?.passEvent(stream, offset)
    else if (type === 'offsets') this.#point?.pass(Object.entries(offsetsOf(line)))
    else return undefined
    return this.#point?.id
  }
}

function offsetsOf(line: Buffer): Record<string, number> {
  return (JSON.parse(line.toString()) as { offsets: Record<string, number> }).offsets
}
