import { isAlias, isMap, isNode, isScalar, isSeq, YAMLMap, type Node, type Scalar } from 'yaml'
import { nearestWord } from '../core/index.js'
import { clip, MOST_PROBLEMS, problemAt, type Problem } from './problem.js'
import { offsetInSource } from './scalar-position.js'
import type { SchemaNode } from './schema-node.js'
import { checkNameIn, decoderOf, InvalidSettingError } from './setting.js'
import type { SourceText } from './source-text.js'
import type { YamlText } from './yaml-text.js'

/** What stands for a value that is refused; its problems are recorded. */
export const INVALID = Symbol('invalid')

export interface ReaderOptions {
  /** Where relative paths start. */
  readonly directory: string
}

/** Reads values of one text by their schemas, and records what is wrong with them. */
export class SettingReader {
  readonly problems: Problem[] = []
  readonly warnings: Problem[] = []
  /** Where the names in maps of named things stand. */
  #names = new Map<string, readonly [start: number, end: number]>()
  readonly #source: SourceText
  readonly #yaml: Pick<YamlText, 'resolve'>
  readonly #options: ReaderOptions
  /** What became of a node: a thousand aliases of one long text are one text to read. */
  readonly #read = new Map<SchemaNode, Map<Node, unknown>>()

  constructor(source: SourceText, yaml: Pick<YamlText, 'resolve'>, options: ReaderOptions) {
    this.#source = source
    this.#yaml = yaml
    this.#options = options
  }

  /** @returns the decoded value, or {@link INVALID} */
  read(schema: SchemaNode, written: Node): unknown {
    const node = this.#yaml.resolve(written)
    // An alias that leads nowhere has been told by the parser.
    if (isAlias(node)) return INVALID
    const known = this.#read.get(schema) ?? new Map<Node, unknown>()
    this.#read.set(schema, known)
    if (!known.has(node)) known.set(node, this.#readNode(schema, node))
    return known.get(node)
  }

  #readNode(schema: SchemaNode, node: Node): unknown {
    if (schema.writeOnly === true && node.range) this.#source.hide(node.range[0], node.range[1])
    const form = this.#readForm(schema, node)
    return form === INVALID ? INVALID : this.#decode(schema, form, node)
  }

  /** Where the names in the maps of named things stand that were read since the last call. */
  takeNames(): ReadonlyMap<string, readonly [start: number, end: number]> {
    const names = this.#names
    this.#names = new Map()
    return names
  }

  refuse(node: Node, reason: string, mend?: string): typeof INVALID {
    const [start, end] = node.range ?? [0, 0]
    return this.refuseAt(start, end, reason, mend)
  }

