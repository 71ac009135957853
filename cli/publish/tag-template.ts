import { UsageError } from '../usage-error.js'

/** Makes tags of a payload. */
export type TagTemplate = (payload: unknown) => readonly string[]

/**
 * Understands one value of `--tags-from`: field names (`carrier,plane.type`, which give `carrier:AA` and
 * `plane.type:737`), or one template with fields in braces (`flight:{carrier}-{number}`).
 *
 * A field that is missing, null or an object gives no tag; a list gives one tag for each element.
 *
 * @throws UsageError
 */
export function parseTagTemplates(text: string): TagTemplate[] {
  if (text.includes('{') || text.includes('}')) return [compile(text)]
  const fields = text.split(',').map((field) => field.trim())
  if (fields.includes('')) throw new UsageError(`--tags-from '${text}' names an empty field`)
  return fields.map((field) => compile(`${field}:{${field}}`))
}

interface Part {
  readonly literal: string
  /** The field that follows the literal text, as a path. */
  readonly path: readonly string[] | undefined
}

function compile(template: string): TagTemplate {
  const parts = partsOf(template)
  return (payload) =>
    parts.reduce<readonly string[]>(
      (tags, { literal, path }) => {
        const values = path === undefined ? [''] : textsAt(payload, path)
        return tags.flatMap((tag) => values.map((value) => tag + literal + value))
      },
      [''],
    )
}

function partsOf(template: string): Part[] {
  const parts: Part[] = []
  let at = 0
  for (const match of template.matchAll(/\{([^{}]*)\}/g)) {
    const field = match[1]?.trim() ?? ''
    if (field === '') throw new UsageError(`--tags-from '${template}' has a pair of braces without a field`)
    parts.push({ literal: literal(template, at, match.index), path: field.split('.') })
    at = match.index + match[0].length
  }
  parts.push({ literal: literal(template, at, template.length), path: undefined })
  return parts
}

function literal(template: string, from: number, to: number): string {
  const text = template.slice(from, to)
  if (/[{}]/.test(text)) throw new UsageError(`--tags-from '${template}' has a brace without its partner`)
  return text
}

function textsAt(payload: unknown, path: readonly string[]): readonly string[] {
  let value = payload
  for (const key of path) value = memberOf(value, key)
  return (Array.isArray(value) ? (value as unknown[]) : [value]).flatMap(textOf)
}

function memberOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
  return (value as Readonly<Record<string, unknown>>)[key]
}

function textOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return value === '' ? [] : [value]
  return typeof value === 'number' || typeof value === 'boolean' ? [String(value)] : []
}
