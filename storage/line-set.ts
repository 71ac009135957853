/** A set of line numbers below a limit, one bit each. */
export class LineSet {
  /** Lines there are, in the set or not. */
  readonly count: number
  readonly #words: Uint32Array

  constructor(count: number) {
    this.count = count
    this.#words = new Uint32Array((count + 31) >>> 5)
  }

  add(line: number): void {
    const word = line >>> 5
    this.#words[word] = (this.#words[word] ?? 0) | (1 << (line & 31))
  }

  /** Adds [from, to). */
  addRange(from: number, to: number): void {
    for (let line = from; line < to;) {
      if ((line & 31) === 0 && to - line >= 32) {
        this.#words[line >>> 5] = 0xffffffff
        line += 32
      } else this.add(line++)
    }
  }

  intersect(other: LineSet): void {
    for (let at = 0; at < this.#words.length; at++) this.#words[at] = (this.#words[at] ?? 0) & (other.#words[at] ?? 0)
  }

  unite(other: LineSet): void {
    for (let at = 0; at < this.#words.length; at++) this.#words[at] = (this.#words[at] ?? 0) | (other.#words[at] ?? 0)
  }

  /** The members in [from, to), ascending. */
  toArray(from: number, to: number): Uint32Array {
    const lines = new Uint32Array(this.#size(from, to))
    let at = 0
    for (let word = from >>> 5; word < (to + 31) >>> 5; word++) {
      for (let rest = this.#clipped(word, from, to); rest !== 0; rest &= rest - 1) {
        lines[at++] = 32 * word + 31 - Math.clz32(rest & -rest)
      }
    }
    return lines
  }

  #size(from: number, to: number): number {
    let size = 0
    for (let word = from >>> 5; word < (to + 31) >>> 5; word++) size += ones(this.#clipped(word, from, to))
    return size
  }

  /** One word without the bits outside of [from, to). */
  #clipped(word: number, from: number, to: number): number {
    let bits = this.#words[word] ?? 0
    const begin = 32 * word
    if (from > begin) bits &= -1 << (from - begin)
    if (to < begin + 32) bits &= ~(-1 << (to - begin))
    return bits
  }
}

function ones(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555)
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
