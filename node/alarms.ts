import { parseStreamId } from '../core/index.js'
import type { ProblemKind, StoreMetrics, StoreProblem } from '../storage/index.js'
import { ALARM_KINDS, type AlarmKind, type NodeAlarm, type SwarmAlarm } from './api/index.js'

/** What alarms are made of. */
export interface AlarmInput {
  readonly problems: readonly StoreProblem[]
  /** `undefined` for a node that is alone. */
  readonly swarm: readonly SwarmAlarm[] | undefined
  readonly disk: LowDisk | undefined
}

/** The disk is nearly full. */
export interface LowDisk {
  readonly freeBytes: number
  readonly sizeBytes: number
  /** Bytes of the topic. */
  readonly bytesOnDisk: number
  /** Name of the own stream that takes most. */
  readonly largest: string | undefined
  readonly sinceMicros: number
}

/** Everything that somebody has to look after, of the node itself and of its swarm; the oldest of each kind first. */
export function alarmsOfNode({ problems, swarm, disk }: AlarmInput): readonly NodeAlarm[] {
  // The swarm tells of forks in its own words.
  const own = problems.filter(({ kind }) => swarm === undefined || (kind !== 'fork' && kind !== 'own-ahead'))
  const isFull = problems.some(({ kind }) => kind === 'disk')
  return [
    ...own.map(problemAlarm),
    ...(swarm ?? []).map(swarmAlarm),
    ...(disk === undefined || isFull ? [] : [lowDiskAlarm(disk)]),
  ].sort((a, b) => ALARM_KINDS.indexOf(a.kind) - ALARM_KINDS.indexOf(b.kind) || a.sinceMicros - b.sinceMicros)
}

const OF_PROBLEM: Readonly<Record<ProblemKind, readonly [kind: AlarmKind, advice: string]>> = {
  disk: ['disk', 'free space, or see to the disk; publishing goes on by itself then'],
  write: ['disk', 'find the cause in the log, see to the disk, and start the node again'],
  clock: [
    'clock',
    'set the clock of this machine and let it be set by the network; until it has run evenly for an hour, nothing goes by age',
  ],
  damage: ['damage', 'run `millrace verify`, which says what is lost; restore a backup if there is one'],
  names: ['damage', 'restore the data directory from a backup'],
  corrupt: [
    'gap',
    'see to the disk; blocks that another node has come back by themselves; `millrace verify` says what is lost, a backup gives it back',
  ],
  state: ['damage', 'run `millrace state verify`, which says what is lost; `--repair` gives it up and goes on'],
  fork: [
    'fork',
    'run `millrace identity epoch` on a restored node, `millrace identity renew` on all but one of the nodes that share a key',
  ],
  'own-ahead': [
    'fork',
    'the data are those of an older backup: run `millrace identity epoch`; it keeps what others hold',
  ],
}

function problemAlarm({ kind: problem, stream, text, sinceMicros }: StoreProblem): NodeAlarm {
  const [kind, advice] = OF_PROBLEM[problem]
  const peer = stream === undefined ? undefined : parseStreamId(stream).nodeId
  return { kind, reason: problem, stream, peer, sinceMicros, message: text, advice }
}

const OF_SWARM: Readonly<Record<SwarmAlarm['kind'], AlarmKind>> = {
  fork: 'fork',
  'own-history': 'fork',
  gap: 'gap',
  'network-key': 'key',
  identity: 'key',
  misbehaved: 'peer',
  'too-many-streams': 'limit',
}

function swarmAlarm({ kind, ...alarm }: SwarmAlarm): NodeAlarm {
  return { kind: OF_SWARM[kind], reason: kind, ...alarm }
}

function lowDiskAlarm({ freeBytes, sizeBytes, bytesOnDisk, largest, sinceMicros }: LowDisk): NodeAlarm {
  const limit =
    largest === undefined ? 'limit the streams' : `lower the limits of the stream '${largest}', which takes most`
  return {
    kind: 'disk',
    reason: 'low',
    stream: undefined,
    peer: undefined,
    sinceMicros,
    message: `the disk has ${gigabytes(freeBytes)} of ${gigabytes(sizeBytes)} left; the node itself takes ${gigabytes(bytesOnDisk)}`,
    advice: `free ${gigabytes(leastFree(sizeBytes) - freeBytes)} there, or ${limit}; when it is full, nothing can be published`,
  }
}

/** Below this the disk is nearly full: a twentieth, but no more than 10 GB. Bytes. */
function leastFree(sizeBytes: number): number {
  return Math.min(sizeBytes / 20, 10e9)
}

/** Remembers since when the disk has been nearly full, as far as somebody has asked. */
export class LowDiskWatch {
  #sinceMicros: number | undefined

  look(metrics: StoreMetrics, nowMicros: number): LowDisk | undefined {
    const { diskFreeBytes, diskSizeBytes, bytesOnDisk, ownStreams } = metrics
    // Also while the figures are unknown.
    if (!(diskFreeBytes < leastFree(diskSizeBytes))) {
      this.#sinceMicros = undefined
      return undefined
    }
    const [largest] = ownStreams.toSorted((a, b) => b.totals.storedBytes - a.totals.storedBytes)
    return {
      freeBytes: diskFreeBytes,
      sizeBytes: diskSizeBytes,
      bytesOnDisk,
      largest: largest?.name,
      sinceMicros: (this.#sinceMicros ??= nowMicros),
    }
  }
}

function gigabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(0)} MB` : `${(bytes / 1e9).toFixed(1)} GB`
}
