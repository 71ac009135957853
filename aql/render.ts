import type { EventOrder } from '../core/index.js'
import type { AqlText, EventKeyBound, Expr, Index, Item, Operation, Part, Query, TagAtom, TagExpr } from './ast.js'

/** Text that parses to the same tree. Pragmas come out in their form over several lines where they need it. */
export function renderText({ pragmas, features, query }: AqlText): string {
  const lines = pragmas.map(({ name, value }) => renderPragma(name, value)).join('')
  return `${lines}${features.length > 0 ? `FEATURES(${features.join(' ')}) ` : ''}${renderQuery(query)}`
}

function renderPragma(name: string, value: string): string {
  const oneLine = !/[\r\n]/.test(value) && value === value.trimStart()
  return oneLine ? `PRAGMA ${name} := ${value}\n` : `PRAGMA ${name}\n${value}\nENDPRAGMA\n`
}

/** Text of a query, from `FROM` on, without `END`. */
export function renderQuery(query: Query): string {
  return [renderSource(query), ...query.operations.map(renderOperation)].join(' ')
}

const ORDERS: Readonly<Record<EventOrder, string>> = { asc: 'ASC', desc: 'DESC', 'stream-asc': 'STREAM' }

function renderSource({ source }: Query): string {
  if (source.kind === 'array') return `FROM [${renderItems(source.items)}]`
  const order = source.order === undefined ? '' : ` ORDER ${ORDERS[source.order]}`
  return `FROM ${renderTagExpr(source.tags)}${order}`
}

function renderOperation(operation: Operation): string {
  switch (operation.kind) {
    case 'filter':
      return `FILTER ${renderExpr(operation.expr)}`
    case 'select':
      return `SELECT ${renderItems(operation.items)}`
    case 'aggregate':
      return `AGGREGATE ${renderExpr(operation.expr)}`
    case 'limit':
      return `LIMIT ${String(operation.count)}`
    case 'let':
      return `LET ${operation.name} := ${renderExpr(operation.expr)}`
  }
}

function renderItems(items: readonly Item[]): string {
  return items.map((item) => `${item.spread ? '...' : ''}${renderExpr(item.expr)}`).join(', ')
}

export function renderTagExpr(expr: TagExpr): string {
  if (expr.kind !== 'or' && expr.kind !== 'and') return renderTagAtom(expr)
  const isOr = expr.kind === 'or'
  const needsParentheses = (term: TagExpr) => term.kind === 'or' || (term.kind === 'and' && !isOr)
  return expr.terms
    .map((term) => (needsParentheses(term) ? `(${renderTagExpr(term)})` : renderTagExpr(term)))
    .join(isOr ? ' | ' : ' & ')
}

function renderTagAtom(atom: TagAtom): string {
  switch (atom.kind) {
    case 'tag':
      return renderString(atom.tag)
    case 'interpolation':
      return renderInterpolation(atom.parts)
    case 'allEvents':
    case 'isLocal':
      return atom.kind
    case 'appId':
      return `appId(${atom.appId})`
    case 'time': {
      const { bound } = atom
      const time = bound.kind === 'ago' ? `${String(bound.amount)}${bound.unit} ago` : isoLiteral(bound.micros)
      return `TIME ${atom.op} ${time}`
    }
    case 'key':
      return `KEY ${atom.op} ${renderKey(atom.bound)}`
  }
}

function renderKey({ lamport, stream }: EventKeyBound): string {
  return stream === undefined ? String(lamport) : `${String(lamport)}/${stream}`
}

