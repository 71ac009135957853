import { ask, type AskOptions, type Reply } from './ask.js'

type Json = Record<string, unknown>

/** An app with a token, as thin as can be. */
export class App {
  readonly url: string
  readonly token: string

  private constructor(url: string, token: string) {
    this.url = url
    this.token = token
  }

  static async at(url: string, appId = 'com.example.test'): Promise<App> {
    const body = JSON.stringify({ appId, displayName: 'test', version: '1' })
    const { text } = await ask(url, '/api/v2/auth', { method: 'POST', body })
    return new App(url, (JSON.parse(text) as { token: string }).token)
  }

  call(path: string, options: AskOptions = {}): Promise<Reply> {
    return ask(this.url, path, { ...options, headers: { authorization: `Bearer ${this.token}`, ...options.headers } })
  }

  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return this.call(path, { method: 'POST', headers, body: typeof body === 'string' ? body : JSON.stringify(body) })
  }

  async publish(...events: readonly (readonly [tags: readonly string[], payload: unknown])[]): Promise<Json[]> {
    const { text } = await this.post('/api/v2/events/publish', {
      data: events.map(([tags, payload]) => ({ tags, payload })),
    })
    return (JSON.parse(text) as { data: Json[] }).data
  }

  /** A URL with the token in it, for clients that can set no headers. */
  link(path: string, parameters: Readonly<Record<string, string>>): string {
    return `${this.url}${path}?${new URLSearchParams({ ...parameters, access_token: this.token }).toString()}`
  }
}
