import { parseAnswerLine, splitLineBytes, type EventLine } from '../../client/index.js'
import { cellOf } from './columns.js'

/** Columns that every event has. */
const FIXED = ['time', 'stream', 'offset', 'lamport', 'tags', 'appId'] as const

/** Turns saved rows into CSV (RFC 4180), with the members of all payloads as columns. */
export async function csvOf(ndjson: Blob): Promise<Blob> {
  const columns = new Set<string>()
  for await (const row of rowsOf(ndjson)) for (const name of namesOf(row)) columns.add(name)
  const pieces: Blob[] = [new Blob([record([...FIXED, ...columns])])]
  let lines: string[] = []
  for await (const row of rowsOf(ndjson)) {
    lines.push(record([...fixedOf(row), ...[...columns].map((name) => textOf(cellOf(row, name)))]))
    if (lines.length < 10_000) continue
    pieces.push(new Blob(lines))
    lines = []
  }
  return new Blob([...pieces, ...lines], { type: 'text/csv' })
}

async function* rowsOf(ndjson: Blob): AsyncGenerator<EventLine> {
  const decoder = new TextDecoder()
  for await (const bytes of splitLineBytes(chunksOf(ndjson.stream()))) {
    if (bytes.length === 0) continue
    const line = parseAnswerLine(decoder.decode(bytes))
    if (line.type === 'event') yield line
  }
}

/** Not all browsers can iterate over streams. */
async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    yield value
  }
}

function namesOf({ payload }: EventLine): readonly string[] {
  return typeof payload === 'object' && payload !== null && !Array.isArray(payload) ? Object.keys(payload) : ['value']
}

function fixedOf({ timestamp, stream, offset, lamport, tags, appId }: EventLine): readonly string[] {
  const time = new Date(timestamp / 1000).toISOString().replace('Z', `${String(timestamp % 1000).padStart(3, '0')}Z`)
  return [time, stream, String(offset), String(lamport), tags.join(' '), appId]
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function record(fields: readonly string[]): string {
  return `${fields.map(field).join(',')}\r\n`
}

/** What a spreadsheet would take for a formula is made a text. */
function field(text: string): string {
  const safe = /^[=@\t\r]|^[+-](?![\d.])/.test(text) ? `'${text}` : text
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
