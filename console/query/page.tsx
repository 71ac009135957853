import type { JSX } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { counted, milliseconds } from '../figures/numbers.js'
import { minute } from '../figures/times.js'
import { choose, useChoice } from '../frame/address.js'
import { Cell, useCell } from '../live/cell.js'
import { useLink } from '../live/use-polled.js'
import { Editor } from './editor.js'
import { useExplained, type Explained } from './explain.js'
import { ExplainPanel } from './explain-panel.js'
import { addToHistory, readHistory, type Asked } from './history.js'
import { findTagsOver } from './known-tags.js'
import './query.css'
import { ResultPanel, summaryOf } from './result-panel.js'
import { Run } from './run.js'

const FIRST_QUERY = 'FROM allEvents ORDER DESC LIMIT 20'

/** The last query and its answer stay when one looks at another page. */
const current = new Cell<Run | undefined>(undefined)

/** "Let me ask." */
export function QueryPage(): JSX.Element {
  const link = useLink()
  const linked = useChoice('q')
  const [given, setGiven] = useState({ text: linked === '' ? (current.value?.text ?? FIRST_QUERY) : linked })
  const [text, setText] = useState(given.text)
  const give = (other: string): void => {
    setText(other)
    setGiven({ text: other })
  }
  const [history, setHistory] = useState(readHistory)
  const explained = useExplained(text)
  const run = useCell(current)
  const findTags = useMemo(() => findTagsOver(link), [link])
  useEffect(() => {
    // Somebody followed a link; running a query puts it there too.
    if (linked !== '' && linked !== current.value?.text && linked !== text) give(linked)
  }, [linked])
  const ask = async (): Promise<void> => {
    if (text.trim() === '') return
    run?.stop()
    const next = new Run(link, text)
    current.value = next
    choose({ q: text })
    const { result, tookMs } = await next.run()
    setHistory((before) => addToHistory(before, { text, atMs: Date.now(), rows: result.count, tookMs }))
  }
  return (
    <div class="cols two">
      <div class="stack">
        <section class="sheet" aria-label="Query">
          <div class="head">
            <h2>Query</h2>
            <small>Tab completes, Ctrl+Enter runs</small>
          </div>
          <Editor
            given={given}
            fault={explained.text === text ? explained.fault : undefined}
            findTags={findTags}
            onText={setText}
            onRun={() => void ask()}
          />
          <div class="row bar-row">
            {run === undefined ? (
              <RunButton onRun={() => void ask()} />
            ) : (
              <RunOrStop run={run} onRun={() => void ask()} />
            )}
          </div>
          <FaultText explained={explained} text={text} />
        </section>
        {run === undefined ? null : <ResultPanel key={run.text} run={run} />}
      </div>
      <div class="stack">
        <ExplainPanel explained={explained} />
        <History history={history} onChoose={give} />
      </div>
    </div>
  )
}

/** The fault once more, for those who do not see the line below the text. */
function FaultText({ explained, text }: { explained: Explained; text: string }): JSX.Element {
  const fault = explained.text === text ? explained.fault : undefined
  return (
    <p class="vh" role="status">
      {fault === undefined ? '' : `line ${String(fault.line)}, column ${String(fault.column)}: ${fault.reason}`}
    </p>
  )
}

function RunButton({ onRun }: { onRun: () => void }): JSX.Element {
  return (
    <button class="btn pri" type="button" onClick={onRun}>
      Run
    </button>
  )
}

function RunOrStop({ run, onRun }: { run: Run; onRun: () => void }): JSX.Element {
  const view = useCell(run.view)
  return (
    <>
      {view.state === 'running' ? (
        <button
          class="btn pri"
          type="button"
          onClick={() => {
            run.stop()
          }}
        >
          Stop
        </button>
      ) : (
        <RunButton onRun={onRun} />
      )}
      <span class="grow" />
      <span class="q" role="status">
        {summaryOf(view)}
      </span>
    </>
  )
}

function History({ history, onChoose }: { history: readonly Asked[]; onChoose: (text: string) => void }): JSX.Element {
  return (
    <section class="sheet" aria-label="History">
      <div class="head">
        <h2>History</h2>
        <small>in this browser</small>
      </div>
      {history.length === 0 ? <p class="pad q">Queries that you run are kept here.</p> : null}
      {history.map(({ text, atMs, rows, tookMs }) => (
        <button
          key={text}
          class="asked"
          type="button"
          onClick={() => {
            onChoose(text)
          }}
        >
          <span class="q nw">{minute(atMs)}</span>
          <code>{text.slice(0, 200)}</code>
          <small>
            {counted(rows, 'row')}, {milliseconds(tookMs)}
          </small>
        </button>
      ))}
    </section>
  )
}
