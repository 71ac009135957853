/** The form in which the lines of one answer are sent over HTTP; holds the state of that answer. */
export interface AnswerForm {
  readonly contentType: string
  /** Further headers, names and values in turn. */
  readonly headers: readonly string[]
  /** What stands before everything else; may be empty. */
  readonly head: string
  /** What is sent in silence. */
  readonly keepAlive: string
  /** What is sent for a chunk of the answer. A line that has not ended yet is kept until it has. */
  encode(chunk: Uint8Array): Iterable<Uint8Array>
  /** What ends the answer; `error` is the line that says why it ends before its time. */
  end(error: string | undefined): string | Uint8Array | undefined
}

/** The lines as they are. */
export const NDJSON_FORM: AnswerForm = {
  contentType: 'application/x-ndjson',
  headers: [],
  head: '',
  keepAlive: '\n',
  encode: (chunk) => [chunk],
  end: (error) => error,
}

const LINE_FEED = 0x0a

/** Bytes that are collected before they are handed on. */
const GATHERED_BYTES = 64 * 1024

/** Cuts the chunks of an answer into its lines. */
export class LineSplitter {
  #begun: Uint8Array[] = [];

  /** The lines that end in this chunk, without their line feeds. */
  *split(chunk: Uint8Array): Generator<Buffer> {
    let from = 0
    for (let feed = chunk.indexOf(LINE_FEED); feed >= 0; feed = chunk.indexOf(LINE_FEED, from)) {
      const end = chunk.subarray(from, feed)
      yield this.#begun.length === 0
        ? Buffer.from(end.buffer, end.byteOffset, end.length)
        : Buffer.concat([...this.#begun, end])
      this.#begun = []
      from = feed + 1
    }
    if (from < chunk.length) this.#begun.push(chunk.subarray(from))
  }
}

/** Joins small parts, so that they are not written one by one. */
export function* gathered(parts: Iterable<Buffer>): Generator<Buffer> {
  let waiting: Buffer[] = []
  let size = 0
  for (const part of parts) {
    waiting.push(part)
    size += part.length
    if (size < GATHERED_BYTES) continue
    yield Buffer.concat(waiting, size)
    waiting = []
    size = 0
  }
  if (size > 0) yield Buffer.concat(waiting, size)
}