  refuseAt(start: number, end: number, reason: string, mend?: string): typeof INVALID {
    if (this.problems.length < MOST_PROBLEMS) this.problems.push(problemAt(this.#source, start, end, reason, mend))
    return INVALID
  }

  warn(node: Node, reason: string, mend?: string): void {
    const [start, end] = node.range ?? [0, 0]
    if (this.warnings.length < MOST_PROBLEMS) this.warnings.push(problemAt(this.#source, start, end, reason, mend))
  }

  /** The members of a map whose names are known, also those that stand twice; the others are refused. */
  members(schema: SchemaNode, map: YAMLMap): Member[] {
    const known = schema.properties ?? {}
    const members: Member[] = []
    for (const { key, name, value } of entriesOf(map)) {
      if (Object.hasOwn(known, name)) members.push({ name, key, value: value ?? key })
      else if (this.problems.length < MOST_PROBLEMS)
        this.refuse(key, `unknown key '${clip(name)}'`, mendKey(name, Object.keys(known)))
    }
    return members
  }

  #decode(schema: SchemaNode, form: unknown, node: Node): unknown {
    const decode = decoderOf(schema)
    if (decode === undefined) return typeof form === 'bigint' ? Number(form) : form
    const warn = (reason: string, mend?: string): void => {
      this.warn(node, reason, mend)
    }
    try {
      return decode(form, { ...this.#options, warn })
    } catch (error) {
      if (!(error instanceof InvalidSettingError)) throw error
      return this.#refuseInside(node, error)
    }
  }

  #refuseInside(node: Node, { message, mend, offset }: InvalidSettingError): typeof INVALID {
    if (offset === undefined || !isScalar(node) || !node.range) return this.refuse(node, message, mend)
    const start = offsetInSource(this.#source.text, node, offset)
    return this.refuseAt(start, start + 1, message, mend)
  }

  #readForm(schema: SchemaNode, node: Node): unknown {
    if (schema.anyOf !== undefined) {
      const form = choose(schema.anyOf, node)
      if (form === undefined) return this.#mismatch(schema, node)
      return decoderOf(form) === undefined ? this.#readForm(form, node) : this.read(form, node)
    }
    if (!isOfKind(schema, node)) return this.#mismatch(schema, node)
    if (isMap(node))
      return schema.patternProperties === undefined ? this.#readMembers(schema, node) : this.#readNamed(schema, node)
    if (isSeq(node)) return this.#readItems(schema, node.items as readonly Node[], node)
    return isScalar(node) ? this.#checkScalar(schema, node) : INVALID
  }

  #checkScalar(form: SchemaNode, node: Scalar): unknown {
    const { value } = node
    if (typeof value === 'bigint') {
      if (form.minimum !== undefined && (value < form.minimum || isNegative(node))) {
        return this.refuse(node, `at least ${String(form.minimum)}, found ${found(node)}`)
      }
      if (form.maximum !== undefined && value > form.maximum)
        return this.refuse(node, `at most ${String(form.maximum)}, found ${found(node)}`)
    }
    if (typeof value === 'string') {
      if (value.length < (form.minLength ?? 0)) return this.refuse(node, 'empty text')
      if (value.length > (form.maxLength ?? Infinity)) {
        return this.refuse(node, `longer than ${String(form.maxLength)} characters`)
      }
    }
    return value
  }

  #readMembers(schema: SchemaNode, map: YAMLMap): unknown {
    const values = this.members(schema, map).map(({ name, value }): [string, unknown] => {
      const member = schema.properties?.[name]
      return [name, member === undefined ? INVALID : this.read(member, value)]
    })
    const present = new Set(values.map(([name]) => name))
    for (const [name, member] of Object.entries(schema.properties ?? {})) {
      if (present.has(name)) continue
      if (member.default !== undefined) values.push([name, this.#decode(member, member.default, map)])
      else values.push([name, this.refuseStart(map, `'${name}' is missing`)])
    }
    return values.some(([, value]) => value === INVALID) ? INVALID : Object.fromEntries(values)
  }

  /** Points at the beginning of something that spans lines. */
  refuseStart(node: Node, reason: string, mend?: string): typeof INVALID {
    const start = node.range?.[0] ?? 0
    return this.refuseAt(start, start + 1, reason, mend)
  }

  #readNamed(schema: SchemaNode, map: YAMLMap): unknown {
    const [values] = Object.values(schema.patternProperties ?? {})
    const named = new Map<string, unknown>()
    let valid = true
    for (const entry of entriesOf(map)) {
      const name = this.#readName(schema, entry)
      const read = values === undefined ? INVALID : this.#readNamedValue(values, entry)
      if (name === INVALID || read === INVALID) valid = false
      else named.set(entry.name, read)
      if (entry.key.range) this.#names.set(entry.name, [entry.key.range[0], entry.key.range[1]])
    }
    return valid ? named : INVALID
  }

  #readNamedValue(schema: SchemaNode, { key, name, value }: Entry): unknown {
    const node = value === undefined ? key : this.#yaml.resolve(value)
    if (value !== undefined && !(isScalar(node) && node.value === null)) return this.read(schema, value)
    return this.refuse(key, `'${clip(name)}' has no value`, 'write {} for a stream without limits')
  }

  #readName(schema: SchemaNode, { key, name }: Entry): unknown {
    try {
      checkNameIn(schema, name)
      return name
    } catch (error) {
      if (!(error instanceof InvalidSettingError)) throw error
      return this.refuse(key, error.message, error.mend)
    }
  }

  #readItems(schema: SchemaNode, items: readonly Node[], list: Node): unknown {
    const whole = schema.joinHalves === undefined ? items : this.#joinHalves(items, schema.joinHalves)
    if (whole.length < (schema.minItems ?? 0)) return this.refuse(list, 'an empty list')
    if (whole.length > (schema.maxItems ?? Infinity)) {
      return this.refuseStart(list, `more than ${String(schema.maxItems)} items`)
    }
    const values = whole.map((item) => (schema.items === undefined ? INVALID : this.read(schema.items, item)))
    return values.includes(INVALID) ? INVALID : values
  }

