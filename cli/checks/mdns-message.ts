const HEADER_BYTES = 12
const IS_RESPONSE = 0x8000
const TYPE_PTR = 12
const CLASS_IN = 1

/** Most labels that a name has, and most answers that are looked at. */
const MOST_LABELS = 64
const MOST_ANSWERS = 64

/** The question who offers a service, as multicast DNS asks it (RFC 6762). */
export function mdnsQuestion(service: string): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt16BE(1, 4)
  const labels = service.split('.').map((label) => Buffer.from(label))
  const name = labels.flatMap((label) => [Buffer.from([label.length]), label])
  const end = Buffer.from([0, 0, TYPE_PTR, 0, CLASS_IN])
  return Buffer.concat([header, ...name, end])
}

/** What a message says of a service. */
export type MdnsMessage =
  | { readonly kind: 'question' }
  /** Names of those that offer it. */
  | { readonly kind: 'answer'; readonly names: readonly string[] }

/** Reads a message from the network, whoever sent it; `undefined` for one that is about something else, or none. */
export function readMdns(message: Buffer, service: string): MdnsMessage | undefined {
  try {
    return readMessage(message, service)
  } catch (error) {
    // Cut off, or something else.
    if (error instanceof RangeError) return undefined
    throw error
  }
}

function readMessage(message: Buffer, service: string): MdnsMessage | undefined {
  const isAnswer = (message.readUInt16BE(2) & IS_RESPONSE) !== 0
  const [questions, answers] = [message.readUInt16BE(4), message.readUInt16BE(6)]
  let at = HEADER_BYTES
  for (let left = Math.min(questions, MOST_ANSWERS); left > 0; left--) {
    const { name, end } = readName(message, at)
    if (!isAnswer && name === service) return { kind: 'question' }
    at = end + 4
  }
  const names: string[] = []
  for (let left = Math.min(answers, MOST_ANSWERS); left > 0; left--) {
    const { name, end } = readName(message, at)
    const [type, length] = [message.readUInt16BE(end), message.readUInt16BE(end + 8)]
    const data = end + 10
    if (isAnswer && type === TYPE_PTR && name === service) names.push(readName(message, data).name)
    at = data + length
  }
  return names.length === 0 ? undefined : { kind: 'answer', names }
}

/** Names end with an empty label, or with a pointer to an earlier one. @throws RangeError */
function readName(message: Buffer, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = []
  let at = start
  let end: number | undefined
  while (labels.length < MOST_LABELS) {
    const length = message.readUInt8(at)
    if (length >= 0xc0) {
      const target = message.readUInt16BE(at) & 0x3fff
      end ??= at + 2
      if (target >= at) throw new RangeError('a name that points forward')
      at = target
    } else if (length === 0) {
      return { name: labels.join('.'), end: end ?? at + 1 }
    } else {
      if (at + 1 + length > message.length) throw new RangeError('a label that is cut off')
      labels.push(message.toString('utf8', at + 1, at + 1 + length))
      at += 1 + length
    }
  }
  throw new RangeError('a name that is too long')
}
