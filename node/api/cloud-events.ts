import { randomUUID } from 'node:crypto'
import { ZERO_STREAM_ID } from '../../core/index.js'
import { gathered, LineSplitter, type AnswerForm } from './answer-form.js'

/** The members of a line before its payload, and those of lines that have none. */
interface Line {
  readonly type: string
  readonly lamport?: number
  readonly stream?: string
  readonly offset?: number
  readonly timestamp?: number
  readonly tags?: readonly string[]
  readonly appId?: string
  readonly fromKey?: EventKey
  readonly toKey?: EventKey
  readonly fromTime?: number
  readonly toTime?: number
  readonly caughtUp?: boolean
}

interface EventKey {
  readonly lamport: number
  readonly stream: string
  readonly offset: number
}

/** Values of CloudEvents attributes in their JSON form; what is `undefined` is left out. */
type Attributes = Readonly<Record<string, string | boolean | undefined>>

const PAYLOAD = Buffer.from(',"payload":')

/** What no value of an attribute may hold (CloudEvents 1.0.2, section "Type System"); lines hold no lone surrogates. */
const FORBIDDEN = /[\p{Cc}\p{Noncharacter_Code_Point}]/u
const FORBIDDEN_ALL = new RegExp(FORBIDDEN, 'gu')

/**
 * Turns the lines of one answer into CloudEvents 1.0 in their JSON form. A stored event keeps the same `source` and `id`
 * in all answers of all nodes, so that receivers know it again; what an answer makes itself has ids of that answer.
 */
export class CloudEventMapper {
  readonly #node: string
  readonly #answer = randomUUID()
  #made = 0
  #last: { readonly source: string; readonly offset: number; rows: number } | undefined

  constructor(nodeId: string) {
    this.#node = sourceOf(nodeId)
  }

  /** @param line a line of an answer, without line feed */
  map(line: Buffer): Buffer {
    // A quote inside a string is escaped, so this cannot be part of a tag.
    const at = line.indexOf(PAYLOAD)
    if (at < 0) return this.#notice(line)
    const head = JSON.parse(`${line.toString('utf8', 0, at)}}`) as Line
    const attributes = render({ ...this.#identity(head), ...eventAttributes(head) })
    return Buffer.concat([
      Buffer.from(`{${attributes},"datacontenttype":"application/json","data":`),
      line.subarray(at + PAYLOAD.length),
    ])
  }

  /** Lines that are no events: offsets, diagnostics, time travels. */
  #notice(line: Buffer): Buffer {
    const { type, ...data } = JSON.parse(line.toString()) as Line
    const attributes = render({ ...this.#own(), type: `millrace.${type}` })
    return Buffer.from(`{${attributes},"datacontenttype":"application/json","data":${JSON.stringify(data)}}`)
  }

  #identity({ type, stream = ZERO_STREAM_ID, offset = 0 }: Line): Attributes {
    if (type !== 'event' || stream === ZERO_STREAM_ID) return this.#own()
    const source = sourceOf(stream)
    if (this.#last?.source !== source || this.#last.offset !== offset) {
      this.#last = { source, offset, rows: 0 }
      return { id: String(offset), source }
    }
    // Several rows of one event.
    this.#last.rows += 1
    return { id: `${String(offset)}/${String(this.#last.rows)}`, source }
  }

  #own(): Attributes {
    this.#made += 1
    return { id: `${this.#answer}/${String(this.#made)}`, source: this.#node }
  }
}

/** A URI of our own scheme; the alphabet of ids needs escapes only for the slash. */
function sourceOf(id: string): string {
  return `millrace:${id.replaceAll('/', '%2F')}`
}

function eventAttributes(line: Line): Attributes {
  const { type, stream = ZERO_STREAM_ID, lamport = 0, timestamp = 0, tags = [], appId = '' } = line
  const isStored = stream !== ZERO_STREAM_ID
  const { fromKey, toKey, fromTime, toTime } = line
  const micros = isStored ? timestamp : toTime
  return {
    type: `${isStored ? appId : 'millrace'}.${type}`,
    time: timeOf(micros),
    subject: tags.find((tag) => !FORBIDDEN.test(tag)),
    tags: escaped(JSON.stringify(tags)),
    ...(isStored ? { appid: appId, lamport: String(lamport) } : {}),
    fromkey: keyOf(fromKey),
    tokey: keyOf(toKey),
    fromtime: timeOf(fromTime),
    totime: timeOf(toTime),
    caughtup: line.caughtUp,
  }
}

function render(attributes: Attributes): string {
  const all: Attributes = { specversion: '1.0', ...attributes }
  return Object.entries(all)
    .flatMap(([name, value]) => (value === undefined ? [] : `"${name}":${JSON.stringify(value)}`))
    .join(',')
}

/** RFC 3339 with microseconds. */
function timeOf(micros: number | undefined): string | undefined {
  if (micros === undefined) return undefined
  const millis = Math.floor(micros / 1000)
  const rest = String(micros - millis * 1000).padStart(3, '0')
  return new Date(millis).toISOString().replace('Z', `${rest}Z`)
}

function keyOf(key: EventKey | undefined): string | undefined {
  return key === undefined ? undefined : `${String(key.lamport)}/${key.stream}/${String(key.offset)}`
}

/** JSON text in which the characters that an attribute may not hold stand as escapes. */
function escaped(json: string): string {
  return json.replace(FORBIDDEN_ALL, (character) =>
    Array.from({ length: character.length }, (_, at) => character.charCodeAt(at))
      .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
      .join(''),
  )
}

/** CloudEvents line by line. */
export class CloudEventLines implements AnswerForm {
  readonly contentType: string
  readonly headers = []
  readonly head = ''
  readonly keepAlive = '\n'
  readonly #mapper: CloudEventMapper
  readonly #lines = new LineSplitter()

  constructor(contentType: string, mapper: CloudEventMapper) {
    this.contentType = contentType
    this.#mapper = mapper
  }

  encode(chunk: Uint8Array): Iterable<Uint8Array> {
    return gathered(this.#encoded(chunk))
  }

  end(error: string | undefined): Uint8Array | undefined {
    return error === undefined ? undefined : this.#line(Buffer.from(error.trimEnd()))
  }

  *#encoded(chunk: Uint8Array): Generator<Buffer> {
    for (const line of this.#lines.split(chunk)) yield this.#line(line)
  }

  #line(line: Buffer): Buffer {
    return Buffer.concat([this.#mapper.map(line), Buffer.from('\n')])
  }
}

/** One JSON array of CloudEvents, for answers that end. */
export class CloudEventBatch implements AnswerForm {
  readonly contentType = 'application/cloudevents-batch+json'
  readonly headers = []
  readonly head = '['
  readonly keepAlive = '\n'
  readonly #mapper: CloudEventMapper
  readonly #lines = new LineSplitter()
  #isFirst = true

  constructor(mapper: CloudEventMapper) {
    this.#mapper = mapper
  }

  encode(chunk: Uint8Array): Iterable<Uint8Array> {
    return gathered(this.#elements(chunk))
  }

  end(error: string | undefined): Uint8Array {
    const last = error === undefined ? [] : [this.#element(Buffer.from(error.trimEnd()))]
    return Buffer.concat([...last, Buffer.from('\n]\n')])
  }

  *#elements(chunk: Uint8Array): Generator<Buffer> {
    for (const line of this.#lines.split(chunk)) yield this.#element(line)
  }

  #element(line: Buffer): Buffer {
    const separator = Buffer.from(this.#isFirst ? '\n' : ',\n')
    this.#isFirst = false
    return Buffer.concat([separator, this.#mapper.map(line)])
  }
}