  /** Makes one item of two neighbours of which each holds just its half. */
  #joinHalves(items: readonly Node[], [first, second]: readonly [string, string]): Node[] {
    const whole: Node[] = []
    for (let at = 0; at < items.length; at++) {
      const item = items[at]
      const next = items[at + 1]
      if (item === undefined) continue
      if (next !== undefined && this.#holdsOnly(item, first) && this.#holdsOnly(next, second)) {
        whole.push(this.#merge(item, next))
        at += 1
      } else whole.push(item)
    }
    return whole
  }

  #holdsOnly(item: Node, key: string): boolean {
    const map = this.#yaml.resolve(item)
    return isMap(map) && map.items.length === 1 && map.items[0] !== undefined && nameOf(map.items[0].key) === key
  }

  #merge(first: Node, second: Node): Node {
    const merged = new YAMLMap()
    for (const half of [first, second]) {
      const map = this.#yaml.resolve(half)
      if (isMap(map)) merged.items.push(...map.items)
    }
    if (first.range && second.range) merged.range = [first.range[0], second.range[1], second.range[2]]
    return merged
  }

  #mismatch(schema: SchemaNode, node: Node): typeof INVALID {
    const words = (schema.anyOf ?? [schema]).flatMap((form) => form.const ?? [])
    if (isScalar(node) && typeof node.value === 'string' && words.length > 0) {
      const nearest = nearestWord(node.value, words)
      const mend = nearest === undefined ? undefined : `did you mean '${nearest}'?`
      return this.refuse(node, `expected ${describe(schema)}, found '${clip(node.value)}'`, mend)
    }
    const precise = this.#mismatchByDecoder(schema, node)
    if (precise !== undefined) return this.#refuseInside(node, precise)
    return this.refuseStartOrAll(node, `expected ${describe(schema)}, found ${found(node)}`, mendKind(schema, node))
  }

  refuseStartOrAll(node: Node, reason: string, mend?: string): typeof INVALID {
    return isScalar(node) ? this.refuse(node, reason, mend) : this.refuseStart(node, reason, mend)
  }

  /** What the decoder of texts says about a number or a word that YAML took for something else. */
  #mismatchByDecoder(schema: SchemaNode, node: Node): InvalidSettingError | undefined {
    const text = (schema.anyOf ?? [schema]).find((form) => form.type === 'string' && form.const === undefined)
    const decode = text === undefined ? undefined : (decoderOf(text) ?? decoderOf(schema))
    if (decode === undefined || !isScalar(node) || node.value === null || !node.source) return undefined
    try {
      decode(node.source, { ...this.#options, warn: () => undefined })
      return undefined
    } catch (error) {
      return error instanceof InvalidSettingError ? error : undefined
    }
  }
}

/** A member of a map; without a value `value` is the key's own node. */
interface Member {
  readonly name: string
  readonly key: Node
  readonly value: Node
}

interface Entry {
  readonly key: Node
  readonly name: string
  readonly value: Node | undefined
}

