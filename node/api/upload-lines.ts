const LINE_FEED = 0x0a

/** A line of an upload, counted from 1; `bytes` is `undefined` for one that is too long to be held. */
export interface UploadLine {
  readonly number: number
  readonly bytes: Buffer | undefined
  /** Bytes of the line. */
  readonly length: number
}

/** Cuts an upload into lines. Of a line beyond the limit only the length is kept. */
export class LineCutter {
  readonly #limitBytes: number
  #begun: Buffer[] = []
  #begunBytes = 0
  #lines = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Lines that have ended. */
  get lines(): number {
    return this.#lines
  }

  /** Bytes of a line that has not ended yet. */
  get heldBytes(): number {
    return this.#begun.length === 0 ? 0 : this.#begunBytes
  }

  /** The lines that end in this chunk, without line feed. */
  cut(chunk: Buffer): UploadLine[] {
    const lines: UploadLine[] = []
    let from = 0
    for (let feed = chunk.indexOf(LINE_FEED); feed >= 0; feed = chunk.indexOf(LINE_FEED, from)) {
      this.#hold(chunk.subarray(from, feed))
      lines.push(this.#finish())
      from = feed + 1
    }
    if (from < chunk.length) this.#hold(chunk.subarray(from))
    return lines
  }

  /** The last line, when no line feed ends it. */
  rest(): UploadLine[] {
    return this.#begunBytes === 0 ? [] : [this.#finish()]
  }

  #hold(part: Buffer): void {
    this.#begunBytes += part.length
    if (this.#begunBytes > this.#limitBytes) this.#begun = []
    else this.#begun.push(part)
  }

  #finish(): UploadLine {
    this.#lines += 1
    const [first = Buffer.alloc(0)] = this.#begun
    const isHeld = this.#begunBytes <= this.#limitBytes
    const bytes = this.#begun.length <= 1 ? first : Buffer.concat(this.#begun)
    const line = { number: this.#lines, bytes: isHeld ? bytes : undefined, length: this.#begunBytes }
    this.#begun = []
    this.#begunBytes = 0
    return line
  }
}
