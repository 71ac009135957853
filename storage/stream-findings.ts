import type { StreamId } from '../core/index.js'
import { isBlockPart } from './block.js'
import type { CheckNote, Damage } from './check-report.js'

/** Where in a stream something is: offsets, both inclusive, and the kind of value. */
export interface DamagedPlace {
  readonly from: number
  readonly to: number
  readonly part: string
}

const ADVICE_OWN =
  'restore the newest whole backup into an empty directory (millrace restore); what others in the swarm hold of this stream they keep, and give back'
const ADVICE_BLOCK =
  'while it runs, a node fetches it anew from any node of its swarm that has it: check again then; if none has it, restore the newest whole backup into an empty directory (millrace restore)'
const ADVICE_TAIL = 'the node publishes nothing until its data are restored from a backup (millrace restore)'
const ADVICE_REPLICA =
  'its owner and other nodes hold these events: ask one of them (millrace query --node), or restore a backup that is whole'
const ADVICE_REPLICA_TAIL = 'start the node: it cuts the stream back to what is whole and fetches the rest again'
const ADVICE_INDEX = 'nothing need be done; a restored backup or a new copy from other nodes ends it'

/** Words findings about one stream. */
export class StreamFindings {
  readonly topic: string
  readonly stream: StreamId
  /** Whether this node writes it, so that nobody else may have it. */
  readonly isOwn: boolean

  constructor(topic: string, stream: StreamId, isOwn: boolean) {
    this.topic = topic
    this.stream = stream
    this.isOwn = isOwn
  }

  /** Events cannot be read. */
  lost(place: DamagedPlace, problem: string): Damage {
    const count = place.to - place.from + 1
    const lost =
      count === 1
        ? `the event at offset ${String(place.from)} cannot be read`
        : `${String(count)} events, from offset ${String(place.from)} to ${String(place.to)}, cannot be read`
    return this.#damage(place, problem, lost, this.#advice(place.part))
  }

  /** Events can be read, but what is stored about them is not true. */
  doubtful(place: DamagedPlace, problem: string): Damage {
    const lost = `events from offset ${String(place.from)} to ${String(place.to)} are not proved to be those that their owner wrote, or searches may miss some`
    return this.#damage(place, problem, lost, this.#advice(place.part))
  }

  /** Nothing is lost by it. */
  harmless(place: DamagedPlace, problem: string): Damage {
    return this.#damage(place, problem, 'no event; searches skip less', ADVICE_INDEX)
  }

  note(text: string): CheckNote {
    return { type: 'note', topic: this.topic, stream: this.stream, text }
  }

  #advice(part: string): string {
    if (isBlockPart(part)) return ADVICE_BLOCK
    if (part === 'tail record') return this.isOwn ? ADVICE_TAIL : ADVICE_REPLICA_TAIL
    return this.isOwn ? ADVICE_OWN : ADVICE_REPLICA
  }

  #damage(place: DamagedPlace, problem: string, lost: string, advice: string): Damage {
    return { type: 'damage', topic: this.topic, stream: this.stream, ...place, problem, lost, advice }
  }
}
