import { systemClock } from '../core/index.js'
import {
  checkTopic,
  DataDirectory,
  openStore,
  readEpoch,
  renewIdentity,
  TopicInUseError,
  type CheckLine,
  type RenewedIdentity,
  type StoreLogger,
} from '../storage/index.js'
import type { DaemonSettings } from './daemon-settings.js'
import { backUp, type NodeBackup } from './node-backup.js'
import { reportIdentity, reportTopic, type IdentityReport, type TopicReport } from './node-reports.js'
import { storeOptions } from './node-store.js'

/** The data of a node that does not run; nobody else can use them meanwhile. Made by {@link StoppedNode.open}. */
export class StoppedNode implements AsyncDisposable {
  readonly #directory: DataDirectory
  readonly #settings: DaemonSettings

  private constructor(directory: DataDirectory, settings: DaemonSettings) {
    this.#directory = directory
    this.#settings = settings
  }

  /** @throws StoreLockedError when the node runs; DataDirectoryError when there is none */
  static async open(settings: DaemonSettings): Promise<StoppedNode> {
    return new StoppedNode(await DataDirectory.openExisting(settings.dataDirectory), settings)
  }

  async identity(): Promise<IdentityReport> {
    return reportIdentity(this.#directory.nodeId, await readEpoch(this.#directory, this.#topic))
  }

  async topics(): Promise<readonly TopicReport[]> {
    return (await this.#directory.listTopics()).map((usage) => reportTopic(usage, this.#topic))
  }

  /** All that is on disk, as an archive. */
  backup(withIdentity: boolean, version: string): Promise<NodeBackup> {
    return backUp({ directory: this.#directory, open: undefined, withIdentity, version, clock: systemClock })
  }

  /** Checks all that is stored, of all topics. */
  async *verify(signal: AbortSignal): AsyncGenerator<CheckLine> {
    for (const topic of this.#directory.topics) yield* checkTopic(this.#directory, topic, systemClock, signal)
  }

  /** @throws TopicUnknownError, TopicInUseError */
  async deleteTopic(name: string): Promise<TopicReport> {
    if (name === this.#topic) throw new TopicInUseError(name)
    return reportTopic(await this.#directory.deleteTopic(name), this.#topic)
  }

  /**
   * Makes another node of this one. What it has written stays, as streams of the old node. Only {@link close} may follow.
   *
   * @throws errors of the store, in which case the identity is the old one
   */
  async renewIdentity(logger: StoreLogger): Promise<RenewedIdentity> {
    for (const topic of this.#directory.topics) {
      const options = storeOptions(this.#directory, this.#settings, logger, systemClock)
      const store = await openStore({ ...options, topic })
      try {
        await store.replicas.handOver()
      } finally {
        await store.close()
      }
    }
    return renewIdentity(this.#directory)
  }

  get #topic(): string {
    return this.#settings.swarm.topic
  }

  close(): Promise<void> {
    return this.#directory.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
