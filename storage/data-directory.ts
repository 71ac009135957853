import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { MillraceError, type NodeId } from '../core/index.js'
import { DirectoryLock } from './directory-lock.js'
import { sumOfFiles } from './disk-usage.js'
import { isDirectory, makeDirectories, syncDirectory } from './files.js'
import { refuseUnfinished, removeSnapshot } from './backup-folders.js'
import { checkFormat } from './format-file.js'
import type { Identity } from './identity.js'
import { loadIdentity } from './identity-file.js'
import {
  DataDirectoryError,
  describeError,
  StoreMissingError,
  TopicInUseError,
  TopicUnknownError,
} from './store-errors.js'
import { foldersSetAside, removeSetAside, setAside } from './topic-removal.js'
import { readTopicsFile, writeTopicsFile, type TopicsFile } from './topics-file.js'

/** Encoded topics longer than this are replaced by their hash: file systems end names at 255 bytes. */
const MAX_NAME_LENGTH = 200

/** Where a topic's databases are. */
export interface TopicDirectory {
  readonly path: string
  /** Whether the topic has a database on record. A new one is put on record when its database exists. */
  readonly onRecord: boolean
}

/** A topic that has a database. */
export interface TopicUsage {
  readonly topic: string
  readonly bytesOnDisk: number
}

/**
 * The data directory of one node, locked: identity, the list of topics, and a folder per topic. Made by
 * {@link DataDirectory.open}.
 */
export class DataDirectory implements AsyncDisposable {
  readonly path: string
  readonly identity: Identity
  /** Nodes that the data belonged to before the identity was renewed. */
  readonly formerNodes: readonly NodeId[]
  readonly #lock: DirectoryLock
  readonly #topics: Set<string>
  /** Topics whose store was opened. */
  readonly #inUse = new Set<string>()
  #recording: Promise<void> = Promise.resolve()

  private constructor(path: string, lock: DirectoryLock, identity: Identity, known: TopicsFile | undefined) {
    this.path = path
    this.#lock = lock
    this.identity = identity
    this.formerNodes = known?.former ?? []
    this.#topics = new Set(known?.topics)
  }

  /**
   * Locks the directory and creates what is missing of it; a new one gets an identity of its own.
   *
   * @throws StoreLockedError, StoreFormatError, StoreWrongNodeError, DataDirectoryError
   */
  static async open(path: string): Promise<DataDirectory> {
    try {
      await makeDirectories(join(path, 'topics'))
      const lock = await DirectoryLock.acquire(path)
      try {
        return await DataDirectory.#load(path, lock)
      } catch (error) {
        await lock.release()
        throw error
      }
    } catch (error) {
      if (error instanceof MillraceError) throw error
      throw new DataDirectoryError(
        `cannot use the data directory ${path}: ${describeError(error)}; choose one that this user may write to`,
        { cause: error },
      )
    }
  }

  /**
   * As {@link DataDirectory.open}, for a directory that a node has been run in; creates none.
   *
   * @throws as {@link DataDirectory.open}
   */
  static async openExisting(path: string): Promise<DataDirectory> {
    if (!(await isDirectory(join(path, 'topics')))) {
      throw new DataDirectoryError(`no node has been run with the data directory ${path}`)
    }
    return DataDirectory.open(path)
  }