export function renderExpr(expr: Expr): string {
  switch (expr.kind) {
    case 'natural':
      return String(expr.value)
    case 'decimal':
      return expr.text
    case 'string':
      return renderString(expr.value)
    case 'constant':
      return String(expr.value).toUpperCase()
    case 'variable':
      return expr.name
    case 'index':
      return `${renderHead(expr.head)}${expr.path.map(renderIndex).join('')}`
    case 'interpolation':
      return renderInterpolation(expr.parts)
    case 'object':
      return `{ ${expr.members.map(({ key, value }) => `${renderKeyOf(key)}: ${renderExpr(value)}`).join(', ')} }`
    case 'array':
      return `[${renderItems(expr.items)}]`
    case 'cases':
      return `${expr.branches.map(({ condition, result }) => `CASE ${renderExpr(condition)} => ${renderExpr(result)} `).join('')}ENDCASE`
    case 'call':
      return `${expr.name}(${expr.args.map(renderExpr).join(', ')})`
    case 'not':
      return `!${renderOperand(expr.operand)}`
    case 'chain':
      return renderChain(expr)
    case 'aggregator':
      return `${expr.op}(${renderExpr(expr.arg)})`
    case 'subQuery':
      return `${renderQuery(expr.query)} END`
    case 'meta':
      return `${expr.fn}(${expr.name})`
    case 'keyLiteral':
      return `KEY(${renderKey(expr.key)})`
    case 'timeLiteral':
      return `TIME(${isoLiteral(expr.micros)})`
  }
}

function renderChain(expr: Expr & { readonly kind: 'chain' }): string {
  let text = renderOperand(expr.first)
  for (const { op, operand } of expr.rest) text += ` ${op} ${renderOperand(operand)}`
  return text
}

/** Parentheses around every inner chain: more than needed, but the text means what the tree says. */
function renderOperand(expr: Expr): string {
  return expr.kind === 'chain' ? `(${renderExpr(expr)})` : renderExpr(expr)
}

function renderHead(expr: Expr): string {
  return expr.kind === 'variable' ? expr.name : `(${renderExpr(expr)})`
}

function renderIndex(index: Index): string {
  return index.kind === 'name' && isName(index.name) ? `.${index.name}` : renderBracket(index)
}

function renderKeyOf(index: Index): string {
  return index.kind === 'name' && isName(index.name) ? index.name : renderBracket(index)
}

function renderBracket(index: Index): string {
  switch (index.kind) {
    case 'name':
      return `[${renderString(index.name)}]`
    case 'natural':
      return `[${String(index.value)}]`
    case 'computed':
      return `[${isLiteralIndex(index.expr) ? `(${renderExpr(index.expr)})` : renderExpr(index.expr)}]`
  }
}

/** A bare literal in brackets is an index of its own kind and no computed one. */
function isLiteralIndex(expr: Expr): boolean {
  return expr.kind === 'natural' || expr.kind === 'string'
}

/** Whether a property can be written without quotes. */
export function isName(text: string): boolean {
  return text === '_' || /^(?=\p{Lowercase}|\p{Uppercase}\p{Lowercase})[\p{Alphabetic}\p{N}_]+$/u.test(text)
}

function renderString(text: string): string {
  return text.includes("'") && !text.includes('"') ? `"${text}"` : `'${text.replaceAll("'", "''")}'`
}

function renderInterpolation(parts: readonly Part[]): string {
  const inside = parts.map((part) =>
    typeof part === 'string'
      ? part.replace(/[`{]/g, (character) => `{U+${character.charCodeAt(0).toString(16)}}`)
      : `{${renderExpr(part)}}`,
  )
  return `\`${inside.join('')}\``
}

const DAY_MICROS = 86_400_000_000n

/** A timestamp literal in UTC where that has a year of four digits. */
function isoLiteral(micros: bigint): string {
  // Zones can lead a literal just out of the four-digit years; the zone then brings it back.
  const iso = (value: bigint) => {
    const millis = value >= 0n || value % 1000n === 0n ? value / 1000n : value / 1000n - 1n
    return `${new Date(Number(millis)).toISOString().slice(0, -1)}${String(value - millis * 1000n).padStart(3, '0')}`
  }
  const utc = iso(micros)
  if (utc.startsWith('+')) return `${iso(micros - DAY_MICROS + 60_000_000n)}-23:59`
  if (utc.startsWith('-')) return `${iso(micros + DAY_MICROS - 60_000_000n)}+23:59`
  return `${utc}Z`
}
