import { JsonScanner } from '../core/index.js'

/** Names on the way from the top of a record to a value: `*` stands for any one, `**` for any number of them, none included. */
export type Redaction = readonly string[]

const MASK = Buffer.from('"[redacted]"')

const OPEN_OBJECT = 0x7b
const OPEN_ARRAY = 0x5b

/** A path and how many of its names have been passed. */
interface Place {
  readonly path: Redaction
  readonly at: number
}

/** JSON text with the values at these paths masked; all else stays to the letter. Elements of arrays are named by their index. */
export function redact(text: string, paths: readonly Redaction[]): string {
  if (paths.length === 0) return text
  const bytes = Buffer.from(text)
  const scanner = new JsonScanner(bytes)
  const pieces: Uint8Array[] = []
  let copied = 0
  const visit = (places: readonly Place[]): void => {
    const first = scanner.peek()
    if (places.some(({ path, at }) => at === path.length)) {
      pieces.push(bytes.subarray(copied, scanner.at), MASK)
      scanner.skipValue()
      copied = scanner.at
    } else if (places.length > 0 && first === OPEN_OBJECT) {
      scanner.members('an object', (name) => {
        visit(below(places, name))
      })
    } else if (places.length > 0 && first === OPEN_ARRAY) {
      let index = 0
      scanner.elements('an array', () => {
        visit(below(places, String(index++)))
      })
    } else scanner.skipValue()
  }
  visit(paths.map((path) => ({ path, at: 0 })))
  if (copied === 0) return text
  return Buffer.concat([...pieces, bytes.subarray(copied)]).toString()
}

function below(places: readonly Place[], name: string): Place[] {
  return places.flatMap(({ path, at }) => passed(path, at, name))
}

function passed(path: Redaction, at: number, name: string): Place[] {
  const wanted = path[at]
  if (wanted === undefined) return []
  // `**` may take this name and go on, or be over before it.
  if (wanted === '**') return [{ path, at }, ...passed(path, at + 1, name)]
  return wanted === '*' || wanted === name ? [{ path, at: at + 1 }] : []
}
