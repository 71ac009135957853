import { isAlias, isMap, isPair, isScalar, isSeq, type Node } from 'yaml'

/** Values in a setting that are shown; aliases can make few lines stand for very many. */
const MOST_VALUES = 50_000

/** What a node stands for, as JSON could say it. What is too much is `null`. */
export function plainValue(node: Node, resolve: (node: Node) => Node): unknown {
  let left = MOST_VALUES
  const convert = (written: unknown): unknown => {
    if (--left < 0) return null
    const value = resolve(written as Node)
    if (isScalar(value)) return typeof value.value === 'bigint' ? Number(value.value) : value.value
    if (isSeq(value)) return value.items.map(convert)
    if (isMap(value))
      return Object.fromEntries(value.items.filter(isPair).map(({ key, value }) => [textOf(key), convert(value)]))
    return null
  }
  return isAlias(node) && resolve(node) === node ? null : convert(node)
}

function textOf(key: unknown): string {
  return isScalar(key) ? String(key.value) : ''
}
