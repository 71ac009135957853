import { isUtf8 } from 'node:buffer'
import { setImmediate as nextTurn } from 'node:timers/promises'
import {
  AppIdError,
  JsonError,
  JsonScanner,
  LINE_TRAILER_LENGTH,
  parseAppId,
  TagError,
  toTagSet,
  type StreamId,
  type TagSet,
} from '../core/index.js'
import { CorruptRecordError } from './corrupt-record.js'
import { parseLines } from './line-parser.js'
import { joinLines, lineCount, MAX_PAYLOAD_BYTES, type Lines } from './lines.js'

/** Bytes of lines checked in one go before other work gets its turn: some milliseconds. */
const BYTES_PER_TURN = 512 * 1024

/** What lines from elsewhere must keep to. */
export interface ForeignLinesRequest {
  readonly stream: StreamId
  readonly firstOffset: number
  readonly bytes: Buffer
  /** Highest lamport allowed. */
  readonly maxLamport: number
}

/**
 * Takes apart lines that another node has sent and checks all that our own API would have refused or made otherwise: they
 * must be exactly the lines that {@link buildLines} makes of valid events.
 *
 * @throws CorruptRecordError
 */
export async function parseForeignLines(request: ForeignLinesRequest): Promise<Lines> {
  const { stream, firstOffset, bytes, maxLamport } = request
  if (!isUtf8(bytes)) throw new CorruptRecordError({ stream, offset: firstOffset, part: 'line' }, 'it is no UTF-8')
  const checker = new LineChecker(maxLamport)
  const pieces: Lines[] = []
  let offset = firstOffset
  for (let at = 0; at < bytes.length;) {
    if (at > 0) await nextTurn()
    const feed = bytes.indexOf(0x0a, Math.min(bytes.length, at + BYTES_PER_TURN))
    const end = feed < 0 ? bytes.length : feed + 1
    const lines = parseLines(stream, offset, bytes.subarray(at, end))
    checker.check(lines)
    pieces.push(lines)
    offset += lineCount(lines)
    at = end
  }
  if (pieces.length === 0) throw new CorruptRecordError({ stream, offset: firstOffset, part: 'line' }, 'it is empty')
  return joinLines(pieces)
}

/** Remembers what it has seen: most events share tags and app with others. */
class LineChecker {
  readonly #maxLamport: number
  #lamport = -1
  readonly #tagSets = new Set<TagSet>()
  readonly #appIds = new Set<string>()

  constructor(maxLamport: number) {
    this.#maxLamport = maxLamport
  }

  check(lines: Lines): void {
    for (let line = 0; line < lineCount(lines); line++) {
      const fault = this.#faultOf(lines, line)
      if (fault === undefined) continue
      throw new CorruptRecordError({ stream: lines.stream, offset: lines.firstOffset + line, part: 'line' }, fault)
    }
  }

  #faultOf(lines: Lines, line: number): string | undefined {
    const lamport = lines.lamports[line] ?? 0
    if (lamport <= this.#lamport) return 'its lamport does not rise'
    if (lamport > this.#maxLamport) return 'its lamport is beyond what can be'
    this.#lamport = lamport
    const tags = lines.tags[line] ?? []
    if (!this.#tagSets.has(tags)) {
      if (!isTagSet(tags)) return 'its tags are not in their one form'
      this.#tagSets.add(tags)
    }
    const appId = lines.appIds[line] ?? ''
    if (!this.#appIds.has(appId)) {
      if (!isAppId(appId)) return 'its app id is malformed'
      this.#appIds.add(appId)
    }
    return faultOfPayload(lines.bytes, lines.payloads[line] ?? 0, (lines.starts[line + 1] ?? 0) - LINE_TRAILER_LENGTH)
  }
}

function faultOfPayload(bytes: Buffer, start: number, end: number): string | undefined {
  if (end - start > MAX_PAYLOAD_BYTES) return 'its payload is too large'
  const scanner = new JsonScanner(bytes, start, end)
  try {
    const spaced = scanner.skipValueNotingSpace()
    return spaced || scanner.at !== end ? 'its payload is not in its one form' : undefined
  } catch (error) {
    if (error instanceof JsonError) return 'its payload is no JSON'
    throw error
  }
}

function isTagSet(tags: TagSet): boolean {
  if (tags.some((tag) => typeof tag !== 'string' || LONE_SURROGATE.test(tag))) return false
  try {
    const set = toTagSet(tags)
    return set.length === tags.length && set.every((tag, at) => tag === tags[at])
  } catch (error) {
    if (error instanceof TagError) return false
    throw error
  }
}

const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

function isAppId(appId: string): boolean {
  try {
    parseAppId(appId)
    return true
  } catch (error) {
    if (error instanceof AppIdError) return false
    throw error
  }
}
