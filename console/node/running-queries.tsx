import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { RunningQuery } from '../../client/index.js'
import { counted } from '../figures/numbers.js'
import { duration } from '../figures/times.js'
import { useNow } from '../live/use-now.js'
import { useLink, usePolled } from '../live/use-polled.js'
import { operatorToken } from '../frame/operator.js'
import { AskAgain } from '../parts/ask-again.js'
import { Loaded } from '../parts/loaded.js'
import { OperatorField } from '../parts/operator-field.js'

/** What is under way, and a way to end it. */
export function RunningQueries(): JSX.Element {
  const polled = usePolled('queries', (client, signal) => client.queries(signal))
  return (
    <section class="sheet" aria-label="Running queries">
      <div class="head">
        <h2>Running queries</h2>
        <small>
          {operatorToken() === undefined ? 'of this page; those of other apps are for operators' : 'of all apps'}
        </small>
      </div>
      <Loaded polled={polled} what="queries">
        {(queries) =>
          queries.length === 0 ? (
            <p class="pad q">None.</p>
          ) : (
            <>
              {queries.map((query) => (
                <Running key={query.id} running={query} onEnded={polled.askNow} />
              ))}
            </>
          )
        }
      </Loaded>
      {operatorToken() === undefined ? (
        <div class="pad">
          <OperatorField what="sees and ends those of all apps" />
        </div>
      ) : null}
    </section>
  )
}

function Running({ running, onEnded }: { running: RunningQuery; onEnded: () => void }): JSX.Element {
  const { id, kind, query, appId, since, rows } = running
  const link = useLink()
  const nowMs = useNow()
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const end = async (): Promise<void> => {
    try {
      await link.ask((client, signal) => client.endQuery(id, signal), AbortSignal.timeout(10_000))
      onEnded()
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }
  return (
    <div class="row bar-row running">
      <div class="grow">
        <b>{appId}</b>{' '}
        <small>
          {kind}, {duration(nowMs - since / 1000)}, {counted(rows, 'row')}
        </small>
        <br />
        <code>{query}</code>
        {problem === undefined ? null : <p class="note a">{problem}</p>}
      </div>
      <AskAgain label="End" question="Really end" name={`the ${kind} of ${appId}`} onSure={() => void end()} />
    </div>
  )
}
