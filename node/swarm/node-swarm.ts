import { join } from 'node:path'
import type { Clock, NodeId } from '../../core/index.js'
import {
  openSwarm,
  Replicator,
  SWARM_TIMINGS,
  systemTime,
  type PeerFailure,
  type PeerSync,
  type ReplicationCounters,
  type ReplicationLogger,
  type Transport,
  type TransportCounters,
  type TransportEvent,
} from '../../replication/index.js'
import type { DataDirectory, Store } from '../../storage/index.js'
import type { DaemonSettings } from '../daemon-settings.js'
import type { SwarmAlarm, SwarmPeer, SwarmReport } from '../api/index.js'
import { alarmsOf } from './alarms.js'
import { LastKnown } from './last-known.js'
import { policyOf } from './policy.js'
import { RememberedPeers } from './remembered-peers.js'
import { syncForPeers } from './sync-for-peers.js'

export interface NodeSwarmOptions {
  readonly settings: DaemonSettings
  /** 32 bytes as base64. */
  readonly networkKey: string
  readonly directory: DataDirectory
  readonly store: Store
  readonly clock: Clock
  readonly logger: ReplicationLogger
}

/** Refused connections that are remembered for the operator, and how long, µs. */
const MAX_REFUSED = 16
const REFUSED_MICROS = 600 * 1_000_000

/** The node's part in its swarm: connections to other nodes, and the events that go over them. Made by {@link NodeSwarm.join}. */
export class NodeSwarm implements AsyncDisposable {
  readonly #options: NodeSwarmOptions
  readonly #transport: Transport
  readonly #replicator: Replicator
  readonly #remembered: RememberedPeers
  /** What nodes held that may be gone by now. */
  readonly lastKnown = new LastKnown()
  /** Who tried to connect without the right key, by address. */
  readonly #refused = new Map<string, PeerFailure>()
  readonly #endSync: (() => void) | undefined
  #closed: Promise<void> | undefined

  private constructor(
    options: NodeSwarmOptions,
    transport: Transport,
    replicator: Replicator,
    remembered: RememberedPeers,
  ) {
    this.#options = options
    this.#transport = transport
    this.#replicator = replicator
    this.#remembered = remembered
    const { settings, store, logger } = options
    this.#endSync = settings.storage.sync === 'os' ? syncForPeers(store, logger) : undefined
    transport.subscribe((event) => {
      this.#heard(event)
    })
  }

  /** @throws SwarmSettingError, SwarmListenError */
  static async join(options: NodeSwarmOptions): Promise<NodeSwarm> {
    const { settings, networkKey, directory, store, clock, logger } = options
    const { topic, listen, announce, peers, mdns } = settings.swarm
    const remembered = await RememberedPeers.open({ path: join(directory.path, 'peers.json'), logger })
    const transport = await openSwarm({
      seed: directory.identity.exportSeed(),
      networkKey,
      topic,
      listen,
      announce,
      initialPeers: peers,
      rememberedPeers: remembered.list(),
      mdns,
      timings: SWARM_TIMINGS,
      clock,
    })
    const replicator = new Replicator({
      transport,
      store: store.replicas,
      topic,
      time: systemTime(clock),
      policy: policyOf(settings),
      logger,
    })
    return new NodeSwarm(options, transport, replicator, remembered)
  }

  /** Multiaddrs under which others reach this node. */
  get addresses(): readonly string[] {
    return this.#transport.addresses()
  }

  get connectedPeers(): readonly NodeId[] {
    return this.#transport.connectedPeers()
  }

  /** Connected peers with what they lack. */
  peers(): readonly PeerSync[] {
    return this.#replicator.peers()
  }

  get counters(): { readonly transport: TransportCounters; readonly replication: Readonly<ReplicationCounters> } {
    return { transport: this.#transport.counters(), replication: this.#replicator.counters }
  }

  /** Takes over what of the settings can change at run time. */
  apply(settings: DaemonSettings): void {
    this.#replicator.policy = policyOf(settings)
  }

  alarms(): readonly SwarmAlarm[] {
    const { store, clock } = this.#options
    return alarmsOf({
      forks: this.#replicator.forks(),
      ownAhead: store.replicas.ownAhead,
      stuck: this.#replicator.stuck(),
      peers: this.#transport.peers(),
      refused: this.#refusedLately(),
      refusedStreams: this.#replicator.refusedStreams,
      nowMicros: clock.nowMicros(),
    })
  }

  report(): SwarmReport {
    const connected = this.#replicator.peers()
    this.lastKnown.note(connected)
    const known = new Map(connected.map((peer) => [peer.nodeId, peer]))
    return {
      topic: this.#options.settings.swarm.topic,
      addresses: this.addresses,
      peers: this.#transport.peers().map((status): SwarmPeer => {
        const sync = status.nodeId === undefined ? undefined : known.get(status.nodeId)
        return { status, sync }
      }),
      alarms: this.alarms(),
    }
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#endSync?.()
    await this.#replicator.close()
    await this.#remembered.note(this.#transport.peers())
    await this.#transport.close()
  }

  #heard(event: TransportEvent): void {
    const { logger } = this.#options
    switch (event.kind) {
      case 'connected':
        logger.info({ peer: event.peer }, 'connected to a peer')
        // A connection that breaks off while keys are exchanged looks like one with a wrong key.
        this.#refused.delete(hostOf(event.address))
        this.#remembered.met(event.peer, () => this.#transport.peers())
        return
      case 'gone':
        this.lastKnown.note(this.#replicator.peers())
        this.lastKnown.left(event.peer, event.failure)
        if (event.failure.reason === 'misbehaved') {
          logger.warn({ peer: event.peer, reason: event.failure.message }, 'cut off a peer for what it did')
          return
        }
        logger.info({ peer: event.peer, reason: event.failure.message }, 'lost a peer')
        return
      case 'failed': {
        const { peer, address, failure } = event
        if (failure.reason === 'network-key' || failure.reason === 'identity') {
          // Peers dial again every few seconds: once is enough.
          if (this.#noteRefused(address, failure)) {
            logger.warn({ peer: peer ?? null, address, reason: failure.message }, 'a connection was refused')
          }
        }
      }
    }
  }

  /** @returns whether that is news */
  #noteRefused(address: string, failure: PeerFailure): boolean {
    const host = hostOf(address)
    const isNews = this.#refusedLately().get(host)?.reason !== failure.reason
    this.#refused.delete(host)
    this.#refused.set(host, failure)
    const [oldest] = this.#refused.keys()
    if (this.#refused.size > MAX_REFUSED && oldest !== undefined) this.#refused.delete(oldest)
    return isNews
  }

  #refusedLately(): ReadonlyMap<string, PeerFailure> {
    const since = this.#options.clock.nowMicros() - REFUSED_MICROS
    return new Map([...this.#refused].filter(([, { atMicros }]) => atMicros >= since))
  }
}

/** Without the port: everybody dials from another one each time. */
function hostOf(address: string): string {
  return address.split('/').slice(0, 3).join('/')
}
