import type { TSchema } from '@sinclair/typebox'

/** A part of the OpenAPI document. */
export type Part = Readonly<Record<string, unknown>>

/** Without a token on the same machine, with one from elsewhere. */
export const LOCAL = [{}, { token: [] }]

/** Over the Unix socket only, where the mode of the file decides. */
export const OPERATOR = [{}]

/** Without a token on the same machine, from elsewhere with an operator's token. */
export const INSIDER = [{}, { token: [] }]

/** Over the Unix socket without a token, elsewhere with an operator's token. */
export const MANAGER = [{}, { token: [] }]

/** With a token, and over the Unix socket without. */
export const OWNER = [{ token: [] }, {}]

/** With a token, in the header or, for browsers, in the URL. */
export const APP = [{ token: [] }, { tokenInUrl: [] }]

export function inUrl(name: string, description: string, required = false): Part {
  return { name, in: 'query', required, description, schema: { type: 'string' } }
}

export function bodyOf(schema: TSchema): Part {
  return { required: true, content: { 'application/json': { schema } } }
}

export function json(schema: TSchema | Part): Part {
  const description = 'description' in schema ? schema['description'] : 'JSON'
  return { description, content: { 'application/json': { schema } } }
}

/** One JSON object per line; a last line of type `diagnostic` says why an answer ended too early. */
export function lines(schema: TSchema): Part {
  return { description: schema.description, content: { 'application/x-ndjson': { schema } } }
}

export function reference(name: string): Part {
  return { description: name, content: { 'application/json': { schema: { $ref: `#/components/schemas/${name}` } } } }
}

/** What every resource may answer that asks for a token from elsewhere. */
export function refusals(): Part {
  return { 401: reference('Error'), 403: reference('Error') }
}

/** A body of many JSON texts, one a line: the schema is that of a line. */
export function items(name: string): Part {
  return { schema: { $ref: `#/components/schemas/${name}` } }
}
