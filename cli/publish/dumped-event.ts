import { JsonScanner } from '../../core/index.js'
import { decodeText, LineError } from './event-builder.js'

/** How much of where an event came from goes into a tag of its copy: stream and offset, the stream, or nothing. */
export const ORIGINS = ['event', 'stream', 'none'] as const
export type Origin = (typeof ORIGINS)[number]

/** What the tag that names the origin begins with. */
export const ORIGIN_TAG = 'origin:'

/** Makes events to publish of the lines of a dump, and knows at the end whether all of it was there. */
export class DumpReader {
  readonly #origin: Origin
  #ended = false

  constructor(origin: Origin) {
    this.#origin = origin
  }

  /** Whether the last line of the dump was met, or lies before what was read. */
  get hasEnded(): boolean {
    return this.#ended
  }

  /**
   * The event of a line, payload and tags as they are; nothing for the line that ends a dump.
   *
   * @throws LineError, JsonError
   */
  build(line: Uint8Array): string | undefined {
    const members = readMembers(line)
    const type: unknown = JSON.parse(members.get('type') ?? 'null')
    if (type === 'offsets') {
      this.#ended = true
      return undefined
    }
    // Several dumps may stand behind each other.
    this.#ended = false
    const [tags, payload, stream, offset] = ['tags', 'payload', 'stream', 'offset'].map((name) => members.get(name))
    if (
      type !== 'event' ||
      tags === undefined ||
      payload === undefined ||
      stream === undefined ||
      offset === undefined
    ) {
      throw new LineError('this is no line of a dump: an event with stream, offset, tags and payload is expected')
    }
    const own = JSON.parse(tags) as readonly string[]
    const origin = this.#tagOf(JSON.parse(stream) as string, offset)
    // What was restored before keeps where it came from first.
    const isKnown = own.some((tag) => tag.startsWith(ORIGIN_TAG))
    const all = origin === undefined || isKnown ? own : [...own, origin]
    return `{"tags":${JSON.stringify(all)},"payload":${payload}}`
  }

  #tagOf(stream: string, offset: string): string | undefined {
    switch (this.#origin) {
      case 'event':
        return `${ORIGIN_TAG}${stream}/${offset}`
      case 'stream':
        return `${ORIGIN_TAG}${stream}`
      case 'none':
        return undefined
    }
  }
}

/** The members of an object as the texts that they are. */
function readMembers(line: Uint8Array): ReadonlyMap<string, string> {
  const scanner = new JsonScanner(line)
  const texts = new Map<string, string>()
  scanner.peek()
  scanner.members('a line of a dump', (name) => {
    const start = scanner.at
    scanner.skipValue()
    texts.set(name, decodeText(line.subarray(start, scanner.at)))
  })
  scanner.expectEnd()
  return texts
}
