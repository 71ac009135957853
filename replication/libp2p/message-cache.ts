import type { GossipsubOpts } from '@chainsafe/libp2p-gossipsub'

type MessageCache = GossipsubOpts['messageCache']
type Message = Parameters<MessageCache['put']>[1]
type MessageId = Parameters<MessageCache['put']>[0]

/** Bytes of messages that are kept for peers who missed them. */
const MAX_CACHED_BYTES = 16 * 1024 * 1024

interface Entry {
  readonly message: Message
  readonly id: Uint8Array
  readonly window: number
  validated: boolean
  originatingPeers: Set<string>
  readonly iwantCounts: Map<string, number>
}

/**
 * The messages of the last heartbeats, for peers who ask for what they have not got. Gossipsub's own cache holds all of
 * them whatever their size: half a gigabyte at 100 MB/s. This one drops the oldest beyond its bound.
 */
class BoundedMessageCache {
  readonly msgs = new Map<string, Entry>()
  readonly msgIdToStrFn: (id: Uint8Array) => string
  readonly #gossip: number
  readonly #windows: number
  #window = 0
  #bytes = 0
  notValidatedCount = 0
  readonly history: never[] = []

  constructor(gossip: number, windows: number, toText: (id: Uint8Array) => string) {
    this.#gossip = gossip
    this.#windows = windows
    this.msgIdToStrFn = toText
  }

  get size(): number {
    return this.msgs.size
  }

  put({ msgId, msgIdStr }: MessageId, message: Message, validated = false): boolean {
    if (this.msgs.has(msgIdStr)) return false
    this.#bytes += sizeOf(message)
    const originatingPeers = new Set<string>()
    const iwantCounts = new Map<string, number>()
    this.msgs.set(msgIdStr, { message, id: msgId, window: this.#window, validated, originatingPeers, iwantCounts })
    if (!validated) this.notValidatedCount++
    for (const oldest of this.msgs.keys()) {
      if (this.#bytes <= MAX_CACHED_BYTES) break
      this.remove(oldest)
    }
    return true
  }

  observeDuplicate(msgIdStr: string, from: string): void {
    const entry = this.msgs.get(msgIdStr)
    if (entry?.validated === false) entry.originatingPeers.add(from)
  }

  get(msgId: Uint8Array): Message | undefined {
    return this.msgs.get(this.msgIdToStrFn(msgId))?.message
  }

  getWithIWantCount(msgIdStr: string, peer: string): { msg: Message; count: number } | null {
    const entry = this.msgs.get(msgIdStr)
    if (entry === undefined) return null
    const count = (entry.iwantCounts.get(peer) ?? 0) + 1
    entry.iwantCounts.set(peer, count)
    return { msg: entry.message, count }
  }

  getGossipIDs(topics: Set<string>): Map<string, Uint8Array[]> {
    const ids = new Map<string, Uint8Array[]>()
    for (const { message, id, window, validated } of this.msgs.values()) {
      if (!validated || window <= this.#window - this.#gossip || !topics.has(message.topic)) continue
      const ofTopic = ids.get(message.topic)
      if (ofTopic === undefined) ids.set(message.topic, [id])
      else ofTopic.push(id)
    }
    return ids
  }

  validate(msgIdStr: string): { message: Message; originatingPeers: Set<string> } | null {
    const entry = this.msgs.get(msgIdStr)
    if (entry === undefined) return null
    if (!entry.validated) this.notValidatedCount--
    const { message, originatingPeers } = entry
    entry.validated = true
    entry.originatingPeers = new Set()
    return { message, originatingPeers }
  }

  shift(): void {
    this.#window++
    for (const [id, { window }] of this.msgs) {
      if (window > this.#window - this.#windows) break
      this.remove(id)
    }
  }

  remove(msgIdStr: string): { message: Message; originatingPeers: Set<string> } | null {
    const entry = this.msgs.get(msgIdStr)
    if (entry === undefined) return null
    this.msgs.delete(msgIdStr)
    this.#bytes -= sizeOf(entry.message)
    if (!entry.validated) this.notValidatedCount--
    return entry
  }
}

/** The cache as gossipsub's option wants it: its class has private members, so the shape alone does not fit the type. */
export function createMessageCache(gossip: number, windows: number, toText: (id: Uint8Array) => string): MessageCache {
  return new BoundedMessageCache(gossip, windows, toText) as unknown as MessageCache
}

function sizeOf({ data }: Message): number {
  return data?.length ?? 0
}
