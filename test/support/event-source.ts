import { request } from 'node:http'

/** One event as a browser would dispatch it. */
export interface SourceEvent {
  readonly name: string
  readonly data: string
  /** The last event id at that moment. */
  readonly id: string
}

/**
 * The reading half of EventSource, from section 9.2 of the HTML standard: fields, line ends, what is dispatched and what
 * is not, and that the last id stays until another one comes.
 */
export class SourceParser {
  lastId: string
  /** Milliseconds, once the server has said it. */
  retry: number | undefined
  comments = 0
  #text = ''
  #data: string[] = []
  #name = ''

  constructor(lastId = '') {
    this.lastId = lastId
  }

  *push(text: string): Generator<SourceEvent> {
    const lines = (this.#text + text).split(/\r\n|\n|\r/)
    this.#text = lines.pop() ?? ''
    for (const line of lines) {
      if (line !== '') this.#field(line)
      else if (this.#data.length > 0) {
        yield { name: this.#name === '' ? 'message' : this.#name, data: this.#data.join('\n'), id: this.lastId }
        this.#data = []
        this.#name = ''
      } else this.#name = ''
    }
  }

  #field(line: string): void {
    const colon = line.indexOf(':')
    if (colon === 0) this.comments += 1
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (name === 'data') this.#data.push(value)
    else if (name === 'event') this.#name = value
    else if (name === 'id' && !value.includes('\0')) this.lastId = value
    else if (name === 'retry' && /^[0-9]+$/.test(value)) this.retry = Number(value)
  }
}

/** Like a browser: asks, and asks again with the last id when the connection ends, until an answer is no event stream. */
export async function* eventSource(url: () => string, maxConnections = Infinity): AsyncGenerator<SourceEvent> {
  let lastId = ''
  for (let connection = 0; connection < maxConnections; connection++) {
    const parser = new SourceParser(lastId)
    try {
      const texts = await get(url(), lastId)
      if (texts === undefined) return
      for await (const text of texts) {
        for (const event of parser.push(text)) {
          lastId = event.id
          yield event
        }
      }
    } catch {
      // A broken connection is no end, and a node that is not there yet will be.
      await new Promise((resolve) => setImmediate(resolve))
    }
    lastId = parser.lastId
  }
}

/** `undefined` for anything but an event stream. */
function get(url: string, lastId: string): Promise<AsyncIterable<string> | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { accept: 'text/event-stream', ...(lastId === '' ? {} : { 'last-event-id': lastId }) }
    request(url, { headers, agent: false }, (response) => {
      const isStream = response.statusCode === 200 && response.headers['content-type'] === 'text/event-stream'
      resolve(isStream ? response.setEncoding('utf8') : undefined)
      if (!isStream) response.resume()
    })
      .on('error', reject)
      .end()
  })
}
