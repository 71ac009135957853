import { open, readFile, rename } from 'node:fs/promises'
import { UsageError } from '../usage-error.js'

/** How far a source has been published. */
export interface Progress {
  /** Name of the input. */
  readonly source: string
  /** Lines up to here are acknowledged. */
  readonly acknowledgedLines: number
  /** Lines up to here have been sent; of those beyond the acknowledged ones nobody knows whether they were stored. */
  readonly sentLines: number
}

/** Remembers progress in a small file, so that a later call goes on where this one ended, whatever ends it. */
export class ResumeFile {
  readonly #path: string

  constructor(path: string) {
    this.#path = path
  }

  /** @throws UsageError when the file belongs to another input or is none of ours */
  async read(source: string): Promise<Progress> {
    const progress = await this.#load()
    if (progress === undefined) return { source, acknowledgedLines: 0, sentLines: 0 }
    if (progress.source !== source) {
      throw new UsageError(`${this.#path} is about ${progress.source}, not about ${source}; name another file`)
    }
    return progress
  }

  /** On disk when it returns; a crash leaves the old file or the new one. */
  async write(progress: Progress): Promise<void> {
    const temporary = `${this.#path}.new`
    const file = await open(temporary, 'w')
    try {
      await file.writeFile(`${JSON.stringify(progress)}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, this.#path)
  }

  async #load(): Promise<Progress | undefined> {
    let text: string
    try {
      text = await readFile(this.#path, 'utf8')
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
      throw new UsageError(`cannot read ${this.#path}: ${error instanceof Error ? error.message : String(error)}`)
    }
    const progress = parseProgress(text)
    if (progress === undefined) throw new UsageError(`${this.#path} holds no progress of millrace publish`)
    return progress
  }
}

function parseProgress(text: string): Progress | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    const { source, acknowledgedLines, sentLines } = value as Readonly<Record<string, unknown>>
    if (typeof source !== 'string' || !isCount(acknowledgedLines) || !isCount(sentLines)) return undefined
    return { source, acknowledgedLines, sentLines }
  } catch {
    return undefined
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
