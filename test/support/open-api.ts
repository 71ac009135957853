import { Ajv2020 } from 'ajv/dist/2020.js'
import { ask, linesOf, type AskOptions } from './ask.js'

/** Types whose schema is that of one line. */
const LINE_TYPES = ['application/x-ndjson', 'application/cloudevents+json']

interface Described {
  readonly responses: Readonly<
    Record<string, { readonly content: Readonly<Record<string, { readonly schema: object }>> }>
  >
}

/** The OpenAPI description of a node, held against what the node answers. */
export class OpenApi {
  readonly #url: string
  readonly #components: object
  readonly #paths: Readonly<Record<string, Readonly<Record<string, Described>>>>
  readonly #ajv = new Ajv2020({ strict: false })

  private constructor(url: string, components: object, paths: Record<string, Record<string, Described>>) {
    this.#url = url
    this.#components = components
    this.#paths = paths
  }

  static async of(url: string): Promise<OpenApi> {
    const { openapi, components, paths } = JSON.parse((await ask(url, '/api/millrace/v1/openapi.json')).text) as {
      openapi: string
      components: object
      paths: Record<string, Record<string, Described>>
    }
    if (openapi !== '3.1.0') throw new Error(`OpenAPI ${openapi}`)
    return new OpenApi(url, components, paths)
  }

  get paths(): readonly string[] {
    return Object.keys(this.#paths)
  }

  /** @returns the answer, a document parsed; throws when status, type or body are not as described */
  async check(method: string, path: string, options: AskOptions = {}): Promise<unknown> {
    const { status, headers, text } = await ask(this.#url, path, { method, ...options })
    const type = (headers['content-type'] ?? '').split(';')[0] ?? ''
    const [resource = ''] = path.split('?')
    const described = this.#paths[resource] ?? this.#templateFor(resource)
    const schema = described?.[method.toLowerCase()]?.responses[String(status)]?.content[type]?.schema
    if (schema === undefined) throw new Error(`${method} ${path}: ${String(status)} ${type} is not described`)
    const what = `${method} ${path}`
    if (LINE_TYPES.includes(type)) {
      for (const line of linesOf(text)) this.#validate(schema, JSON.parse(line), what)
      return text
    }
    const body: unknown = type.endsWith('json') ? JSON.parse(text) : text
    this.#validate(schema, body, what)
    return body
  }

  #templateFor(resource: string): Readonly<Record<string, Described>> | undefined {
    const template = this.paths.find((path) => {
      return (
        path.includes('{') &&
        new RegExp(`^${path.replace(/\{key\}$/, '.+').replaceAll(/\{[a-z]+\}/g, '[^/]+')}$`).test(resource)
      )
    })
    return template === undefined ? undefined : this.#paths[template]
  }

  #validate(schema: object, value: unknown, what: string): void {
    const validate = this.#ajv.compile({ ...schema, components: this.#components })
    if (!validate(value)) throw new Error(`${what}: ${JSON.stringify(validate.errors)}: ${JSON.stringify(value)}`)
  }
}
