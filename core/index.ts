export { parseAppId, AppIdError, type AppId } from './app-id.js'
export { decodeBase64, encodeBase64, NODE_ID_LENGTH } from './base64.js'
export { systemClock, type Clock } from './clock.js'
export { AbortedError, MillraceError, type ErrorCode } from './errors.js'
export { EventBatch, LineEvent, type EventBatchParts } from './event-batch.js'
export { LINE_TRAILER, LINE_TRAILER_LENGTH, parseLineHeader, renderLineHeader, type LineHeader } from './event-line.js'
export type { EventKey, NewEvent, Publication, StoredEvent } from './event.js'
export { nearestWord } from './nearest-word.js'
export { offsetMapToJson, OffsetError, parseOffsetMap, type OffsetMap } from './offset-map.js'
export { nodeIdOfPeer, peerIdOfNode, type PeerId } from './peer-id.js'
export type { EventOrder, EventReader, ReadRequest } from './read.js'
export { Room } from './room.js'
export {
  compareStreamIds,
  isNodeId,
  parseStreamId,
  StreamIdError,
  streamIdOf,
  ZERO_NODE_ID,
  ZERO_STREAM_ID,
  type NodeId,
  type StreamId,
  type StreamParts,
} from './stream-id.js'
export {
  compileSelection,
  isInKeyRange,
  SELECT_ALL,
  type KeyBound,
  type SelectableEvent,
  type TagSelection,
} from './tag-selection.js'
export { compareCodePoints, TagError, toTagSet, type TagSet } from './tags.js'
export { endOfPiece } from './text-pieces.js'
export { Turns, type Turn } from './turns.js'
export { compactJson, JsonError, JsonScanner, MAX_JSON_DEPTH } from './json-scan.js'
