import type { CommittedChanges } from '../../state/index.js'
import { optional, readObject, readString } from './json-fields.js'
import { renderChanges } from './state-replies.js'
import { parseVersion } from './state-values.js'

/** Which changes are wanted. */
export interface WatchRequest {
  readonly prefix: string
  /** The revision after which they begin; `undefined` for now. */
  readonly from: number | undefined
}

const WATCH = { prefix: optional(readString), from: optional(readString) }

/** Reads the request in `[start, end)`. @throws JsonError, ApiError */
export function parseWatchRequest(bytes: Uint8Array, start: number, end: number): WatchRequest {
  const { prefix, from } = readObject(bytes, start, end, 'struct WatchRequest', WATCH)
  return { prefix: prefix ?? '', from: from === undefined ? undefined : parseVersion(from, '`from`') }
}

/** The lines of a watch; its first item says where it begins. */
export async function* watchLines(changes: AsyncIterable<CommittedChanges>): AsyncGenerator<Buffer> {
  let isFirst = true
  for await (const commit of changes) {
    yield Buffer.from(renderChanges(commit, isFirst))
    isFirst = false
  }
}
