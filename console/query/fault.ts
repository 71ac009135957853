import { StateEffect, StateField, type Extension, type Range } from '@codemirror/state'
import { Decoration, EditorView, WidgetType, type DecorationSet } from '@codemirror/view'

/** What is wrong with the text of a query, and where. */
export interface Fault {
  /** UTF-16 units from the beginning. */
  readonly offset: number
  readonly line: number
  readonly column: number
  readonly reason: string
}

/** Shows a fault, or none. */
export const setFault = StateEffect.define<Fault | undefined>()

/** Below the line: line, column and what would be right. */
class FaultLine extends WidgetType {
  readonly #fault: Fault

  constructor(fault: Fault) {
    super()
    this.#fault = fault
  }

  override eq(other: FaultLine): boolean {
    return other.#fault.reason === this.#fault.reason && other.#fault.offset === this.#fault.offset
  }

  override toDOM(): HTMLElement {
    const { line, column, reason } = this.#fault
    const element = document.createElement('div')
    element.className = 'fault-line'
    element.textContent = `line ${String(line)}, column ${String(column)}: ${reason}`
    return element
  }
}

const field = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(decorations, transaction) {
    for (const effect of transaction.effects) {
      if (effect.is(setFault))
        return effect.value === undefined ? Decoration.none : draw(effect.value, transaction.state.doc)
    }
    // The fault stays where it was until the daemon has looked at the new text.
    return decorations.map(transaction.changes)
  },
  provide: (self) => EditorView.decorations.from(self),
})

function draw(
  fault: Fault,
  text: {
    readonly length: number
    sliceString: (from: number, to: number) => string
    lineAt: (at: number) => { to: number; from: number }
  },
): DecorationSet {
  const at = Math.min(fault.offset, text.length)
  const line = text.lineAt(at)
  const [word = ''] = /^([\p{L}\p{N}_]+|.)/u.exec(text.sliceString(at, line.to)) ?? []
  // At the end of a line there is nothing to underline but what stands before.
  const from = word === '' ? Math.max(line.from, at - 1) : at
  const to = word === '' ? at : at + word.length
  const marks: Range<Decoration>[] = []
  if (to > from) marks.push(Decoration.mark({ class: 'fault' }).range(from, to))
  marks.push(Decoration.widget({ widget: new FaultLine(fault), block: true, side: 1 }).range(line.to))
  return Decoration.set(marks)
}

export const faults: Extension = field
