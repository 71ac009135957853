import { createHash } from 'node:crypto'

/** What the first record of all names as the one before it. */
const NONE = '0'.repeat(64)

/** Each line names the SHA-256 of the line before it, so none can be changed or taken out unnoticed but at the end. */
export class HashChain {
  #newest: string

  /** @param line the newest one that is there */
  constructor(line: string | undefined) {
    this.#newest = line === undefined ? NONE : hashOf(line)
  }

  /** The lines with their links. They count as written only after {@link take}. */
  link(lines: readonly string[]): string[] {
    let before = this.#newest
    return lines.map((line) => {
      const linked = `{"previous":"${before}",${line.slice(1)}`
      before = hashOf(linked)
      return linked
    })
  }

  /** Goes on behind linked lines that are written. */
  take(linked: readonly string[]): void {
    const newest = linked.at(-1)
    if (newest !== undefined) this.#newest = hashOf(newest)
  }
}

function hashOf(line: string): string {
  return createHash('sha256').update(line).digest('hex')
}
