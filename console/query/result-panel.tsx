import type { JSX } from 'preact'
import { useMemo, useState } from 'preact/hooks'
import { count, counted, milliseconds } from '../figures/numbers.js'
import { millis } from '../figures/times.js'
import { choose, useChoice } from '../frame/address.js'
import { useCell } from '../live/cell.js'
import { Choice } from '../parts/choice.js'
import { eventName, previewOf } from '../events/row.js'
import { Chart } from './chart.js'
import { cellOf, columnsOf, hasTime, numberColumns } from './columns.js'
import { csvOf } from './csv.js'
import type { Run, RunView } from './run.js'
import { fileName, saveAs } from './save.js'

/** Rows drawn at first, and more with each press. */
const PAGE = 100

/** Characters of a cell. */
const CELL = 200

type Look = 'table' | 'json' | 'chart'

/** What a query has delivered: as table, as JSON, as a chart. */
export function ResultPanel({ run }: { run: Run }): JSX.Element {
  const view = useCell(run.view)
  const { result } = view
  const columns = useMemo(() => columnsOf(result.rows), [result, Math.min(result.rows.length, 200)])
  const numbers = numberColumns(result.rows, columns)
  const chosen = useChoice('as')
  const look: Look = chosen === 'json' || (chosen === 'chart' && numbers.length > 0) ? chosen : 'table'
  const looks: (readonly [Look, string])[] = [
    ['table', 'Table'],
    ['json', 'JSON'],
  ]
  if (numbers.length > 0) looks.push(['chart', 'Chart'])
  return (
    <section class="sheet" aria-label="Result">
      <div class="row bar-row">
        <Choice
          label="Show result as"
          options={looks}
          chosen={look}
          onChoose={(as) => {
            choose({ as })
          }}
        />
        <span class="grow" />
        <SaveButtons view={view} />
      </div>
      <Notes view={view} />
      {result.count === 0 && view.state === 'done' ? (
        <p class="pad q">No row. The query ran over everything that matches.</p>
      ) : null}
      {look === 'table' ? <Table view={view} columns={columns} /> : null}
      {look === 'json' ? <Json view={view} /> : null}
      {look === 'chart' ? <Drawn view={view} numbers={numbers} /> : null}
    </section>
  )
}

/** `17 rows in 38 ms`. */
export function summaryOf({ state, result, tookMs }: RunView): string {
  const rows = `${counted(result.count, 'row')} in ${milliseconds(tookMs)}`
  return state === 'running' ? `${rows} so far` : state === 'stopped' ? `${rows}, stopped` : rows
}

function SaveButtons({ view }: { view: RunView }): JSX.Element {
  const isOff = view.result.count === 0 || view.state === 'running'
  const [isBusy, setIsBusy] = useState(false)
  const saveCsv = async (): Promise<void> => {
    setIsBusy(true)
    try {
      saveAs(fileName('csv', new Date()), await csvOf(view.result.ndjson()))
    } finally {
      setIsBusy(false)
    }
  }
  return (
    <>
      <button
        class="btn"
        type="button"
        disabled={isOff}
        onClick={() => {
          saveAs(fileName('ndjson', new Date()), view.result.ndjson())
        }}
      >
        Save NDJSON
      </button>
      <button class="btn" type="button" disabled={isOff || isBusy} onClick={() => void saveCsv()}>
        Save CSV
      </button>
    </>
  )
}

function Notes({ view }: { view: RunView }): JSX.Element | null {
  const { result, problem } = view
  if (problem === undefined && result.warnings === 0) return null
  return (
    <div class="pad stack tight" role="status">
      {problem === undefined ? null : (
        <div class="note a">
          <b>The answer is not complete.</b> {problem}
        </div>
      )}
      {result.warnings === 0 ? null : (
        <details class="note w">
          <summary>
            {counted(result.warnings, 'event was', 'events were')} left out: the query cannot be computed for them.
          </summary>
          <ul>
            {result.diagnostics.map((message, index) => (
              <li key={index} class="m">
                {message}
              </li>
            ))}
            {result.warnings > result.diagnostics.length ? <li>…</li> : null}
          </ul>
        </details>
      )}
    </div>
  )
}

function Table({ view, columns }: { view: RunView; columns: readonly string[] }): JSX.Element | null {
  const { rows } = view.result
  const [shown, setShown] = useState(PAGE)
  if (rows.length === 0) return null
  const isTimed = rows.some(hasTime)
  return (
    <>
      <div class="wide" tabIndex={0} role="region" aria-label="Rows">
        <table class="result">
          <thead>
            <tr>
              {isTimed ? <th scope="col">time</th> : null}
              {columns.map((column) => (
                <th key={column} scope="col">
                  {previewOf(column, 60).slice(1, -1)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, shown).map((row, index) => (
              <tr key={index}>
                {isTimed ? (
                  <td class="nw">
                    {hasTime(row) ? (
                      <a href={`#events?event=${encodeURIComponent(eventName(row))}`} title="Show this event">
                        {millis(row.timestamp)}
                      </a>
                    ) : null}
                  </td>
                ) : null}
                {columns.map((column) => (
                  <Cell key={column} value={cellOf(row, column)} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <More
        view={view}
        shown={shown}
        onMore={() => {
          setShown(shown + 5 * PAGE)
        }}
      />
    </>
  )
}

function Cell({ value }: { value: unknown }): JSX.Element {
  if (value === undefined) return <td />
  if (typeof value === 'number') return <td class="r nw">{String(value)}</td>
  return <td class="m">{typeof value === 'string' ? value.slice(0, CELL) : previewOf(value, CELL)}</td>
}

function Json({ view }: { view: RunView }): JSX.Element | null {
  const { rows } = view.result
  const [shown, setShown] = useState(PAGE)
  if (rows.length === 0) return null
  return (
    <>
      <pre class="json" tabIndex={0} aria-label="Rows as JSON">
        {rows
          .slice(0, shown)
          .map(({ payload }) => previewOf(payload, 20_000))
          .join('\n')}
      </pre>
      <More
        view={view}
        shown={shown}
        onMore={() => {
          setShown(shown + PAGE)
        }}
      />
    </>
  )
}

function Drawn({ view, numbers }: { view: RunView; numbers: readonly string[] }): JSX.Element {
  const wanted = useChoice('column')
  const column = numbers.includes(wanted) ? wanted : (numbers[0] ?? '')
  const options = numbers.slice(0, 6).map((name) => [name, name] as const)
  return (
    <>
      {numbers.length < 2 ? null : (
        <div class="row bar-row">
          <Choice
            label="Column to draw"
            options={options}
            chosen={column}
            onChoose={(name) => {
              choose({ column: name })
            }}
          />
        </div>
      )}
      <Chart rows={view.result.rows} column={column} drawn={view.drawn} />
      {view.result.count > view.result.rows.length ? (
        <p class="pad q">
          Drawn are the first {count(view.result.rows.length)} of {count(view.result.count)} rows.
        </p>
      ) : null}
    </>
  )
}

function More({ view, shown, onMore }: { view: RunView; shown: number; onMore: () => void }): JSX.Element | null {
  const { rows, count: all } = view.result
  if (all <= shown) return null
  return (
    <div class="row bar-row">
      <span class="q">
        {count(Math.min(shown, rows.length))} of {count(all)} rows are shown; a saved file has all.
      </span>
      <span class="grow" />
      {rows.length > shown ? (
        <button class="btn" type="button" onClick={onMore}>
          Show more
        </button>
      ) : null}
    </div>
  )
}
