import type { NodeId } from '../../core/index.js'

/** What is remembered of one peer, and peers. */
const MAX_THINGS = 256
const MAX_PEERS = 256

/** Remembers the last things that each peer has said in vain. */
export class RepeatWatch {
  readonly #said = new Map<NodeId, Set<string>>()

  /** Whether the peer has said it before. */
  isAgain(peer: NodeId, thing: string): boolean {
    const said = this.#said.get(peer) ?? new Set()
    if (said.has(thing)) return true
    this.#said.set(peer, said.add(thing))
    dropOldest(said, MAX_THINGS)
    dropOldest(this.#said, MAX_PEERS)
    return false
  }
}

function dropOldest<K>(entries: Map<K, unknown> | Set<K>, limit: number): void {
  for (const oldest of entries.keys()) {
    if (entries.size <= limit) return
    entries.delete(oldest)
  }
}
