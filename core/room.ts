/** Room in memory for so many bytes. Who comes when it is taken waits in line; what is larger than all of it has it alone. */
export class Room {
  readonly #limit: number
  #used = 0
  readonly #line: { readonly bytes: number; readonly enter: () => void }[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Resolves in the order of the calls. Whatever was taken is to be given back. */
  take(bytes: number): Promise<void> {
    return new Promise((enter) => {
      this.#line.push({ bytes, enter })
      this.#admit()
    })
  }

  give(bytes: number): void {
    this.#used -= bytes
    this.#admit()
  }

  #admit(): void {
    for (let next = this.#line[0]; next !== undefined; next = this.#line[0]) {
      if (this.#used > 0 && this.#used + next.bytes > this.#limit) return
      this.#used += next.bytes
      this.#line.shift()
      next.enter()
    }
  }
}
