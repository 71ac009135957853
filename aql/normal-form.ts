import type { AppId } from '../core/index.js'
import type { TagAtom, TagExpr } from './ast.js'
import { AqlRangesDifferError, AqlTooComplexError } from './errors.js'
import {
  compareKeyPoints,
  keyRange,
  resolveAppId,
  timeRange,
  type KeyPoint,
  type Range,
  type SelectionContext,
} from './selection.js'

/** One way to match: events that satisfy all of it. */
export interface Branch {
  readonly tags: readonly string[]
  readonly appId: AppId | undefined
  readonly local: boolean
  readonly time: Range<bigint>
  readonly key: Range<KeyPoint>
}

/** Atoms that may be looked at while branches are joined; keeps the work below some tens of milliseconds. */
const MAX_WORK = 2_000_000

/** Atoms that all branches may hold together, for the same reason. */
const MAX_CELLS = 1_000_000

/**
 * The disjunction of sets of atoms that a tag expression stands for, with supersets absorbed and branches of two app ids
 * dropped. Interpolations must have been replaced by tags.
 *
 * @throws AqlTooComplexError when there are more branches than allowed
 */
export function normalForm(expr: TagExpr, context: SelectionContext, maxBranches: number): Branch[] {
  const builder = new FormBuilder(context, Math.max(maxBranches, countAtoms(expr)))
  return [...builder.form(expr).branches()].flatMap((atoms) => builder.toBranch(atoms) ?? [])
}

/**
 * The range that all branches share, which is what the language allows.
 *
 * @throws AqlRangesDifferError
 */
export function checkRanges(branches: readonly Branch[]): void {
  const [first, ...others] = branches
  if (first === undefined) return
  for (const other of others) {
    if (!sameRange(first.time, other.time, compareBigInts)) {
      throw new AqlRangesDifferError('the time range must be the same on all branches of the tag expression')
    }
    if (!sameRange(first.key, other.key, compareKeyPoints)) {
      throw new AqlRangesDifferError('the event key range must be the same on all branches of the tag expression')
    }
  }
}

/** Ranges that hold nothing are all the same, wherever they lie. */
function sameRange<T>(a: Range<T>, b: Range<T>, compare: (x: T, y: T) => number): boolean {
  const isEmpty = ({ from, to }: Range<T>) => from !== undefined && to !== undefined && compare(from, to) >= 0
  const sameEnd = (x: T | undefined, y: T | undefined) =>
    x === undefined || y === undefined ? x === y : compare(x, y) === 0
  return isEmpty(a) ? isEmpty(b) : sameEnd(a.from, b.from) && sameEnd(a.to, b.to)
}

function countAtoms(expr: TagExpr): number {
  return expr.kind === 'or' || expr.kind === 'and' ? expr.terms.reduce((sum, term) => sum + countAtoms(term), 0) : 1
}

/** Numbers of atoms in rising order; an empty one is `allEvents`. */
type AtomSet = readonly number[]

/** Gives equal atoms equal numbers and combines sets of them. */
class FormBuilder {
  readonly #context: SelectionContext
  readonly #maxBranches: number
  readonly #numbers = new Map<string, number>()
  readonly #atoms: TagAtom[] = []
  #work = 0

  constructor(context: SelectionContext, maxBranches: number) {
    this.#context = context
    this.#maxBranches = maxBranches
  }

