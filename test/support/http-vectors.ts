import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ask, linesOf, type AskOptions, type Reply } from './ask.js'

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }
type JsonObject = Readonly<Record<string, Json>>

interface Step {
  readonly request: {
    readonly method?: string
    readonly path: string
    readonly headers?: Readonly<Record<string, string>>
    readonly auth?: 'token'
    readonly json?: Json
    readonly body?: string
    readonly bodyBase64?: string
  }
  readonly read?: { readonly lines: number; readonly ms: number }
  readonly save?: Readonly<Record<string, string>>
  readonly expect: {
    readonly status: Json
    readonly headers?: JsonObject
    readonly json?: Json
    readonly ndjson?: readonly Json[]
    readonly text?: Json
  }
}

export interface HttpVector {
  readonly id: string
  readonly title: string
  readonly steps: readonly Step[]
}

type Variables = Map<string, Json>

/** The cases of `http.json`; its member `schema` says what they mean. */
export function httpVectors(): readonly HttpVector[] {
  const file = fileURLToPath(new URL('../../../test/fixtures/vectors/http.json', import.meta.url))
  return (JSON.parse(readFileSync(file, 'utf8')) as { cases: HttpVector[] }).cases
}

/** What all cases share on one node: its token and id, and a word that no earlier run has used. */
export async function vectorVariables(url: string): Promise<Variables> {
  const body = '{"appId":"com.example.vectors","displayName":"test data","version":"1.0.0"}'
  const { token } = JSON.parse((await ask(url, '/api/v2/auth', { method: 'POST', body })).text) as { token: string }
  const node = (await ask(url, '/api/v2/node/id')).text
  const middle = token.length >> 1
  const run = Array.from({ length: 12 }, () => String.fromCharCode(97 + Math.floor(Math.random() * 26))).join('')
  // A stream without events is not among the offsets, which one of the first cases looks for.
  await ask(url, '/api/v2/events/publish', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: `{"data":[{"tags":["${run}"],"payload":null}]}`,
  })
  return new Map([
    ['TOKEN', token],
    ['TOKENQ', encodeURIComponent(token)],
    ['TAMPERED', token.slice(0, middle) + (token[middle] === 'A' ? 'B' : 'A') + token.slice(middle + 1)],
    ['NODE', node],
    ['ZERO', '.'.repeat(43)],
    ['RUN', run],
  ])
}

/** @returns what is wrong, empty when the case passes */
export async function runHttpVector(url: string, vector: HttpVector, shared: Variables): Promise<readonly string[]> {
  const variables: Variables = new Map([...shared, ['CASE', vector.id]])
  for (const step of vector.steps) {
    const faults = await runStep(url, step, variables)
    if (faults.length > 0) return faults
  }
  return []
}

async function runStep(url: string, step: Step, variables: Variables): Promise<readonly string[]> {
  const { status, headers, json, ndjson, text } = substitute(step.expect, variables) as unknown as Step['expect']
  const reply = await send(url, step, variables)
  const faults = [
    ...mismatches(reply.status, status, 'status'),
    ...mismatches(reply.headers as Json, headers ?? {}, 'headers'),
  ]
  if (text !== undefined) faults.push(...mismatches(reply.text, text, 'text'))
  if (json !== undefined) faults.push(...mismatches(parse(reply.text), json, 'json'))
  if (ndjson !== undefined) faults.push(...mismatches(linesOf(reply.text).map(parse), ndjson, 'ndjson'))
  for (const [name, pointer] of Object.entries(step.save ?? {})) variables.set(name, at(parse(reply.text), pointer))
  return faults
}

