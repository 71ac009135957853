/** What is to be seen on a terminal that was sent these texts, as far as full-screen commands draw. */
export class DrawnScreen {
  readonly #rows: (string | undefined)[][] = []
  #row = 0
  #column = 0
  /** Private modes that are on, such as 1049 (another page) and 25 (the cursor, which is on at first). */
  readonly modes = new Set(['25', '7'])

  get text(): string {
    return this.#rows
      .map((row) =>
        Array.from(row, (character) => character ?? ' ')
          .join('')
          .trimEnd(),
      )
      .join('\n')
  }

  write(sent: string): void {
    // eslint-disable-next-line no-control-regex -- escape sequences begin with a control character
    for (const [token, parameters, command] of sent.matchAll(/\u001b\[([?0-9;]*)([A-Za-z])|[^]/gu)) {
      if (command === undefined || parameters === undefined) this.#put(token)
      else this.#control(parameters, command)
    }
  }

  #put(character: string): void {
    if (character === '\n') this.#row++
    else if (character === '\r') this.#column = 0
    else (this.#rows[this.#row] ??= [])[this.#column++] = character
    for (let at = 0; at < this.#row; at++) this.#rows[at] ??= []
  }

  #control(parameters: string, command: string): void {
    const numbers = parameters.split(';').map(Number)
    if (command === 'H') [this.#row, this.#column] = [(numbers[0] || 1) - 1, (numbers[1] || 1) - 1]
    else if (command === 'K') this.#rows[this.#row]?.splice(this.#column)
    else if (command === 'J') this.#rows.splice(parameters === '2' ? 0 : this.#row)
    else if (command === 'h') this.modes.add(parameters.slice(1))
    else if (command === 'l') this.modes.delete(parameters.slice(1))
    else if (command !== 'm') throw new Error(`unexpected control sequence ${parameters}${command}`)
  }
}
