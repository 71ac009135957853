const NAMED: Readonly<Record<string, Key>> = {
  '\u0003': 'interrupt',
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\u007f': 'backspace',
  '\b': 'backspace',
  '\u001b': 'escape',
  '\u001b[A': 'up',
  '\u001b[B': 'down',
  '\u001b[C': 'right',
  '\u001b[D': 'left',
  '\u001b[H': 'home',
  '\u001b[1~': 'home',
  '\u001b[F': 'end',
  '\u001b[4~': 'end',
  '\u001b[5~': 'pageUp',
  '\u001b[6~': 'pageDown',
}

/** A key: the name of one, or the character that it types. */
export type Key = string

// Terminals send cursor keys in two ways.
// eslint-disable-next-line no-control-regex -- escape sequences begin with a control character
const SEQUENCE = /\u001b[[O][0-9;]*[A-Za-z~]|[^]/gu

/** Whether a key types a character. */
export function isCharacter(key: Key): boolean {
  return !Object.values(NAMED).includes(key)
}

/** The keys in what a terminal has sent. Those that mean nothing here are left out. */
export function keysIn(chunk: Uint8Array): Key[] {
  const sent = Buffer.from(chunk).toString()
  return Array.from(sent.matchAll(SEQUENCE)).flatMap(([sequence]): Key[] => {
    const named = NAMED[sequence.replace('\u001bO', '\u001b[')]
    if (named !== undefined) return [named]
    return /^[\p{Cc}\p{Cf}]/u.test(sequence) ? [] : [sequence]
  })
}
