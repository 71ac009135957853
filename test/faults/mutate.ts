import type { Random } from '../support/random.js'

/** Changes made to one input at most. */
const MAX_CHANGES = 4

/** Beyond this an input grows no further. */
const MAX_BYTES = 64 * 1024

const NUMBERS = ['0', '-1', '1e400', '9007199254740993', '-0.0', '1e-400', '18446744073709551616', 'NaN']

/** A valid input with a few things wrong with it, or nothing but noise now and then. */
export function mutate(random: Random, seeds: readonly Buffer[], words: readonly string[]): Buffer {
  if (random.chance(0.02)) return random.bytes(random.below(400))
  let bytes: Buffer = Buffer.from(random.pick(seeds))
  for (let changes = random.below(MAX_CHANGES + 1); changes > 0; changes--) {
    bytes = change(random, bytes, seeds, words)
  }
  return bytes.length > MAX_BYTES ? bytes.subarray(0, MAX_BYTES) : bytes
}

function change(random: Random, bytes: Buffer, seeds: readonly Buffer[], words: readonly string[]): Buffer {
  const at = random.below(bytes.length + 1)
  const end = Math.min(bytes.length, at + 1 + random.below(random.chance(0.2) ? 200 : 8))
  switch (random.below(9)) {
    case 0:
      return bytes.length === 0 ? bytes : flip(random, bytes)
    case 1:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)])
    case 2:
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)])
    case 3:
      return insert(bytes, at, Buffer.from(random.pick(words)))
    case 4:
      return insert(bytes, at, random.bytes(1 + random.below(4)))
    case 5:
      return insert(bytes, at, Buffer.from(random.pick(NUMBERS)))
    case 6: {
      const other = random.pick(seeds)
      return Buffer.concat([bytes.subarray(0, at), other.subarray(random.below(other.length + 1))])
    }
    case 7:
      return insert(
        bytes,
        at,
        Buffer.from(random.pick(words).repeat(1 + random.below(random.chance(0.05) ? 5000 : 50))),
      )
    default:
      return bytes.subarray(0, at)
  }
}

function flip(random: Random, bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes)
  const at = random.below(copy.length)
  copy[at] = copy.readUInt8(at) ^ (1 << random.below(8))
  return copy
}

function insert(bytes: Buffer, at: number, what: Buffer): Buffer {
  return Buffer.concat([bytes.subarray(0, at), what, bytes.subarray(at)])
}

const VALUES: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  2 ** 53,
  1e308,
  '',
  'a',
  '\ud83d\ude82',
  '\u0000',
  [],
  {},
  [[]],
  { a: 1 },
]

/** Valid JSON with other values in some places: what gets past the parser and has to be refused behind it. */
export function mutateJson(random: Random, value: unknown, words: readonly string[], depth = 0): unknown {
  if (random.chance(0.08)) return random.pick(VALUES)
  if (typeof value === 'string') return random.chance(0.3) ? mutateText(random, value, words) : value
  if (typeof value === 'number') return random.chance(0.2) ? value + random.below(7) - 3 : value
  if (typeof value !== 'object' || value === null || depth > 20) return value
  if (Array.isArray(value)) {
    const items = value.map((item: unknown) => mutateJson(random, item, words, depth + 1))
    return random.chance(0.1) ? [...items, ...items] : items
  }
  const members = Object.entries(value).filter(() => !random.chance(0.05))
  return Object.fromEntries(
    members.map(([name, member]: [string, unknown]) => [
      random.chance(0.03) ? mutateText(random, name, words) : name,
      mutateJson(random, member, words, depth + 1),
    ]),
  )
}

function mutateText(random: Random, text: string, words: readonly string[]): string {
  return mutate(random, [Buffer.from(text)], words).toString()
}
