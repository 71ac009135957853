import type { AppId, TagSet } from '../core/index.js'
import { ByteReader } from './byte-reader.js'
import { ByteWriter } from './byte-writer.js'
import type { RecordPlace } from './corrupt-record.js'
import type { LineSet } from './line-set.js'

/**
 * Which lines of a block have which tag and which app id, exactly.
 *
 * Stored as two dictionaries. A dictionary is sorted by the bytes of its names and is searched where it lies: every
 * {@link RESTART}th entry can be jumped to, the entries in between are walked through.
 */
export interface PositionIndex {
  readonly tags: PositionDictionary
  readonly apps: PositionDictionary
  /** Bytes it holds on to. */
  readonly memory: number
}

/** Entries per jump. */
const RESTART = 16

/** Forms of a list of lines; each name takes the shortest. */
const FORM_ALL = 0
const FORM_DELTAS = 1
const FORM_RUNS = 2
const FORM_BITS = 3

/** Names of an index at most; no block has so many tags. */
const MAX_NAMES = 1 << 26

export function encodePositions(tags: readonly TagSet[], appIds: readonly AppId[]): Buffer {
  const writer = new ByteWriter(4096)
  const tagLines = new Map<string, number[]>()
  const appLines = new Map<string, number[]>()
  tags.forEach((set, line) => {
    for (const tag of set) addLine(tagLines, tag, line)
  })
  appIds.forEach((appId, line) => {
    addLine(appLines, appId, line)
  })
  writeDictionary(writer, tagLines, tags.length)
  writeDictionary(writer, appLines, tags.length)
  return writer.finish()
}

/**
 * @param count lines of the block
 * @throws CorruptRecordError; damage inside an entry is only found when the entry is looked at
 */
export function openPositions(data: Buffer, count: number, place: RecordPlace): PositionIndex {
  const reader = new ByteReader(data, 0, place)
  const tags = PositionDictionary.read(reader, count)
  const apps = PositionDictionary.read(reader, count)
  reader.end()
  return { tags, apps, memory: data.length }
}

/** Names and their lines, read on demand from the stored form. */
export class PositionDictionary {
  readonly size: number
  readonly #count: number
  readonly #data: Buffer
  /** Where the table of jumps and the entries begin, and the entries end. */
  readonly #jumpsAt: number
  readonly #entriesAt: number
  readonly #end: number
  readonly #place: RecordPlace

  private constructor(reader: ByteReader, size: number, count: number) {
    this.size = size
    this.#count = count
    this.#data = reader.data
    this.#place = reader.place
    const length = reader.varint()
    this.#jumpsAt = reader.at
    reader.bytes(4 * Math.ceil(size / RESTART))
    this.#entriesAt = reader.at
    reader.bytes(length)
    this.#end = reader.at
  }

  static read(reader: ByteReader, count: number): PositionDictionary {
    return new PositionDictionary(reader, reader.count(MAX_NAMES), count)
  }

  /** Adds the lines that have at least one of the names. */
  addLinesOf(names: ReadonlySet<string>, into: LineSet): void {
    // Walking through costs about as much as eight searches per jump that it saves.
    if (8 * names.size > this.size) this.#walk(names, into)
    else for (const name of names) this.addLines(name, into)
  }

  addLines(name: string, into: LineSet): void {
    const wanted = encodeName(name)
    const jump = this.#lastJumpUpTo(wanted)
    if (jump < 0) return
    const reader = this.#readerAt(this.#jumpTarget(jump))
    const last = Math.min(this.size, (jump + 1) * RESTART)
    for (let entry = jump * RESTART; entry < last; entry++) {
      const order = compareAt(reader, wanted)
      if (order === 0) this.#addList(reader, into)
      if (order >= 0) return
      skipList(reader)
    }
  }

  #walk(names: ReadonlySet<string>, into: LineSet): void {
    const reader = this.#readerAt(this.#entriesAt)
    for (let entry = 0; entry < this.size; entry++) {
      if (names.has(this.#nameAt(reader))) this.#addList(reader, into)
      else skipList(reader)
    }
  }

  /** The last jump whose entry is not behind the wanted name, or -1. */
  #lastJumpUpTo(wanted: Buffer): number {
    let low = 0
    let high = Math.ceil(this.size / RESTART)
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareAt(this.#readerAt(this.#jumpTarget(middle)), wanted) <= 0) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  #jumpTarget(jump: number): number {
    return this.#entriesAt + this.#data.readUInt32LE(this.#jumpsAt + 4 * jump)
  }

  #readerAt(at: number): ByteReader {
    return new ByteReader(this.#data.subarray(0, this.#end), Math.min(at, this.#end), this.#place)
  }

  #nameAt(reader: ByteReader): string {
    const text = reader.text()
    if (!text.includes('\\')) return text
    try {
      return JSON.parse(`"${text}"`) as string
    } catch {
      reader.fail('a name is malformed')
    }
  }

