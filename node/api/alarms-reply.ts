import { Type, type Static } from '@sinclair/typebox'
import type { NodeId, StreamId } from '../../core/index.js'
import { exactly, oneOf, textOrNull } from './reply-schemas.js'

/** What an alarm is about, in the words of the console. */
export const ALARM_KINDS = ['fork', 'gap', 'clock', 'disk', 'key', 'damage', 'peer', 'limit'] as const

export type AlarmKind = (typeof ALARM_KINDS)[number]

/** Something that somebody has to look after. */
export interface NodeAlarm {
  readonly kind: AlarmKind
  /** What exactly, for programs. */
  readonly reason: string
  readonly stream: StreamId | undefined
  readonly peer: NodeId | undefined
  readonly sinceMicros: number
  readonly message: string
  readonly advice: string
}

const Alarm = exactly(
  {
    kind: oneOf(
      ALARM_KINDS,
      'fork: two histories of one node, or lost ones; gap: events that are known of and cannot be had; clock: ages cannot ' +
        'be trusted; disk: no room, or it fails; key: a node with another swarm key or another identity than expected; ' +
        'damage: stored data are not as they were written; peer: a node that keeps no rule; limit: there are too many',
    ),
    reason: Type.String({ description: 'What exactly, for programs; there may come more of them' }),
    stream: textOrNull('Stream id, where it is about one'),
    peer: textOrNull('Node id, where it is about one'),
    since: Type.Integer({ description: 'Microseconds since 1970' }),
    message: Type.String({ description: 'What is wrong' }),
    advice: Type.String({ description: 'What to do' }),
  },
  'Something that somebody has to look after',
)

export const AlarmsReply = exactly(
  { alarms: Type.Array(Alarm, { description: 'The oldest of each kind first' }) },
  'All alarms of the node and its swarm',
)

export function renderAlarms(alarms: readonly NodeAlarm[]): string {
  const reply: Static<typeof AlarmsReply> = { alarms: alarms.map(toReply) }
  return JSON.stringify(reply)
}

function toReply({ kind, reason, stream, peer, sinceMicros, message, advice }: NodeAlarm): Static<typeof Alarm> {
  return { kind, reason, stream: stream ?? null, peer: peer ?? null, since: sinceMicros, message, advice }
}
