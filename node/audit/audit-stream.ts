import { parseStreamId, SELECT_ALL, type Clock, type StreamId } from '../../core/index.js'
import type { AuditSink } from '../../audit/index.js'
import { EPOCH_SIZE, KEEP_EVERYTHING, type Retention, type Store } from '../../storage/index.js'
import type { DaemonSettings } from '../daemon-settings.js'
import type { AuditRecord } from './audit-record.js'

/** Its name; the configuration cannot give it to another stream, since names there have no points. */
export const AUDIT_STREAM = 'mr.audit'

/** Whose events records are. */
const AUDIT_APP = 'com.millrace.audit'

const TAGS: readonly string[] = ['mr:audit']

/** Number of the stream, if there has ever been one. */
export function auditStreamNumber(store: Store): number | undefined {
  return store.numberOfStream(AUDIT_STREAM)
}

/** Limits of all own streams, that of the audit included. */
export function retentionOf({ retention, audit }: DaemonSettings): ReadonlyMap<string, Retention> {
  return new Map([...retention, [AUDIT_STREAM, { ...KEEP_EVERYTHING, maxStoredBytes: audit.stream.maxStoredBytes }]])
}

/** Records as events of a stream of this node; the chain of the stream holds them together too. */
export class StreamSink implements AuditSink {
  readonly name = 'stream'
  readonly #store: Store
  readonly #clock: Clock

  constructor(store: Store, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  async open(): Promise<string | undefined> {
    await this.#store.registerStreams([AUDIT_STREAM])
    for await (const { record } of readAudit(this.#store, { after: undefined, order: 'desc' })) return record
    return undefined
  }

  async write(lines: readonly string[]): Promise<void> {
    const streamNumber = auditStreamNumber(this.#store) ?? 0
    const events = lines.map((line) => ({ tags: TAGS, payload: Buffer.from(line), streamNumber }))
    await this.#store.append({ appId: AUDIT_APP, timestamp: this.#clock.nowMicros(), events })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** Records of the stream, as far as they are kept; after a restored backup those since. */
export async function* readAudit(
  store: Store,
  { after, order, signal }: { after: number | undefined; order: 'asc' | 'desc'; signal?: AbortSignal },
): AsyncGenerator<AuditRecord> {
  const number = auditStreamNumber(store)
  if (number === undefined) return
  const streams = [...store.offsets()].filter(([stream]) => isOf(store, stream, number))
  const [last] = streams.sort(([one], [other]) => parseStreamId(other).number - parseStreamId(one).number)
  if (last === undefined) return
  const [stream, newest] = last
  const lowerBound = new Map(after === undefined ? [] : [[stream, after]])
  const upperBound = new Map([[stream, newest]])
  for await (const batch of store.read({ selection: SELECT_ALL, order, lowerBound, upperBound, signal })) {
    for (let index = 0; index < batch.length; index++) {
      const { bytes, offset, payloadStart, payloadEnd } = batch.event(index)
      yield { offset, record: bytes.toString('utf8', payloadStart, payloadEnd) }
    }
  }
}

/** Whether a stream is the own one of that number, in whatever epoch. */
function isOf({ nodeId }: Store, stream: StreamId, number: number): boolean {
  return stream.startsWith(nodeId) && parseStreamId(stream).number % EPOCH_SIZE === number
}