  form(expr: TagExpr): Disjunction {
    const result = new Disjunction(this.#maxBranches)
    if (expr.kind === 'or') {
      for (const term of expr.terms) {
        if (term.kind === 'or' || term.kind === 'and')
          for (const branch of this.form(term).branches()) result.add(branch)
        else result.add(this.#single(term))
      }
      return result
    }
    if (expr.kind === 'and') return this.#conjunction(expr.terms)
    result.add(this.#single(expr))
    return result
  }

  #single(atom: TagAtom): AtomSet {
    return atom.kind === 'allEvents' ? [] : [this.#number(atom)]
  }

  /** Single atoms are collected first, so that a long chain of them is one step. */
  #conjunction(terms: readonly TagExpr[]): Disjunction {
    const single = new Set<number>()
    const groups: Disjunction[] = []
    for (const term of terms) {
      if (term.kind === 'or' || term.kind === 'and') groups.push(this.form(term))
      else if (term.kind !== 'allEvents') single.add(this.#number(term))
    }
    let result = new Disjunction(this.#maxBranches)
    result.add([...single].sort((a, b) => a - b))
    for (const group of groups) result = this.#product(result, group)
    return result
  }

  #product(left: Disjunction, right: Disjunction): Disjunction {
    const result = new Disjunction(this.#maxBranches)
    for (const a of left.branches()) {
      for (const b of right.branches()) {
        this.#work += a.length + b.length
        if (this.#work > MAX_WORK) throw tooComplex()
        result.add(mergeSorted(a, b))
      }
    }
    return result
  }

  #number(atom: TagAtom): number {
    const key = this.#keyOf(atom)
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const number = this.#atoms.push(atom) - 1
    this.#numbers.set(key, number)
    return number
  }

  #keyOf(atom: TagAtom): string {
    switch (atom.kind) {
      case 'tag':
        return `t${atom.tag}`
      case 'appId':
        return `a${resolveAppId(atom.appId, this.#context)}`
      case 'time': {
        const { from, to } = timeRange(atom.op, atom.bound, this.#context.nowMicros)
        return `T${String(from)},${String(to)}`
      }
      case 'key':
        return `K${atom.op}${String(atom.bound.lamport)}/${atom.bound.stream ?? ''}`
      case 'isLocal':
      case 'allEvents':
      case 'interpolation':
        return atom.kind
    }
  }

  /** @returns nothing when two different app ids are asked for, since no event has two */
  toBranch(atoms: AtomSet): Branch | undefined {
    const tags: string[] = []
    let appId: AppId | undefined
    let local = false
    let time: Range<bigint> = { from: undefined, to: undefined }
    let key: Range<KeyPoint> = { from: undefined, to: undefined }
    for (const number of atoms) {
      const atom = this.#atoms[number]
      if (atom === undefined) continue
      if (atom.kind === 'tag') tags.push(atom.tag)
      else if (atom.kind === 'isLocal') local = true
      else if (atom.kind === 'time') {
        time = intersect(time, timeRange(atom.op, atom.bound, this.#context.nowMicros), compareBigInts)
      } else if (atom.kind === 'key') key = intersect(key, keyRange(atom.op, atom.bound), compareKeyPoints)
      else if (atom.kind === 'appId') {
        const wanted = resolveAppId(atom.appId, this.#context)
        if (appId !== undefined && appId !== wanted) return undefined
        appId = wanted
      }
    }
    return { tags, appId, local, time, key }
  }
}

/** Branches without supersets of one another, in order of arrival. */
class Disjunction {
  readonly #maxBranches: number
  /** By the text of their numbers, so that equal ones are found at once. */
  readonly #branches = new Map<string, AtomSet>()
  /** Branches by one of their atoms, the rarest so far: whatever absorbs a set has all its atoms in that set. */
  readonly #byRarest = new Map<number, Set<AtomSet>>()
  readonly #rarest = new Map<AtomSet, number>()
  /** Branches by each of their atoms, to find those that a new one absorbs; made when first needed. */
  #byAtom: Map<number, Set<AtomSet>> | undefined
  /** Only shorter branches can absorb, only longer ones be absorbed: mostly all are of one length. */
  #shortest = Infinity
  #longest = 0
  #all = false
  #cells = 0

  constructor(maxBranches: number) {
    this.#maxBranches = maxBranches
  }

  *branches(): Generator<AtomSet> {
    if (this.#all) yield []
    else yield* this.#branches.values()
  }

  add(branch: AtomSet): void {
    const [first] = branch
    if (first === undefined) this.#all = true
    if (first === undefined || this.#all) return
    const key = branch.join()
    if (this.#branches.has(key) || this.#isAbsorbed(branch)) return
    this.#dropSupersets(branch)
    this.#branches.set(key, branch)
    const sizeOf = (atom: number) => this.#byRarest.get(atom)?.size ?? 0
    const rarest = branch.reduce((best, atom) => (sizeOf(atom) < sizeOf(best) ? atom : best), first)
    register(this.#byRarest, rarest, branch)
    this.#rarest.set(branch, rarest)
    if (this.#byAtom !== undefined) for (const atom of branch) register(this.#byAtom, atom, branch)
    this.#shortest = Math.min(this.#shortest, branch.length)
    this.#longest = Math.max(this.#longest, branch.length)
    this.#cells += branch.length
    if (this.#branches.size > this.#maxBranches || this.#cells > MAX_CELLS) throw tooComplex()
  }

  #isAbsorbed(branch: AtomSet): boolean {
    if (this.#shortest >= branch.length) return false
    for (const atom of branch) {
      for (const known of this.#byRarest.get(atom) ?? []) if (isSubset(known, branch)) return true
    }
    return false
  }

  #dropSupersets(branch: AtomSet): void {
    if (this.#longest <= branch.length) return
    const byAtom = (this.#byAtom ??= this.#indexByAtom())
    let rarest: ReadonlySet<AtomSet> | undefined
    for (const atom of branch) {
      const holders = byAtom.get(atom)
      if (holders === undefined) return
      if (rarest === undefined || holders.size < rarest.size) rarest = holders
    }
    for (const known of [...(rarest ?? [])]) if (isSubset(branch, known)) this.#drop(known, byAtom)
  }

  #indexByAtom(): Map<number, Set<AtomSet>> {
    const byAtom = new Map<number, Set<AtomSet>>()
    for (const branch of this.#branches.values()) for (const atom of branch) register(byAtom, atom, branch)
    return byAtom
  }

  #drop(branch: AtomSet, byAtom: Map<number, Set<AtomSet>>): void {
    this.#branches.delete(branch.join())
    this.#cells -= branch.length
    for (const atom of branch) byAtom.get(atom)?.delete(branch)
    this.#byRarest.get(this.#rarest.get(branch) ?? -1)?.delete(branch)
    this.#rarest.delete(branch)
  }
}

function register(map: Map<number, Set<AtomSet>>, atom: number, branch: AtomSet): void {
  const known = map.get(atom)
  if (known === undefined) map.set(atom, new Set([branch]))
  else known.add(branch)
}

function isSubset(small: AtomSet, big: AtomSet): boolean {
  if (small.length > big.length) return false
  let at = 0
  for (const atom of small) {
    while (at < big.length && (big[at] ?? 0) < atom) at++
    if (big[at] !== atom) return false
    at++
  }
  return true
}

/** Both are in rising order, and so is the result; atoms of both occur once. */
function mergeSorted(a: AtomSet, b: AtomSet): AtomSet {
  const merged: number[] = []
  let left = 0
  let right = 0
  while (left < a.length || right < b.length) {
    const x = a[left] ?? Infinity
    const y = b[right] ?? Infinity
    merged.push(Math.min(x, y))
    if (x <= y) left++
    if (y <= x) right++
  }
  return merged
}

function intersect<T>(a: Range<T>, b: Range<T>, compare: (x: T, y: T) => number): Range<T> {
  const later = (x: T | undefined, y: T | undefined, sign: number) =>
    x === undefined ? y : y === undefined || compare(x, y) * sign >= 0 ? x : y
  return { from: later(a.from, b.from, 1), to: later(a.to, b.to, -1) }
}

function compareBigInts(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function tooComplex(): AqlTooComplexError {
  return new AqlTooComplexError('the query is too complex: its tag expression multiplies out to too many branches')
}
