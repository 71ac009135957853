import { Type, type TUnsafe } from '@sinclair/typebox'
import { isNodeId, type NodeId } from '../core/index.js'
import { section } from './field.js'
import { decoded, InvalidSettingError } from './setting.js'
import { checkStreamName, keepField, streamNameField } from './stream-limits.js'

/** Streams of other nodes; what is `undefined` is left open, and at least one of both is not. */
export interface WantedStreams {
  readonly node: NodeId | undefined
  /** Name of the stream. */
  readonly stream: string | undefined
}

interface WrittenWish {
  readonly node: NodeId
  readonly stream: string | null
}

const name = decoded<WantedStreams>(Type.String(), (text: string) => {
  if (isNodeId(text)) throw new InvalidSettingError('this is a node id', `write { node: ${text} }`)
  return { node: undefined, stream: checkStreamName(text) }
})

const ofNode = decoded<WantedStreams>(
  Type.Object(
    {
      node: decoded(Type.String({ description: 'Node id, 43 characters' }), checkNodeId),
      stream: Type.Union([streamNameField('Name of the stream'), Type.Null()], { default: null }),
    },
    { additionalProperties: false },
  ),
  ({ node, stream }: WrittenWish) => ({ node, stream: stream ?? undefined }),
)

/** The section `replication`. */
export const replication = section('What of other nodes is kept here', {
  streams: wantedField(
    'Streams that are fetched from other nodes: names, or `{ node, stream }` for one node, without `stream` for all of its streams. Everything unless set',
  ),
  keep: keepField(
    'Limits of what is held of other nodes by stream name, tighter than those of their owners; `*` stands for all that are not named',
  ),
})

function wantedField(description: string): TUnsafe<readonly WantedStreams[] | null> {
  const list = Type.Array(Type.Union([name, ofNode]), { maxItems: 10_000 })
  return Type.Unsafe(Type.Union([list, Type.Null()], { default: null, description }))
}

function checkNodeId(text: string): NodeId {
  if (isNodeId(text)) return text
  throw new InvalidSettingError(
    `'${text.slice(0, 60)}' is no node id`,
    '43 characters of ./0-9A-Za-z, as millrace identity show prints them',
  )
}
