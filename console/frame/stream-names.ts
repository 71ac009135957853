import type { StreamId } from '../../core/index.js'
import { usePolled } from '../live/use-polled.js'

/** Names change with the configuration only; milliseconds. */
const NAMES_MS = 15_000

/** Names of streams, where the node knows them: those of its own. */
export function useStreamNames(): ReadonlyMap<StreamId, string> {
  const { value } = usePolled('stream names', async (client, signal) => namesOf(await client.streams(signal)), NAMES_MS)
  return value ?? NONE
}

const NONE: ReadonlyMap<StreamId, string> = new Map()

function namesOf(streams: readonly { stream: StreamId; name: string | null }[]): ReadonlyMap<StreamId, string> {
  return new Map(streams.flatMap(({ stream, name }) => (name === null ? [] : [[stream, name] as const])))
}
