import {
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  completionKeymap,
  acceptCompletion,
} from '@codemirror/autocomplete'
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { bracketMatching } from '@codemirror/language'
import { EditorState, Prec } from '@codemirror/state'
import { EditorView, keymap, lineNumbers } from '@codemirror/view'
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { aql } from './aql-language.js'
import { completeAql } from './completion.js'
import { faults, setFault, type Fault } from './fault.js'
import type { FindTags } from './known-tags.js'

/** What the editor tells, always by its newest form. */
interface EditorEvents {
  readonly onText: (text: string) => void
  readonly onRun: () => void
  readonly findTags: FindTags
}

/**
 * Writes AQL. It lives in a shadow root: there its style sheets are objects, which the policy of the page allows, and not
 * elements, which it forbids.
 *
 * @param props.given replaces what was written whenever it is another object. The text that is being written is not handed
 *   back: it would come late, and overwrite what was typed meanwhile.
 */
export function Editor(
  props: EditorEvents & { given: { readonly text: string }; fault: Fault | undefined },
): JSX.Element {
  const host = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView | undefined>(undefined)
  const events = useRef<EditorEvents>(props)
  events.current = props
  useEffect(() => {
    if (host.current === null) return undefined
    const root = host.current.shadowRoot ?? host.current.attachShadow({ mode: 'open', delegatesFocus: true })
    const editor = new EditorView({ state: startState(props.given.text, events), parent: root, root })
    view.current = editor
    return () => {
      editor.destroy()
      view.current = undefined
    }
  }, [])
  useEffect(() => {
    const editor = view.current
    if (editor === undefined || editor.state.doc.toString() === props.given.text) return
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: props.given.text } })
  }, [props.given])
  useEffect(() => {
    view.current?.dispatch({ effects: setFault.of(props.fault) })
  }, [props.fault])
  return <div class="editor" ref={host} />
}

function startState(text: string, events: { readonly current: EditorEvents }): EditorState {
  const run = (): boolean => {
    events.current.onRun()
    return true
  }
  return EditorState.create({
    doc: text,
    extensions: [
      lineNumbers(),
      history(),
      bracketMatching(),
      closeBrackets(),
      aql,
      faults,
      autocompletion({
        override: [completeAql((prefix, signal) => events.current.findTags(prefix, signal))],
        icons: false,
      }),
      replaceByHand,
      Prec.highest(keymap.of([{ key: 'Mod-Enter', run }])),
      // Tab takes a completion that is offered; otherwise it leaves the editor, so that the keyboard is not caught.
      keymap.of([{ key: 'Tab', run: acceptCompletion }]),
      keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ 'aria-label': 'Query text', spellcheck: 'false', autocorrect: 'off' }),
      EditorView.updateListener.of(({ docChanged, state }) => {
        if (docChanged) events.current.onText(state.doc.toString())
      }),
      look,
    ],
  })
}

/**
 * What is typed over a selection. Browsers would keep the look of the replaced text by a style attribute, which the policy
 * of the page forbids and the console reports.
 */
const replaceByHand = EditorView.domEventHandlers({
  beforeinput(event, view) {
    const { data, inputType, isComposing } = event
    const { from, to, empty } = view.state.selection.main
    if (inputType !== 'insertText' || data === null || isComposing || empty) return false
    event.preventDefault()
    const insert = () =>
      view.state.update({
        changes: { from, to, insert: data },
        selection: { anchor: from + data.length },
        userEvent: 'input.type',
      })
    const isHandled = view.state.facet(EditorView.inputHandler).some((handle) => handle(view, from, to, data, insert))
    if (!isHandled) view.dispatch(insert())
    return true
  },
})

const look = EditorView.theme({
  '&': { color: 'var(--ink)', backgroundColor: 'var(--sunk)', fontSize: '15px', minHeight: '128px' },
  '&.cm-focused': { outline: '3px solid var(--focus)', outlineOffset: '-3px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.6', padding: '12px 0' },
  '.cm-content': { caretColor: 'var(--ink)', minHeight: '104px' },
  '.cm-cursor': { borderLeftColor: 'var(--ink)', borderLeftWidth: '2px' },
  '.cm-gutters': { backgroundColor: 'var(--sunk)', color: 'var(--ink2)', border: 'none', fontSize: '13px' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground, ::selection': {
    backgroundColor: 'var(--soft)',
  },
  '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--soft)', outline: '1px solid var(--line2)' },
  '.cm-tooltip': { backgroundColor: 'var(--sheet)', color: 'var(--ink)', border: '1px solid var(--line2)' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', maxHeight: '16em' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '6px 12px', lineHeight: '1.4' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--data)', color: 'var(--on)' },
  '.cm-completionDetail': { fontFamily: 'var(--sans)', fontStyle: 'normal', marginLeft: '12px' },
  '.fault': {
    textDecoration: 'underline wavy var(--alarmfill) 2px',
    textUnderlineOffset: '4px',
    textDecorationSkipInk: 'none',
  },
  '.fault-line': {
    backgroundColor: 'var(--alarmbg)',
    color: 'var(--alarm)',
    fontFamily: 'var(--sans)',
    padding: '2px 12px',
    whiteSpace: 'pre-wrap',
  },
})
