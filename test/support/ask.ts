import { request, type IncomingMessage } from 'node:http'

/** What came back over HTTP. */
export interface Reply {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

export interface AskOptions {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  /** Send the body in chunks of unknown total length. */
  readonly chunked?: boolean
  readonly socketPath?: string | undefined
  /** Stop reading after so many non-empty lines. */
  readonly lines?: number
  /** Stop reading as soon as this holds. */
  readonly until?: (text: string) => boolean
}

/** One request on a connection of its own. */
export function ask(url: string, path: string, options: AskOptions = {}): Promise<Reply> {
  const { method = 'GET', body, chunked = false, socketPath, lines = Infinity, until = () => false } = options
  const { hostname, port } = new URL(url)
  const length = body === undefined || chunked ? undefined : { 'content-length': String(Buffer.byteLength(body)) }
  return new Promise((resolve, reject) => {
    const call = request({
      ...(socketPath === undefined ? { host: hostname, port } : { socketPath }),
      method,
      path,
      headers: { ...length, ...options.headers },
      agent: false,
    })
    call.on('error', reject)
    call.on('response', (response) => {
      let text = ''
      const done = (): void => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text })
        call.destroy()
      }
      response.setEncoding('utf8')
      response.on('data', (part: string) => {
        text += part
        if (linesOf(text).length >= lines || until(text)) done()
      })
      response.on('end', done).on('error', reject)
    })
    if (chunked && body !== undefined) {
      const half = Math.floor(body.length / 2)
      call.write(body.slice(0, half))
      call.end(body.slice(half))
    } else call.end(body)
  })
}

/** The non-empty lines, without the one that has not ended. */
export function linesOf(text: string): string[] {
  return text
    .split('\n')
    .slice(0, -1)
    .filter((line) => line !== '')
}
