import type { JSX } from 'preact'
import { useRef, useState } from 'preact/hooks'
import type { AppliedRouting, RoutingInfo } from '../../client/index.js'
import { useCell } from '../live/cell.js'
import { usePolled } from '../live/use-polled.js'
import { CopyButton } from '../parts/copy-button.js'
import { Loaded } from '../parts/loaded.js'
import { ApplyRow } from './apply.js'
import { Changes } from './changes.js'
import { draft, useChecked } from './draft.js'
import { Notes } from './notes.js'
import { placeOf } from './place.js'

/** The file may be changed by others too; milliseconds. */
const FILE_MS = 10_000

/** "And what if I change it?" Routes and limits as text: checked while they are written, and applied where that is allowed. */
export function DraftPanel(): JSX.Element {
  const polled = usePolled('routing', (client, signal) => client.routing(signal), FILE_MS)
  return (
    <section class="sheet" aria-label="Draft">
      <div class="head">
        <h2>What if you change it?</h2>
        <small>eventRouting of the configuration</small>
      </div>
      <Loaded polled={polled} what="routes and limits">
        {(routing) => <DraftOf routing={routing} onApplied={polled.askNow} />}
      </Loaded>
    </section>
  )
}

function DraftOf({ routing, onApplied }: { routing: RoutingInfo; onApplied: () => void }): JSX.Element {
  const current = useCell(draft)
  const [applied, setApplied] = useState<AppliedRouting | undefined>(undefined)
  const area = useRef<HTMLTextAreaElement>(null)
  const text = current?.text ?? routing.text
  const checked = useChecked(current === undefined ? undefined : current.text)
  const report = checked?.text === text ? checked.report : undefined
  const write = (next: string): void => {
    const { base, version } = current ?? { base: routing.text, version: routing.version }
    setApplied(undefined)
    draft.value = next === base && version === routing.version ? undefined : { text: next, base, version }
  }
  const show = (note: Parameters<typeof placeOf>[1]) => (): void => {
    const { from, to } = placeOf(text, note)
    area.current?.focus()
    area.current?.setSelectionRange(from, to)
  }
  return (
    <div class="pad stack tight">
      <p class="q">
        {routing.file === null ? 'The node was started without a configuration file.' : <code>{routing.file}</code>}
      </p>
      <textarea
        ref={area}
        class="in m draft"
        aria-label="Draft of routes and limits"
        aria-invalid={(report?.errors.length ?? 0) > 0}
        spellcheck={false}
        rows={Math.min(24, Math.max(8, text.split('\n').length + 1))}
        value={text}
        onInput={(event) => {
          write(event.currentTarget.value)
        }}
      />
      {current !== undefined && current.version !== routing.version ? <FileChanged routing={routing} /> : null}
      {report === undefined ? null : <Notes notes={report.errors} kind="error" onShow={show} />}
      {report === undefined ? null : <Notes notes={report.warnings} kind="warning" onShow={show} />}
      {checked?.refusal === undefined ? null : <p class="note a">{checked.refusal}</p>}
      {report?.changes == null ? null : <Changes changes={report.changes} />}
      {applied === undefined ? null : <Applied applied={applied} />}
      <ApplyRow
        routing={routing}
        draft={current}
        report={report}
        onApplied={(result) => {
          draft.value = undefined
          setApplied(result)
          onApplied()
        }}
      />
      <div class="row">
        <CopyButton text={text} label="Copy the draft" />
        <button
          class="btn"
          type="button"
          disabled={current === undefined}
          onClick={() => {
            draft.value = undefined
          }}
        >
          Back to what is in force
        </button>
      </div>
    </div>
  )
}

function FileChanged({ routing }: { routing: RoutingInfo }): JSX.Element {
  return (
    <div class="note w row" role="status">
      <span class="grow">Somebody else has changed the file since this draft was begun.</span>
      <button
        class="btn"
        type="button"
        onClick={() => {
          if (draft.value !== undefined) draft.value = { ...draft.value, base: routing.text, version: routing.version }
        }}
      >
        Keep the draft for the new file
      </button>
    </div>
  )
}

function Applied({ applied }: { applied: AppliedRouting }): JSX.Element {
  return (
    <div class="note" role="status">
      <p>
        <b>Applied.</b> {applied.applied.length === 0 ? 'Nothing differs.' : `In force: ${applied.applied.join(', ')}.`}
        {applied.waiting.length === 0 ? '' : ` After the next start: ${applied.waiting.join(', ')}.`}
      </p>
      {applied.warnings.map((warning) => (
        <p key={warning}>{warning}</p>
      ))}
    </div>
  )
}
