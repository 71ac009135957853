import type { StreamId } from '../../core/index.js'
import type { Store } from '../../storage/index.js'
import type { MissingEvents, SwarmNode, SwarmPicture, SwarmReport, SwarmStream } from '../api/index.js'
import type { LastKnown } from './last-known.js'

/** Cells of the matrix whose age is looked up; further ones go without. */
const MOST_AGES = 1000

export interface PictureSources {
  readonly store: Store
  readonly topic: string
  /** `undefined` for a node that is alone. */
  readonly report: SwarmReport | undefined
  /** What nodes lacked that are not connected. */
  readonly lastKnown: LastKnown
  readonly nowMicros: number
}

/** Who is in the swarm, and who has what of whom. */
export async function pictureOf({ store, topic, report, lastKnown, nowMicros }: PictureSources): Promise<SwarmPicture> {
  const ages = new Ages(store)
  const nodes: SwarmNode[] = []
  const known = report?.peers ?? []
  const absent = lastKnown.absent(new Set(known.map(({ status }) => status.nodeId)), nowMicros)
  for (const { status, sync } of [...known, ...absent.map((status) => ({ status, sync: undefined }))]) {
    const copy = sync ?? lastKnown.of(status.nodeId)
    nodes.push({
      link: status,
      quality: sync?.quality,
      comparedMicros: copy?.comparedMicros,
      missing: copy === undefined ? [] : await missingThere(copy, ages),
    })
  }
  return {
    nodeId: store.nodeId,
    topic,
    isInSwarm: report !== undefined,
    addresses: report?.addresses ?? [],
    streams: streamsOf(store),
    missing: missingHere(store),
    nodes,
  }
}

function streamsOf({ replicas }: Store): readonly SwarmStream[] {
  const streams = replicas.list().map(({ stream, name, own, nextOffset, head }) => {
    return { stream, name, isOwn: own, nextOffset, knownOffset: Math.max(nextOffset, head?.nextOffset ?? 0) }
  })
  return streams.sort((a, b) => Number(b.isOwn) - Number(a.isOwn) || (a.stream < b.stream ? -1 : 1))
}

/** How old what is missing here is nobody can tell who does not have it. */
function missingHere(store: Store): readonly MissingEvents[] {
  return Array.from(store.missing(), ([stream, missing]) => {
    const nextOffset = store.replicas.status(stream)?.nextOffset ?? 0
    return { stream, nextOffset, missing, sinceMicros: undefined }
  })
}

async function missingThere(
  { lacks, held }: { readonly lacks: ReadonlyMap<StreamId, number>; readonly held: ReadonlyMap<StreamId, number> },
  ages: Ages,
): Promise<readonly MissingEvents[]> {
  const cells: MissingEvents[] = []
  for (const [stream, missing] of lacks) {
    if (missing <= 0) continue
    const nextOffset = held.get(stream) ?? 0
    cells.push({ stream, nextOffset, missing, sinceMicros: await ages.of(stream, nextOffset) })
  }
  return cells
}

/** Times of events, each looked up once. */
class Ages {
  readonly #store: Store
  readonly #known = new Map<string, number | undefined>()

  constructor(store: Store) {
    this.#store = store
  }

  async of(stream: StreamId, offset: number): Promise<number | undefined> {
    const name = `${stream} ${String(offset)}`
    if (!this.#known.has(name)) {
      if (this.#known.size >= MOST_AGES) return undefined
      // What the owner has pruned by now is missed by nobody.
      const oldest = Math.max(offset, this.#store.replicas.status(stream)?.firstOffset ?? 0)
      this.#known.set(name, await this.#store.timestampAt(stream, oldest))
    }
    return this.#known.get(name)
  }
}
