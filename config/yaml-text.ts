import {
  Composer,
  CST,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  Lexer,
  Parser,
  type Alias,
  type Document,
  type Node,
  type YAMLError,
} from 'yaml'
import { MOST_PROBLEMS, problemAt, type Problem } from './problem.js'
import type { SourceText } from './source-text.js'

/** A parsed text. With problems `root` is what could be made of it, or nothing. */
export interface YamlText {
  readonly root: Node | undefined
  /** Resolves references to anchors, also chains of them. */
  resolve(node: Node): Node
  /** Errors of the text itself. */
  readonly problems: readonly Problem[]
  /** Of these, lines in which values cannot be judged either. */
  readonly brokenLines: ReadonlySet<number>
  /** From here on the structure is guesswork: values before it can still be judged. `Infinity` if it is sound. */
  readonly soundUntil: number
}

/** Settings are a few hundred lines; what parsing may cost grows with the size. Characters. */
const LONGEST_TEXT = 256 * 1024

/** Open constructs of the parser, about two per level. Far deeper texts would end the process inside the composer. */
const DEEPEST_STACK = 64

/** Tags and anchors in a row, where a value takes one of each: whoever writes more gets a mistake for each. */
const MOST_MARKS = 8

/** After these the parser's idea of the rest is as good as before. */
const HARMLESS = new Set(['TAB_AS_INDENT', 'BAD_SCALAR_START', 'TAG_RESOLVE_FAILED', 'BAD_ALIAS', 'BAD_DQ_ESCAPE'])

/** Parses one YAML 1.2 document. Never throws, whatever the text. */
export function parseYaml(source: SourceText): YamlText {
  if (source.text.length > LONGEST_TEXT) return unusable(source, 0, 'the text is longer than 256 KiB')
  const tokens: CST.Token[] = []
  const parser = new Parser()
  let marks = 0
  for (const lexeme of new Lexer().lex(source.text)) {
    const start = parser.offset
    tokens.push(...parser.next(lexeme))
    if (parser.stack.length > DEEPEST_STACK) return unusable(source, parser.offset, 'nested too deeply')
    const type = CST.tokenType(lexeme)
    if (type === 'tag' || type === 'anchor') marks += 1
    else if (type !== 'space' && type !== 'newline' && type !== 'comment') marks = 0
    if (marks > MOST_MARKS) {
      return unusable(
        source,
        start,
        'many tags or anchors for one value',
        'a value takes one of each; remove the others',
      )
    }
  }
  tokens.push(...parser.end())
  const options = { intAsBigInt: true, prettyErrors: false, stringKeys: true, uniqueKeys: false } as const
  const documents = withoutStacks(() => [...new Composer(options).compose(tokens, true, source.text.length)])
  const [document, second] = documents
  if (document === undefined) return unusable(source, 0, 'no YAML document')
  if (second !== undefined)
    return unusable(source, second.range[0], 'a second YAML document; settings are one document')
  return check(document, source)
}

/** The library makes an error of each mistake, and their stacks, which nobody sees, take longer than all the rest. */
function withoutStacks<T>(work: () => T): T {
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    return work()
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
}

function check(document: Document.Parsed, source: SourceText): YamlText {
  const errors: YAMLError[] = [...document.errors, ...document.warnings]
  const problems = firstPerLine(errors, source).map((error) => yamlProblem(error, source))
  const unsound = errors.filter((error) => !HARMLESS.has(error.code)).map((error) => error.pos[0])
  const version: string = document.directives.yaml.version
  if (version !== '1.2') {
    problems.push(problemAt(source, 0, 5, 'settings are YAML 1.2', 'remove the %YAML line'))
  }
  const found = survey(document.contents, source)
  return {
    root: document.contents ?? undefined,
    resolve: (node) => resolve(node, found.targets),
    problems: [...problems, ...found.problems].slice(0, MOST_PROBLEMS),
    brokenLines: new Set(problems.map(({ line }) => line)),
    soundUntil: Math.min(Infinity, ...unsound),
  }
}

