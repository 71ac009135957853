import type { JSX } from 'preact'
import type { LogSeverity } from '../../client/index.js'
import { millis } from '../figures/times.js'
import { choose, useChoice } from '../frame/address.js'
import { usePolled } from '../live/use-polled.js'
import { previewOf } from '../events/row.js'
import { Choice } from '../parts/choice.js'
import { Loaded } from '../parts/loaded.js'

const LINES = 100

const LEVELS = [
  ['info', 'Info'],
  ['warn', 'Warn'],
  ['error', 'Error'],
] as const

/** The tail of the daemon's log, newest first. */
export function Log(): JSX.Element {
  const chosen = useChoice('log')
  const level: LogSeverity = chosen === 'warn' || chosen === 'error' ? chosen : 'info'
  const polled = usePolled(`log ${level}`, (client, signal) => client.log(level, LINES, signal))
  return (
    <section class="sheet" aria-label="Log">
      <div class="head">
        <h2>Log</h2>
        <small>newest first</small>
        <span class="grow" />
        <Choice
          label="Least level"
          options={LEVELS}
          chosen={level}
          onChoose={(log) => {
            choose({ log })
          }}
        />
      </div>
      <Loaded polled={polled} what="the log">
        {(lines) =>
          lines.length === 0 ? (
            <p class="pad q">No line of this level since the node was started.</p>
          ) : (
            <ol class="log">
              {lines.toReversed().map((line) => (
                <li key={line.number} class={line.level}>
                  <span class="q">{millis(line.time)}</span> <b>{line.level.toUpperCase()}</b> {line.message}{' '}
                  <span class="q">{Object.keys(line.details).length === 0 ? '' : previewOf(line.details, 400)}</span>
                </li>
              ))}
            </ol>
          )
        }
      </Loaded>
    </section>
  )
}
