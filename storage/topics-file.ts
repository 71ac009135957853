import { join } from 'node:path'
import type { NodeId } from '../core/index.js'
import { readFileIfExists, writeFileDurably } from './files.js'
import { FORMAT_VERSION } from './format-file.js'
import { DataDirectoryError, StoreFormatError } from './store-errors.js'

/** What `topics.json` holds. */
export interface TopicsFile {
  readonly node: NodeId
  /** Nodes that the data belonged to before the identity was renewed, oldest first. */
  readonly former: readonly NodeId[]
  /** Topics that have a database. */
  readonly topics: readonly string[]
}

/** @returns `undefined` when there is none. @throws DataDirectoryError, StoreFormatError */
export async function readTopicsFile(path: string): Promise<TopicsFile | undefined> {
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

export async function writeTopicsFile(path: string, { node, former, topics }: TopicsFile): Promise<void> {
  const content = { format: FORMAT_VERSION, node, ...(former.length === 0 ? {} : { former }), topics }
  await writeFileDurably(join(path, 'topics.json'), `${JSON.stringify(content, null, 2)}\n`)
}

function parseTopics(text: string): (TopicsFile & { readonly format: number }) | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const fields = (value ?? {}) as Partial<Record<keyof TopicsFile | 'format', unknown>>
  const { format, node, topics, former = [] } = fields
  if (typeof format !== 'number' || typeof node !== 'string' || !isTextList(topics) || !isTextList(former)) {
    return undefined
  }
  return { format, node, former, topics }
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