function unusable(source: SourceText, offset: number, reason: string, mend?: string): YamlText {
  const problems = [problemAt(source, offset, offset + 1, reason, mend)]
  return { root: undefined, resolve: (node) => node, problems, brokenLines: new Set(), soundUntil: 0 }
}

/** Finds keys that stand twice in a map, and what aliases refer to: the last anchor of that name before them. */
function survey(root: Node | null, source: SourceText) {
  const anchors = new Map<string, Node>()
  const targets = new Map<Alias, Node>()
  const problems: Problem[] = []
  const visit = (node: unknown): void => {
    if (!isNode(node)) return
    if (isAlias(node)) {
      const target = anchors.get(node.source)
      const [start, end] = node.range ?? [0, 0]
      if (target !== undefined) targets.set(node, target)
      else if (problems.length < MOST_PROBLEMS)
        problems.push(problemAt(source, start, end, `nothing is marked &${node.source} before this`))
      return
    }
    if (isCollection(node)) {
      if (isMap(node)) problems.push(...duplicateKeys(node.items, source))
      for (const item of node.items) {
        visit(isPair(item) ? item.key : item)
        if (isPair(item)) visit(item.value)
      }
    }
    if ((isScalar(node) || isCollection(node)) && node.anchor) anchors.set(node.anchor, node)
  }
  visit(root)
  return { targets, problems }
}

function duplicateKeys(pairs: readonly { readonly key: unknown }[], source: SourceText): Problem[] {
  const firsts = new Map<unknown, number>()
  const problems: Problem[] = []
  for (const { key } of pairs) {
    if (!isScalar(key) || !key.range) continue
    const [start, end] = key.range
    const first = firsts.get(key.value)
    if (first === undefined) firsts.set(key.value, start)
    else if (problems.length < MOST_PROBLEMS) {
      const line = String(source.placeOf(first).line)
      problems.push(
        problemAt(source, start, end, `'${String(key.value)}' stands here twice`, `first in line ${line}; remove one`),
      )
    }
  }
  return problems
}

function resolve(node: Node, targets: ReadonlyMap<Alias, Node>): Node {
  const target = isAlias(node) ? targets.get(node) : undefined
  // Anchors are known only after their node, so a target is never an alias that leads back here.
  return target === undefined ? node : resolve(target, targets)
}

/** The words of the library, where ours say more. */
const REASONS: Readonly<Record<string, readonly [reason: string, mend: string]>> = {
  TAB_AS_INDENT: ['a tab in the indentation', 'YAML is indented by blanks only'],
  BLOCK_AS_IMPLICIT_KEY: [
    'a second key in the same line, or an indented line below a value',
    'quote values that hold ": "',
  ],
  MULTILINE_IMPLICIT_KEY: ['a key without colon, or a line that is indented too far', 'write key: value'],
  BAD_SCALAR_START: ['a value that begins with a character reserved by YAML', 'put the value in quotes'],
  MULTIPLE_DOCS: ['a second YAML document', 'settings are one document'],
  NON_STRING_KEY: ['a key that is no text', 'write key: value'],
}

/** The common slip in routes: `from: 'a' & 'b'` is a quoted text and then something else. */
const AFTER_VALUE = ['something behind the end of the value', `put the whole value in quotes: "'a' & 'b'"`] as const

/** One slip makes the parser stumble over all that follows in the line. */
function firstPerLine(errors: readonly YAMLError[], source: SourceText): YAMLError[] {
  const lines = new Set<number>()
  const firsts = errors.filter(({ pos: [start] }) => {
    const { line } = source.placeOf(start)
    return !lines.has(line) && lines.add(line)
  })
  return firsts.slice(0, MOST_PROBLEMS)
}

function yamlProblem({ code, message, pos: [start, end] }: YAMLError, source: SourceText): Problem {
  const [reason, mend] = message.endsWith('at node end')
    ? AFTER_VALUE
    : (REASONS[code] ?? [lowerFirst(message), undefined])
  return problemAt(source, start, end, reason, mend)
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
