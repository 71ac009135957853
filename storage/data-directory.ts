import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { MillraceError, type NodeId } from '../core/index.js'
import { DirectoryLock } from './directory-lock.js'
import { isDirectory, makeDirectories, readFileIfExists, syncDirectory, writeFileDurably } from './files.js'
import { Identity, SEED_LENGTH } from './identity.js'
import {
  DataDirectoryError,
  describeError,
  StoreFormatError,
  StoreMissingError,
  StoreWrongNodeError,
} from './store-errors.js'

/** Version of everything below the data directory. */
export const FORMAT_VERSION = 1

/** Encoded topics longer than this are replaced by their hash: file systems end names at 255 bytes. */
const MAX_NAME_LENGTH = 200

/** Where a topic's databases are. */
export interface TopicDirectory {
  readonly path: string
  /** Whether the topic has a database on record. A new one is put on record when its database exists. */
  readonly onRecord: boolean
}

/** What `topics.json` holds. */
interface TopicsFile {
  readonly format: number
  readonly node: NodeId
  readonly topics: readonly string[]
}

/**
 * The data directory of one node, locked: identity, the list of topics, and a folder per topic. Made by
 * {@link DataDirectory.open}.
 */
export class DataDirectory implements AsyncDisposable {
  readonly path: string
  readonly identity: Identity
  readonly #lock: DirectoryLock
  readonly #topics: Set<string>
  #recording: Promise<void> = Promise.resolve()

  private constructor(path: string, lock: DirectoryLock, identity: Identity, topics: Iterable<string>) {
    this.path = path
    this.#lock = lock
    this.identity = identity
    this.#topics = new Set(topics)
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

  static async #load(path: string, lock: DirectoryLock): Promise<DataDirectory> {
    await checkFormat(path)
    const known = await readTopics(path)
    const identity = await loadIdentity(path, known)
    if (known !== undefined && known.node !== identity.nodeId) {
      throw new StoreWrongNodeError(
        `${join(path, 'topics.json')} belongs to node ${known.node}, but ${join(path, 'identity.key')} is that of ` +
          `${identity.nodeId}; put back the identity.key that the data were written with, or use an empty directory`,
      )
    }
    const directory = new DataDirectory(path, lock, identity, known?.topics ?? [])
    if (known === undefined) await directory.#writeTopics()
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
    const path = join(this.path, 'topics', encodeTopic(topic))
    const onRecord = this.#topics.has(topic)
    if (onRecord && !(await isDirectory(path))) {
      throw new StoreMissingError(
        `the data of topic '${topic}' are on record but ${path} is missing; put it back from a backup, ` +
          `or take the topic out of ${join(this.path, 'topics.json')} if its events may be lost`,
      )
    }
    if (!onRecord) {
      await makeDirectories(path)
      await syncDirectory(join(this.path, 'topics'))
    }
    return { path, onRecord }
  }

  /** Remembers durably that the topic has a database from now on. */
  recordTopic(topic: string): Promise<void> {
    const recorded = this.#recording.then(async () => {
      if (this.#topics.has(topic)) return
      this.#topics.add(topic)
      await this.#writeTopics()
    })
    this.#recording = recorded.catch(() => undefined)
    return recorded
  }

  async #writeTopics(): Promise<void> {
    const content: TopicsFile = { format: FORMAT_VERSION, node: this.nodeId, topics: [...this.#topics] }
    await writeFileDurably(join(this.path, 'topics.json'), `${JSON.stringify(content, null, 2)}\n`)
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

async function checkFormat(path: string): Promise<void> {
  const file = join(path, 'format')
  const content = await readFileIfExists(file)
  if (content === undefined) return writeFileDurably(file, `${String(FORMAT_VERSION)}\n`)
  const text = content.toString().trim()
  if (!/^[1-9][0-9]{0,8}$/.test(text)) {
    throw new DataDirectoryError(
      `${file} is damaged: it should hold a version number, such as ${String(FORMAT_VERSION)}`,
    )
  }
  if (Number(text) > FORMAT_VERSION) throw new StoreFormatError(path, text, FORMAT_VERSION)
}

async function readTopics(path: string): Promise<TopicsFile | undefined> {
  const file = join(path, 'topics.json')
  const content = await readFileIfExists(file)
  if (content === undefined) return undefined
  const value = parseTopics(content.toString())
  if (value === undefined) {
    throw new DataDirectoryError(
      `${file} is damaged; put it back from a backup: it lists which topics under ${join(path, 'topics')} must be there`,
    )
  }
  if (value.format > FORMAT_VERSION) throw new StoreFormatError(file, String(value.format), FORMAT_VERSION)
  return value
}

function parseTopics(text: string): TopicsFile | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const { format, node, topics } = (value ?? {}) as Partial<Record<keyof TopicsFile, unknown>>
  if (typeof format !== 'number' || typeof node !== 'string' || !isTextList(topics)) return undefined
  return { format, node, topics }
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

async function loadIdentity(path: string, known: TopicsFile | undefined): Promise<Identity> {
  const file = join(path, 'identity.key')
  const content = await readFileIfExists(file)
  if (content !== undefined) {
    const seed = Buffer.from(content.toString().trim(), 'hex')
    if (seed.length !== SEED_LENGTH || content.toString().trim() !== seed.toString('hex')) {
      throw new DataDirectoryError(`${file} is damaged: it should hold 64 hex digits; put it back from a backup`)
    }
    return Identity.fromSeed(seed)
  }
  if (known !== undefined) {
    throw new StoreWrongNodeError(
      `${file} is missing, but there are data of node ${known.node}; put the file back, or use an empty directory`,
    )
  }
  const seed = Identity.createSeed()
  await writeFileDurably(file, `${seed.toString('hex')}\n`)
  return Identity.fromSeed(seed)
}