  static async #load(path: string, lock: DirectoryLock): Promise<DataDirectory> {
    await refuseUnfinished(path)
    await removeSnapshot(path)
    await checkFormat(path)
    const known = await readTopicsFile(path)
    const identity = await loadIdentity(path, known?.node)
    const directory = new DataDirectory(path, lock, identity, known)
    if (known === undefined) await directory.#writeTopics()
    await directory.#endRemovals()
    return directory
  }

  get nodeId(): NodeId {
    return this.identity.nodeId
  }

  /** Topics that have a database. */
  get topics(): readonly string[] {
    return [...this.#topics]
  }

  /** @throws StoreMissingError when the topic is on record and its folder is gone */
  async topicDirectory(topic: string): Promise<TopicDirectory> {
    this.#inUse.add(topic)
    const { path, onRecord } = await this.folderOf(topic)
    if (!onRecord) {
      await makeDirectories(path)
      await syncDirectory(this.#topicsPath)
    }
    return { path, onRecord }
  }

  /** As {@link topicDirectory}, for who does not open its store. @throws StoreMissingError */
  async folderOf(topic: string): Promise<TopicDirectory> {
    const path = join(this.#topicsPath, encodeTopic(topic))
    const onRecord = this.#topics.has(topic)
    if (onRecord && !(await isDirectory(path))) {
      throw new StoreMissingError(
        `the data of topic '${topic}' are on record but ${path} is missing; put it back from a backup, ` +
          `or take the topic out of ${join(this.path, 'topics.json')} if its events may be lost`,
      )
    }
    return { path, onRecord }
  }

  /** Remembers durably that the topic has a database from now on. */
  recordTopic(topic: string): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#topics.has(topic)) return
      this.#topics.add(topic)
      await this.#writeTopics()
    })
  }

  /** Does something while no topic is added or deleted. */
  withTopics<T>(work: (topics: readonly string[]) => Promise<T>): Promise<T> {
    return this.#inTurn(() => work(this.topics))
  }

  /** Topics that have a database, and what they take. */
  listTopics(): Promise<readonly TopicUsage[]> {
    return Promise.all([...this.#topics].sort().map((topic) => this.#usageOf(topic)))
  }

  /**
   * Deletes all that there is of a topic, for good. A crash leaves the topic as it was, or it is deleted at the next start.
   *
   * @returns what it took
   * @throws TopicUnknownError, TopicInUseError when its store was opened
   */
  deleteTopic(topic: string): Promise<TopicUsage> {
    return this.#inTurn(async () => {
      if (!this.#topics.has(topic)) throw new TopicUnknownError(topic)
      if (this.#inUse.has(topic)) throw new TopicInUseError(topic)
      const usage = await this.#usageOf(topic)
      const folder = encodeTopic(topic)
      await setAside(this.#topicsPath, folder)
      await this.#endRemoval(folder)
      return usage
    })
  }

  async #usageOf(topic: string): Promise<TopicUsage> {
    const path = join(this.#topicsPath, encodeTopic(topic))
    return { topic, bytesOnDisk: (await isDirectory(path)) ? await sumOfFiles(path) : 0 }
  }

  async #endRemovals(): Promise<void> {
    for (const folder of await foldersSetAside(this.#topicsPath)) await this.#endRemoval(folder)
  }

  async #endRemoval(folder: string): Promise<void> {
    const topic = [...this.#topics].find((each) => encodeTopic(each) === folder)
    const isBackAgain = await isDirectory(join(this.#topicsPath, folder))
    if (topic !== undefined && !isBackAgain) {
      this.#topics.delete(topic)
      await this.#writeTopics()
    }
    await removeSetAside(this.#topicsPath, folder)
  }

  get #topicsPath(): string {
    return join(this.path, 'topics')
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#recording.then(work)
    this.#recording = done.then(ignore, ignore)
    return done
  }

  #writeTopics(): Promise<void> {
    return writeTopicsFile(this.path, { node: this.nodeId, former: this.formerNodes, topics: [...this.#topics] })
  }

  /** Gives the lock back. Stores in this directory must be closed before. Idempotent. */
  close(): Promise<void> {
    return this.#lock.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * The folder name of a topic, one to one, free of separators and dots.
 *
 * @throws DataDirectoryError for an empty topic or one that is no Unicode text
 */
export function encodeTopic(topic: string): string {
  if (topic === '' || hasLoneSurrogate(topic)) {
    throw new DataDirectoryError('a topic must be a text of at least one character')
  }
  const encoded = encodeURIComponent(topic).replace(
    /[.!~*'()]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  // '#' occurs in no encoded topic, so the two forms cannot meet.
  return encoded.length <= MAX_NAME_LENGTH ? encoded : `#${createHash('sha256').update(topic).digest('hex')}`
}

function hasLoneSurrogate(text: string): boolean {
  return /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text)
}

function ignore(): void {
  // Whoever waits for it has the error.
}