  #addList(reader: ByteReader, into: LineSet): void {
    const form = reader.u8()
    if (form === FORM_ALL) {
      into.addRange(0, this.#count)
      return
    }
    const list = reader.sized()
    const lines = new ByteReader(list, 0, this.#place)
    if (form === FORM_DELTAS) this.#addDeltas(lines, into)
    else if (form === FORM_RUNS) this.#addRuns(lines, into)
    else if (form === FORM_BITS) this.#addBits(lines, into)
    else reader.fail('a list has an unknown form')
  }

  #addDeltas(lines: ByteReader, into: LineSet): void {
    let line = -1
    while (lines.remaining > 0) {
      line += 1 + lines.varint()
      if (line >= this.#count) lines.fail('a line number is too large')
      into.add(line)
    }
  }

  #addRuns(lines: ByteReader, into: LineSet): void {
    let line = 0
    while (lines.remaining > 0) {
      line += lines.varint()
      const end = line + 1 + lines.varint()
      if (end > this.#count) lines.fail('a line number is too large')
      into.addRange(line, end)
      line = end
    }
  }

  #addBits(lines: ByteReader, into: LineSet): void {
    if (lines.remaining !== (this.#count + 7) >>> 3) lines.fail('a list has a wrong size')
    for (let line = 0; line < this.#count; line++) {
      if (((lines.data[line >>> 3] ?? 0) & (1 << (line & 7))) !== 0) into.add(line)
    }
  }
}

function addLine(lists: Map<string, number[]>, name: string, line: number): void {
  const list = lists.get(name)
  if (list === undefined) lists.set(name, [line])
  else list.push(line)
}

/** The inside of the JSON string: keeps every name apart, also those that are no well-formed UTF-16. */
function encodeName(name: string): Buffer {
  return Buffer.from(JSON.stringify(name).slice(1, -1))
}

function writeDictionary(writer: ByteWriter, lists: ReadonlyMap<string, readonly number[]>, count: number): void {
  const sorted = [...lists].map(([name, lines]) => ({ name: encodeName(name), lines }))
  sorted.sort((a, b) => Buffer.compare(a.name, b.name))
  const entries = new ByteWriter(4096)
  const jumps: number[] = []
  sorted.forEach(({ name, lines }, entry) => {
    if (entry % RESTART === 0) jumps.push(entries.length)
    entries.sized(name)
    writeList(entries, lines, count)
  })
  writer.varint(sorted.length)
  writer.varint(entries.length)
  for (const jump of jumps) writer.u32(jump)
  writer.bytes(entries.finish())
}

function writeList(writer: ByteWriter, lines: readonly number[], count: number): void {
  if (lines.length === count) {
    writer.u8(FORM_ALL)
    return
  }
  const forms: [number, Buffer][] = [
    [FORM_DELTAS, deltas(lines)],
    [FORM_RUNS, runs(lines)],
  ]
  if (lines.length > count >>> 3) forms.push([FORM_BITS, bits(lines, count)])
  const [form, list] = forms.reduce((best, next) => (next[1].length < best[1].length ? next : best))
  writer.u8(form)
  writer.sized(list)
}

function deltas(lines: readonly number[]): Buffer {
  const writer = new ByteWriter(16)
  let previous = -1
  for (const line of lines) {
    writer.varint(line - previous - 1)
    previous = line
  }
  return writer.finish()
}

/** Lines left out, lines in the run less one, and so on. */
function runs(lines: readonly number[]): Buffer {
  const writer = new ByteWriter(16)
  let end = 0
  for (let at = 0; at < lines.length;) {
    const first = lines[at] ?? 0
    let last = first
    while (++at < lines.length && lines[at] === last + 1) last++
    writer.varint(first - end)
    writer.varint(last - first)
    end = last + 1
  }
  return writer.finish()
}

function bits(lines: readonly number[], count: number): Buffer {
  const map = Buffer.alloc((count + 7) >>> 3)
  for (const line of lines) map[line >>> 3] = (map[line >>> 3] ?? 0) | (1 << (line & 7))
  return map
}

/** Reads a name and compares it with the wanted one. */
function compareAt(reader: ByteReader, wanted: Buffer): number {
  const name = reader.sized()
  return Buffer.compare(name, wanted)
}

function skipList(reader: ByteReader): void {
  if (reader.u8() !== FORM_ALL) reader.sized()
}
