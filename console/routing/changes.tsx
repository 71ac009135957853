import type { JSX } from 'preact'
import type { DraftChanges } from '../../client/index.js'
import { bytes, count, counted } from '../figures/numbers.js'

/** What a draft would change: where events would go, and what would go for good. */
export function Changes({ changes }: { changes: DraftChanges }): JSX.Element {
  const { settings, looked, elsewhere, moves, dropped, drops, newStreams } = changes
  if (settings.length === 0) return <p class="note">This changes nothing.</p>
  return (
    <div class="stack tight" role="status" aria-label="What it would change">
      <div class="note">
        <p>
          <b>{elsewhere === 0 ? 'No event' : counted(elsewhere, 'event')}</b> of the newest {count(looked)} would go to
          another stream.
          {newStreams.length === 0 ? '' : ` New streams: ${newStreams.join(', ')}.`}
        </p>
        {moves.length === 0 ? null : (
          <ul>
            {moves.map(({ from, into, events }) => (
              <li key={`${from} ${into}`}>
                {from} → <b>{into}</b>: {count(events)}
              </li>
            ))}
          </ul>
        )}
      </div>
      {dropped === 0 ? null : (
        <div class="note a">
          <p>
            <b>{counted(dropped, 'event')} would be deleted at once.</b>
          </p>
          <ul>
            {drops.map(({ stream, blocks, events, storedBytes }) => (
              <li key={stream}>
                {stream}: {counted(blocks, 'block')}, {counted(events, 'event')}, {bytes(storedBytes)}
              </li>
            ))}
          </ul>
        </div>
      )}
      <p class="q">Settings that differ: {settings.join(', ')}.</p>
    </div>
  )
}
