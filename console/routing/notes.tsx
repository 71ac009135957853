import type { JSX } from 'preact'
import type { DraftNote } from '../../client/index.js'

/** What is wrong or odd in a draft; a tap shows the place. */
export function Notes(props: {
  notes: readonly DraftNote[]
  kind: 'error' | 'warning'
  onShow: (note: DraftNote) => () => void
}): JSX.Element | null {
  const { notes, kind, onShow } = props
  if (notes.length === 0) return null
  return (
    <ul class="stack tight" aria-label={kind === 'error' ? 'Errors' : 'Warnings'}>
      {notes.map((note) => (
        <li
          key={`${String(note.line)}:${String(note.column)} ${note.reason}`}
          class={kind === 'error' ? 'note a' : 'note w'}
        >
          <div class="row">
            <span class="grow">
              <b>{placeText(note)}</b> {note.reason}
              {note.mend === null ? null : (
                <>
                  . <b>{note.mend}</b>
                </>
              )}
            </span>
            {note.source === 'draft' ? (
              <button class="btn" type="button" aria-label={`Show line ${String(note.line)}`} onClick={onShow(note)}>
                Show
              </button>
            ) : null}
          </div>
        </li>
      ))}
    </ul>
  )
}

function placeText({ source, line, column }: DraftNote): string {
  const place = `line ${String(line)}, column ${String(column)}:`
  return source === 'draft' ? place : `${source}, ${place}`
}
