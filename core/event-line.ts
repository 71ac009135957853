import type { AppId } from './app-id.js'
import type { StreamId } from './stream-id.js'
import type { TagSet } from './tags.js'

/**
 * The line of an event: the JSON text that is stored, hashed, sent to peers and delivered to apps, byte for byte:
 *
 *     {"type":"event","lamport":5,"stream":"<id>","offset":5,"timestamp":1795226899268454,"tags":["a"],"appId":"com.x","payload":1}\n
 *
 * Members in this order, no white space, ended by one line feed, which cannot occur elsewhere in it.
 */
export interface LineHeader {
  readonly lamport: number
  readonly stream: StreamId
  readonly offset: number
  readonly timestamp: number
  /** The tag set as compact JSON array text. */
  readonly tagsJson: string
  readonly appId: AppId
}

/** Everything before the payload. */
export function renderLineHeader(header: LineHeader): string {
  return `{"type":"event","lamport":${String(header.lamport)},"stream":"${header.stream}","offset":${String(header.offset)},"timestamp":${String(header.timestamp)},"tags":${header.tagsJson},"appId":"${header.appId}","payload":`
}

/** What follows the payload. */
export const LINE_TRAILER = '}\n'

/** Bytes of {@link LINE_TRAILER}. */
export const LINE_TRAILER_LENGTH = 2

/** The members that only the line itself holds, read back from everything before the payload. */
export function parseLineHeader(header: string): { readonly tags: TagSet; readonly appId: AppId } {
  const tagsAt = header.indexOf(',"tags":[') + 8
  const appAt = header.lastIndexOf(',"appId":"')
  return {
    tags: JSON.parse(header.slice(tagsAt, appAt)) as TagSet,
    appId: header.slice(appAt + 10, header.length - 12),
  }
}
