import type { JSX } from 'preact'
import { count, counted } from '../figures/numbers.js'
import type { Explained } from './explain.js'

/** What the query would do, before it does it. */
export function ExplainPanel({ explained }: { explained: Explained }): JSX.Element {
  return (
    <section class="sheet" aria-label="Explain">
      <div class="head">
        <h2>Explain</h2>
      </div>
      <div class="pad">
        {explained.explanation === undefined ? (
          <p class="q">
            {explained.fault !== undefined ? 'The text is not AQL yet.' : (explained.refusal ?? 'Write a query.')}
          </p>
        ) : (
          <Facts explanation={explained.explanation} />
        )}
      </div>
    </section>
  )
}

function Facts({ explanation }: { explanation: Readonly<Record<string, unknown>> }): JSX.Element {
  const { source, order, stopsEarly, features, operations } = explanation
  const reads = explanation['reads'] as Reads | null | undefined
  const names = Array.isArray(features) ? features.join(', ') : ''
  return (
    <dl class="kv">
      {source === 'events' ? (
        <>
          <dt>reads</dt>
          <dd>{reads === null || reads === undefined ? 'known when it runs' : counted(reads.streams, 'stream')}</dd>
          {reads === null || reads === undefined ? null : (
            <>
              <dt>blocks</dt>
              <dd>
                {count(reads.blocks)}
                {reads.blocksSkipped === 0 ? '' : `, ${count(reads.blocksSkipped)} others cannot match`}
              </dd>
              <dt>newest</dt>
              <dd>{counted(reads.tailEvents, 'event')} not yet in blocks</dd>
            </>
          )}
        </>
      ) : (
        <>
          <dt>reads</dt>
          <dd>no events: the query brings its own</dd>
        </>
      )}
      <dt>order</dt>
      <dd>
        {ORDERS[String(order)] ?? String(order)}
        {stopsEarly === true ? ', may stop before the end' : ''}
      </dd>
      <dt>then</dt>
      <dd>{typeof operations === 'number' ? counted(operations, 'operation') : ''}</dd>
      <dt>features</dt>
      <dd>{names === '' ? 'none' : names}</dd>
    </dl>
  )
}

interface Reads {
  readonly streams: number
  readonly blocks: number
  readonly blocksSkipped: number
  readonly tailEvents: number
}

const ORDERS: Readonly<Record<string, string>> = {
  asc: 'oldest first',
  desc: 'newest first',
  'stream-asc': 'stream by stream',
}