/** The members of a map that have a name; the others are errors of the text itself. */
export function entriesOf(map: YAMLMap): Entry[] {
  return map.items.flatMap(({ key, value }) =>
    isScalar(key) && typeof key.value === 'string'
      ? [{ key, name: key.value, value: isNode(value) ? value : undefined }]
      : [],
  )
}

type Kind = 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean' | 'null'

function kindOf(node: Node): Kind | undefined {
  if (isMap(node)) return 'object'
  if (isSeq(node)) return 'array'
  if (!isScalar(node)) return undefined
  const { value } = node
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'bigint') return 'integer'
  if (typeof value === 'number') return 'number'
  if (typeof value === 'boolean') return 'boolean'
  return typeof value === 'string' ? 'string' : undefined
}

function choose(forms: readonly SchemaNode[], node: Node): SchemaNode | undefined {
  const fitting = forms.filter((form) => isOfKind(form, node))
  return fitting.find((form) => form.const !== undefined) ?? fitting[0]
}

/** Whether a value is of the kind that a form asks for; its bounds come later. */
export function isOfKind(form: SchemaNode, node: Node): boolean {
  if (form.const !== undefined) return isScalar(node) && node.value === form.const
  if (form.anyOf !== undefined) return form.anyOf.some((inner) => isOfKind(inner, node))
  return form.type === kindOf(node)
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  object: 'a map',
  array: 'a list',
  string: 'text',
  integer: 'a whole number',
  boolean: 'true or false',
  null: 'null',
}

function describe(schema: SchemaNode): string {
  const names = (schema.anyOf ?? [schema]).map((form) =>
    form.const === undefined ? (KIND_NAMES[form.type ?? ''] ?? 'a value') : `'${form.const}'`,
  )
  const unique = [...new Set(names.filter((name) => name !== 'null' || names.length === 1))]
  const last = unique.pop() ?? 'a value'
  return unique.length === 0 ? last : `${unique.join(', ')} or ${last}`
}

function found(node: Node): string {
  if (!isScalar(node)) return isMap(node) ? 'a map' : isSeq(node) ? 'a list' : 'something else'
  if (node.value === null) return 'nothing'
  const text = clip(node.source ?? '')
  return typeof node.value === 'string' ? `the text '${text}'` : text
}

function mendKind(schema: SchemaNode, node: Node): string | undefined {
  if (!isScalar(node)) return undefined
  const kinds = (schema.anyOf ?? [schema]).map((form) => form.type)
  const { value } = node
  if (kinds.includes('integer')) {
    if (typeof value === 'string' && /^[0-9]+$/.test(value)) return 'remove the quotes'
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return `did you mean ${String(value)}?`
  }
  const isWord = typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
  return kinds.includes('string') && isWord ? `put it in quotes: '${clip(node.source ?? '')}'` : undefined
}

/** What comes later; named so that nobody looks for a spelling mistake. */
const LATER = new Set(['stateMachines', 'processors', 'workflows', 'fleet'])

/** Words of Actyx and others for settings that have another name here. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  swarmKey: 'key',
  psk: 'key',
  initialPeers: 'peers',
  bootstrap: 'peers',
  bootstrapPeers: 'peers',
  announceAddresses: 'announce',
  listenAddresses: 'listen',
  gossipInterval: 'headsInterval',
  replication: 'replicate',
}

function mendKey(key: string, known: readonly string[]): string {
  const other = Object.hasOwn(OTHER_WORDS, key) ? OTHER_WORDS[key] : undefined
  const nearest = other !== undefined && known.includes(other) ? other : nearestWord(key, known)
  if (nearest !== undefined) return `did you mean '${nearest}'?`
  const names = `known here: ${known.join(', ')}`
  return LATER.has(key) && known.includes('eventRouting') ? `not in this version; ${names}` : names
}

function nameOf(key: unknown): string {
  return isScalar(key) ? String(key.value) : ''
}

function isNegative({ source, value }: Scalar): boolean {
  return source === undefined ? typeof value === 'bigint' && value < 0n : source.startsWith('-')
}