function send(url: string, { request, read }: Step, variables: Variables): Promise<Reply> {
  const {
    method = 'GET',
    path,
    headers = {},
    auth,
    json,
    body,
    bodyBase64,
  } = substitute(request, variables) as unknown as Step['request']
  const options: AskOptions = {
    method,
    headers: {
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...(auth === undefined ? {} : { authorization: `Bearer ${textOf(variables.get('TOKEN'))}` }),
      ...headers,
    },
    ...read,
  }
  if (json !== undefined) return ask(url, path, { ...options, body: JSON.stringify(json) })
  if (bodyBase64 !== undefined) return ask(url, path, { ...options, body: Buffer.from(bodyBase64, 'base64') })
  return ask(url, path, body === undefined ? options : { ...options, body })
}

/** Puts values for `${name}` and `${name+1}`; a string of one variable only takes the type of the value. */
function substitute(value: Json, variables: Variables): Json {
  if (typeof value === 'string') {
    const whole = /^\$\{([^}]+)\}$/.exec(value)?.[1]
    if (whole !== undefined) return lookUp(whole, variables)
    return value.replaceAll(/\$\{([^}]+)\}/g, (_, name: string) => textOf(lookUp(name, variables)))
  }
  if (Array.isArray(value)) return value.map((element: Json) => substitute(element, variables))
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [textOf(substitute(name, variables)), substitute(member, variables)]),
  )
}

function lookUp(text: string, variables: Variables): Json {
  const [, name = '', sign, digits] = /^(\w+)(?:([+-])(\d+))?$/.exec(text) ?? []
  const value = variables.get(name)
  if (value === undefined) throw new Error(`unknown variable ${text}`)
  return sign === undefined ? value : Number(value) + (sign === '+' ? 1 : -1) * Number(digits)
}

function mismatches(value: Json | undefined, pattern: Json, path: string): string[] {
  if (Array.isArray(pattern)) {
    const list: readonly Json[] = pattern
    if (!Array.isArray(value) || value.length !== list.length) return [fault(path, value, pattern)]
    return list.flatMap((element, index) =>
      mismatches((value as readonly Json[])[index], element, `${path}/${String(index)}`),
    )
  }
  if (!isObject(pattern)) return value === pattern ? [] : [fault(path, value, pattern)]
  const operators = Object.keys(pattern).filter((name) => name.startsWith('$'))
  if (operators.length > 0) {
    return operators.flatMap((name) => (holds(name, value, pattern[name] ?? null) ? [] : [fault(path, value, pattern)]))
  }
  if (!isObject(value)) return [fault(path, value, pattern)]
  return Object.entries(pattern).flatMap(([name, member]) => mismatches(value[name], member, `${path}/${name}`))
}

function holds(operator: string, value: Json | undefined, argument: Json): boolean {
  switch (operator) {
    case '$exact':
      return (
        mismatches(value, argument, '').length === 0 &&
        Object.keys(value as object).length === Object.keys(argument as object).length
      )
    case '$type':
      return typeOf(value) === argument || (argument === 'number' && typeOf(value) === 'int')
    case '$re':
      return typeof value === 'string' && new RegExp(textOf(argument)).test(value)
    case '$oneOf':
      return (argument as readonly Json[]).some((pattern) => mismatches(value, pattern, '').length === 0)
    case '$gt':
      return typeof value === 'number' && value > Number(argument)
    case '$any':
      return value !== undefined
    case '$absent':
      return value === undefined
    case '$len':
      return (value as { length?: number } | undefined)?.length === argument
    case '$contains':
      return (argument as readonly Json[]).every((pattern) =>
        (value as readonly Json[]).some((element) => mismatches(element, pattern, '').length === 0),
      )
    default:
      throw new Error(`unknown pattern ${operator}`)
  }
}

/** A string as it is, anything else as JSON. */
function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function typeOf(value: Json | undefined): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'int' : typeof value
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function parse(text: string): Json {
  return JSON.parse(text) as Json
}

function at(value: Json, pointer: string): Json {
  let here: Json = value
  for (const name of pointer.split('/').slice(1)) here = (here as JsonObject)[name] ?? null
  return here
}

function fault(path: string, value: Json | undefined, pattern: Json): string {
  return `${path}: got ${JSON.stringify(value)}, expected ${JSON.stringify(pattern)}`
}
