const LINE_FEED = 10

/** Splits chunks of an NDJSON answer into lines, without the empty ones that keep the connection alive. */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  for await (const bytes of splitLineBytes(chunks)) if (bytes.length > 0) yield decoder.decode(bytes)
}

/** Splits chunks at line feeds. What follows the last one is a line when it is not empty. */
export async function* splitLineBytes(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array[] = []
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
      yield join([...rest, chunk.subarray(from, end)])
      rest = []
      from = end + 1
    }
    if (from < chunk.length) rest.push(chunk.subarray(from))
  }
  if (rest.length > 0) yield join(rest)
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const [only, second] = parts
  if (only !== undefined && second === undefined) return only
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
