import type { StateDecision, StateView } from '../storage/index.js'
import { NotLookedAtError } from './intents.js'
import type { TableCommit, TableWrite } from './record-table.js'

/** Keeps a copy, in the node's store and in the commit of the events, of what part of a commit writes. */
type Keep = (view: StateView, at: number, part: TableCommit) => void

/** Decisions that are made one after the other within one commit of the node's store; together they become one of the table. */
export class RemoteBatch {
  readonly #found: ReadonlyMap<string, Buffer | undefined>
  readonly #marks: Pick<TableCommit, 'after' | 'mark'>
  readonly #keep: Keep
  readonly #written = new Map<string, TableWrite>()
  /** What no copy is kept of so far. */
  #unkept: TableWrite[] = []
  #copies = 0
  #group: object | undefined
  readonly #leftOut = new Set<StateDecision>()

  constructor(
    keys: readonly Buffer[],
    found: readonly (Buffer | undefined)[],
    marks: Pick<TableCommit, 'after' | 'mark'>,
    keep: Keep,
  ) {
    this.#found = new Map(keys.map((key, at) => [nameOf(key), found[at]]))
    this.#marks = marks
    this.#keep = keep
  }

  /** The decision as one of the node's store. */
  join(decision: StateDecision): StateDecision {
    return {
      keys: [],
      appends: decision.appends,
      bytes: decision.bytes,
      decide: (view) => {
        this.#group ??= view.group
        if (this.#group !== view.group) {
          this.#leftOut.add(decision)
          throw new NotLookedAtError()
        }
        this.#decide(decision, view)
      },
      committed: () => undefined,
    }
  }

  isLeftOut(decision: StateDecision): boolean {
    return this.#leftOut.has(decision)
  }

  commit(): TableCommit {
    return { ...this.#marks, writes: [...this.#written.values()] }
  }

  #decide(decision: StateDecision, view: StateView): void {
    const mine = new Map<string, TableWrite>()
    const put = (key: Buffer, content: Buffer | undefined): void => {
      mine.set(nameOf(key), { key, content })
    }
    let appends = 0
    decision.decide({
      group: this,
      get: (key) => {
        const name = nameOf(key)
        const written = mine.get(name) ?? this.#written.get(name)
        if (written !== undefined) return written.content
        if (!this.#found.has(name)) throw new TypeError(`the record ${JSON.stringify(name)} was not announced`)
        return this.#found.get(name)
      },
      put,
      delete: (key) => {
        put(key, undefined)
      },
      lastOffset: (streamNumber) => view.lastOffset(streamNumber),
      append: (request) => {
        appends++
        return view.append(request)
      },
    })
    for (const [name, write] of mine) this.#written.set(name, write)
    this.#unkept.push(...mine.values())
    if (appends === 0) return
    this.#keep(view, this.#copies++, { ...this.#marks, writes: this.#unkept })
    this.#unkept = []
  }
}

function nameOf(key: Buffer): string {
  return key.toString('latin1')
}
