import { isMap, isScalar, type Pair } from 'yaml'
import { ConfigFixedError } from './config-error.js'
import type { Problem } from './problem.js'
import { SourceText } from './source-text.js'
import { parseYaml } from './yaml-text.js'

/** The section that says where events go. */
export const ROUTING = 'eventRouting'

/** What messages call a text that is to stand there. */
export const DRAFT = 'draft'

/** By how much it is indented in the file, blanks. */
const INDENT = 2

/** Where the section stands in the text of a file. */
interface Place {
  /** First line behind its key, and line after its last one, counted from 0. */
  readonly from: number
  readonly to: number
  /** Where its key begins in its line, and what stands behind the colon; `undefined` where there is no section yet. */
  readonly key: { readonly column: number; readonly line: number; readonly rest: string } | undefined
}

/** A file with another section, and where in it the section stands. */
export interface SplicedText {
  readonly text: string
  /** Line of the file that is the first one of the section, counted from 1. */
  readonly firstLine: number
  readonly lines: number
  readonly indent: number
}

/**
 * The text below `eventRouting:`, without its indentation; comments stay in it. Empty where there is none.
 *
 * @throws ConfigFixedError where the file is written in a way that cannot be taken apart
 */
export function routingText(file: string): string {
  const lines = linesOf(file)
  const place = placeOf(file, lines)
  const body = lines.slice(place.from, place.to)
  const rest = place.key === undefined || isEmpty(place.key.rest) ? '' : place.key.rest.trimStart()
  const indent = Math.min(...body.filter((line) => line.trim() !== '').map(indentOf))
  const dedented = body.map((line) => line.slice(Number.isFinite(indent) ? indent : 0))
  // A value that begins behind the colon keeps its form.
  return (rest === '' ? dedented : [rest, ...body]).map((line) => `${line.trimEnd()}\n`).join('')
}

/**
 * The file with another text below `eventRouting:`. Everything else stays as it is, to the letter.
 *
 * @throws ConfigFixedError
 */
export function spliceRouting(file: string, draft: string): SplicedText {
  const lines = linesOf(file)
  const place = placeOf(file, lines)
  const column = place.key?.column ?? 0
  const indent = column + INDENT
  const body = linesOf(draft.trimEnd()).map((line) => (line.trim() === '' ? '' : ' '.repeat(indent) + line.trimEnd()))
  const key = keyLines(lines, place)
  const before = lines.slice(0, place.key?.line ?? place.from)
  const all = [...before, ...key, ...body, ...lines.slice(place.to)]
  const lineBreak = file.includes('\r\n') ? '\r\n' : '\n'
  const text = all.join(lineBreak)
  return {
    text: text.endsWith('\n') ? text : text + lineBreak,
    firstLine: before.length + key.length + 1,
    lines: body.length,
    indent,
  }
}

/** A problem of the file as one of the draft, where it lies in that. */
export function inDraft(problem: Problem, { firstLine, lines, indent }: SplicedText): Problem {
  const line = problem.line - firstLine + 1
  if (line < 1 || line > lines || problem.column <= indent) return problem
  // A long line is shown around the place, without its beginning.
  const cut = problem.lead >= problem.column - 1 ? indent : 0
  return {
    ...problem,
    source: DRAFT,
    line,
    column: problem.column - indent,
    lineText: problem.lineText.slice(cut),
    lead: problem.lead - cut,
  }
}

/** The key with what stands behind it, if that is only a comment. */
function keyLines(lines: readonly string[], { key }: Place): readonly string[] {
  const line = key === undefined ? undefined : lines[key.line]
  if (key === undefined || line === undefined) return [`${ROUTING}:`]
  return [isEmpty(key.rest) ? line : line.slice(0, line.length - key.rest.length)]
}

function placeOf(file: string, lines: readonly string[]): Place {
  const { root, problems } = parseYaml(new SourceText('', file.replaceAll('\r\n', '\n')))
  const end = endOfText(lines)
  if (problems.length > 0) throw new ConfigFixedError('the configuration file has errors; mend them there first')
  if (root === undefined || (isScalar(root) && root.value === null)) return { from: end, to: end, key: undefined }
  if (!isMap(root) || root.flow === true) {
    throw new ConfigFixedError('the configuration file is written in braces; change it with an editor')
  }
  const at = root.items.findIndex(({ key }) => isScalar(key) && key.value === ROUTING)
  const pair = root.items[at]
  if (pair === undefined) return { from: end, to: end, key: undefined }
  const starts = lineStarts(lines)
  const start = startOf(pair)
  const line = lineAt(starts, start)
  const column = start - (starts[line] ?? 0)
  const next = root.items[at + 1]
  const limit = next === undefined ? end : lineAt(starts, startOf(next))
  const text = lines[line] ?? ''
  const colon = text.indexOf(':', column)
  return {
    from: line + 1,
    to: withoutForeignComments(lines, line + 1, limit, column),
    key: { column, line, rest: colon < 0 ? '' : text.slice(colon + 1) },
  }
}

/** Comments that are indented no further than the key belong to what follows. */
function withoutForeignComments(lines: readonly string[], from: number, limit: number, column: number): number {
  let to = limit
  while (to > from) {
    const line = lines[to - 1] ?? ''
    const isForeign = line.trim() === '' || (line.trimStart().startsWith('#') && indentOf(line) <= column)
    if (!isForeign) break
    to -= 1
  }
  return to
}

/** Lines without the empty ones at the end. */
function endOfText(lines: readonly string[]): number {
  let end = lines.length
  while (end > 0 && lines[end - 1]?.trim() === '') end -= 1
  return end
}

function startOf({ key }: Pair): number {
  return isScalar(key) && key.range ? key.range[0] : 0
}

function lineStarts(lines: readonly string[]): readonly number[] {
  let at = 0
  return lines.map((line) => {
    const start = at
    at += line.length + 1
    return start
  })
}

function lineAt(starts: readonly number[], offset: number): number {
  return Math.max(
    0,
    starts.findLastIndex((start) => start <= offset),
  )
}

function linesOf(text: string): string[] {
  return text === '' ? [] : text.replaceAll('\r\n', '\n').split('\n')
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length
}

function isEmpty(rest: string): boolean {
  return /^\s*(#.*)?$/.test(rest)
}
