import { readFile, rename, writeFile } from 'node:fs/promises'
import type { NodeId } from '../../core/index.js'
import type { KnownPeer, PeerStatus, ReplicationLogger } from '../../replication/index.js'

/** Peers kept; any one of them knows the others. */
const MAX_PEERS = 64
/** Between a connection and its being written down, ms: by then the peer has said where it listens, and others have come. */
const WAIT_MS = 2_000

export interface RememberedPeersOptions {
  readonly path: string
  readonly logger: ReplicationLogger
}

/**
 * Where peers were reached that nobody configured, so that a node finds its swarm again when those that are configured
 * are gone. A file that is missing or cannot be read costs nothing but that; it is written only when somebody is new or
 * has moved.
 */
export class RememberedPeers {
  readonly #options: RememberedPeersOptions
  /** Who came or moved last is the last. */
  readonly #peers: Map<string, readonly string[]>
  /** Who was connected since the start. */
  readonly #met = new Set<NodeId>()
  #timer: NodeJS.Timeout | undefined
  #isChanged = false
  #writing: Promise<void> = Promise.resolve()

  private constructor(options: RememberedPeersOptions, peers: readonly KnownPeer[]) {
    this.#options = options
    this.#peers = new Map(peers.map(({ nodeId, addresses }) => [nodeId, addresses]))
  }

  static async open(options: RememberedPeersOptions): Promise<RememberedPeers> {
    return new RememberedPeers(options, await read(options))
  }

  list(): readonly KnownPeer[] {
    return Array.from(this.#peers, ([nodeId, addresses]) => ({ nodeId, addresses }))
  }

  /** Somebody has connected. */
  met(nodeId: NodeId, peers: () => readonly PeerStatus[]): void {
    this.#met.add(nodeId)
    this.#timer ??= setTimeout(() => void this.note(peers()), WAIT_MS).unref()
  }

  /** Writes down where those are that were met, if that is news. */
  note(statuses: readonly PeerStatus[]): Promise<void> {
    clearTimeout(this.#timer)
    this.#timer = undefined
    for (const { nodeId, source, addresses } of statuses) {
      if (nodeId === undefined || !this.#met.has(nodeId) || source === 'configured' || addresses.length === 0) continue
      if (areSame(this.#peers.get(nodeId), addresses)) continue
      this.#peers.delete(nodeId)
      this.#peers.set(nodeId, addresses)
      this.#isChanged = true
    }
    for (const oldest of this.#peers.keys()) {
      if (this.#peers.size <= MAX_PEERS) break
      this.#peers.delete(oldest)
    }
    return (this.#writing = this.#writing.then(() => this.#write()))
  }

  async #write(): Promise<void> {
    if (!this.#isChanged) return
    this.#isChanged = false
    const { path, logger } = this.#options
    try {
      await writeFile(`${path}.new`, `${JSON.stringify({ peers: this.list() }, null, 2)}\n`, { mode: 0o600 })
      await rename(`${path}.new`, path)
    } catch (error) {
      logger.warn({ err: error }, 'the addresses of peers could not be written down')
    }
  }
}

/** What is no peer is left out by whoever dials. */
async function read({ path, logger }: RememberedPeersOptions): Promise<readonly KnownPeer[]> {
  try {
    const { peers } = JSON.parse(await readFile(path, 'utf8')) as { readonly peers?: unknown }
    return Array.isArray(peers) ? peers.slice(0, MAX_PEERS).filter(isPeer) : []
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      logger.warn({ err: error }, 'the addresses of peers that were written down cannot be read')
    }
    return []
  }
}

function isPeer(value: unknown): value is KnownPeer {
  const { nodeId, addresses } = (value ?? {}) as Partial<Record<keyof KnownPeer, unknown>>
  return typeof nodeId === 'string' && Array.isArray(addresses) && addresses.every((each) => typeof each === 'string')
}

function areSame(known: readonly string[] | undefined, addresses: readonly string[]): boolean {
  return known?.length === addresses.length && addresses.every((address) => known.includes(address))
}
