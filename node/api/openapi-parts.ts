import type { TSchema } from '@sinclair/typebox'

/** A part of the OpenAPI document. */
export type Part = Readonly<Record<string, unknown>>

/** Without a token on the same machine, with one from elsewhere. */
export const LOCAL = [{}, { token: [] }]

/** Over the Unix socket only, where the mode of the file decides. */
export const OPERATOR = [{}]

/** With a token, in the header or, for browsers, in the URL. */
export const APP = [{ token: [] }, { tokenInUrl: [] }]

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

/**
 * A stream of lines or events. OpenAPI 3.1 has no word for the items of a stream; 3.2 calls it `itemSchema`, and so does
 * this extension.
 */
export function stream(description: string, types: readonly string[], item: string): Part {
  const media = { schema: { type: 'string' }, 'x-itemSchema': { $ref: `#/components/schemas/${item}` } }
  return { description, content: Object.fromEntries(types.map((type) => [type, media])) }
}
