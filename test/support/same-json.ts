/** Whether two JSON texts mean the same: integers compare exactly, other numbers as doubles, members in any order. */
export function sameJson(a: string, b: string): boolean {
  return same(parseMarked(a), parseMarked(b))
}

/** A number by its text. */
interface NumberText {
  readonly number: string
}

function parseMarked(text: string): unknown {
  return JSON.parse(
    text.replace(/"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g, (token) =>
      token.startsWith('"') ? token : JSON.stringify({ number: token } satisfies NumberText),
    ),
  )
}

function same(a: unknown, b: unknown): boolean {
  if (isNumberText(a) && isNumberText(b)) {
    const integers = /^-?\d+$/.test(a.number) && /^-?\d+$/.test(b.number)
    return integers ? BigInt(a.number) === BigInt(b.number) : Number(a.number) === Number(b.number)
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b
  const members = new Map(Object.entries(b))
  if (Array.isArray(a) !== Array.isArray(b) || Object.keys(a).length !== members.size) return false
  return Object.entries(a).every(([name, value]) => members.has(name) && same(value, members.get(name)))
}

function isNumberText(value: unknown): value is NumberText {
  return typeof value === 'object' && value !== null && 'number' in value && typeof value.number === 'string'
}
