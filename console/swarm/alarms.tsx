import type { JSX } from 'preact'
import type { NodeAlarmReport } from '../../client/index.js'
import type { StreamId } from '../../core/index.js'
import { minute } from '../figures/times.js'
import { AlarmGlyph, WarningGlyph } from '../parts/glyph.js'

/** What an alarm is called, by its reason or else its kind. */
const TITLES: Readonly<Record<string, string>> = {
  fork: 'Fork: two histories of one node',
  'own-history': 'Own history: others have more of it',
  'own-ahead': 'Own history: others have more of it',
  gap: 'Gap: events are missing',
  corrupt: 'Gap: stored events cannot be read',
  clock: 'Clock: the time has jumped',
  disk: 'Disk: no more room, or it fails',
  write: 'Disk: it cannot be written',
  low: 'Disk: almost full',
  'network-key': 'Wrong key',
  identity: 'Wrong identity',
  damage: 'Damage: stored data have changed',
  state: 'Damage: records of the state have changed',
  names: 'Damage: the names of streams are lost',
  misbehaved: 'A member breaks the rules',
  'too-many-streams': 'Too many streams',
}

/** What can wait for an hour. */
const WARNINGS: ReadonlySet<string> = new Set(['low', 'clock', 'misbehaved', 'too-many-streams'])

/** What, since when, what to do. */
export function Alarms({ alarms }: { alarms: readonly NodeAlarmReport[] }): JSX.Element | null {
  if (alarms.length === 0) return null
  return (
    <section class="alarms" aria-label="Alarms">
      {alarms.map((alarm) => (
        <Alarm key={`${alarm.reason} ${alarm.stream ?? ''} ${alarm.peer ?? ''}`} alarm={alarm} />
      ))}
    </section>
  )
}

function Alarm({ alarm }: { alarm: NodeAlarmReport }): JSX.Element {
  const { kind, reason, since, message, advice, stream } = alarm
  const isWarning = WARNINGS.has(reason)
  return (
    <article class={isWarning ? 'alarm warning' : 'alarm'}>
      {isWarning ? <WarningGlyph /> : <AlarmGlyph />}
      <h2>{TITLES[reason] ?? kind}</h2>
      <span class="s nw">since {minute(since / 1000)}</span>
      <p class="what">
        {sentence(message)}
        {stream === null ? null : (
          <>
            {' '}
            <a href={`#streams?stream=${encodeURIComponent(stream)}`}>Show the stream</a>
          </>
        )}
      </p>
      <p class="do">
        <b>{sentence(advice)}</b>
      </p>
    </article>
  )
}

/** The daemon writes for lists, where sentences begin small and have no end. */
function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?]$/.test(begun) ? begun : `${begun}.`
}

/** Streams with a gap. */
export function gapsOf(alarms: readonly NodeAlarmReport[]): ReadonlySet<StreamId> {
  return new Set(alarms.flatMap(({ kind, stream }) => (kind === 'gap' && stream !== null ? [stream] : [])))
}
