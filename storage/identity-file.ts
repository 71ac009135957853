import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { NodeId } from '../core/index.js'
import { readFileIfExists, syncDirectory, writeFileDurably } from './files.js'
import { Identity, SEED_LENGTH } from './identity.js'
import { DataDirectoryError, StoreWrongNodeError } from './store-errors.js'

const FILE = 'identity.key'

/** The key that follows; it counts from the moment on in which `topics.json` names its node. */
const NEXT_FILE = 'identity.key.next'

/**
 * The identity of a data directory; a new directory gets one.
 *
 * @param owner the node that the data belong to; `undefined` when there are none
 * @throws StoreWrongNodeError, DataDirectoryError
 */
export async function loadIdentity(path: string, owner: NodeId | undefined): Promise<Identity> {
  await endRenewal(path, owner)
  const file = join(path, FILE)
  const seed = await readSeed(file)
  if (seed === undefined && owner !== undefined) {
    throw new StoreWrongNodeError(
      `${file} is missing, but there are data of node ${owner}; put the file back, or use an empty directory`,
    )
  }
  const identity = Identity.fromSeed(seed ?? (await createSeed(file)))
  if (owner !== undefined && owner !== identity.nodeId) {
    throw new StoreWrongNodeError(
      `${join(path, 'topics.json')} belongs to node ${owner}, but ${file} is that of ` +
        `${identity.nodeId}; put back the identity.key that the data were written with, or use an empty directory`,
    )
  }
  return identity
}

/**
 * Puts a new identity beside the present one, and a copy of that where nobody overwrites it. Nothing changes before
 * `topics.json` names the new node; {@link endRenewal} does the rest, also after a crash.
 */
export async function prepareRenewal(
  path: string,
  old: NodeId,
): Promise<{ readonly nodeId: NodeId; readonly kept: string }> {
  const seed = await readSeed(join(path, FILE))
  if (seed === undefined) throw new DataDirectoryError(`${join(path, FILE)} is missing; put it back from a backup`)
  // A node id may hold the separator of paths; '_' it never holds.
  const kept = join(path, `identity-${old.replaceAll('/', '_')}.key`)
  await writeFileDurably(kept, `${seed.toString('hex')}\n`)
  const next = await createSeed(join(path, NEXT_FILE))
  return { nodeId: Identity.fromSeed(next).nodeId, kept }
}

/** Puts a prepared identity in force when the data belong to its node; else it is given up. */
export async function endRenewal(path: string, owner: NodeId | undefined): Promise<void> {
  const file = join(path, NEXT_FILE)
  const seed = await readSeed(file)
  if (seed === undefined) return
  if (Identity.fromSeed(seed).nodeId === owner) await rename(file, join(path, FILE))
  else await rm(file)
  await syncDirectory(path)
}

async function readSeed(file: string): Promise<Buffer | undefined> {
  const content = await readFileIfExists(file)
  if (content === undefined) return undefined
  const text = content.toString().trim()
  const seed = Buffer.from(text, 'hex')
  if (seed.length !== SEED_LENGTH || text !== seed.toString('hex')) {
    throw new DataDirectoryError(`${file} is damaged: it should hold 64 hex digits; put it back from a backup`)
  }
  return seed
}

async function createSeed(file: string): Promise<Buffer> {
  const seed = Identity.createSeed()
  await writeFileDurably(file, `${seed.toString('hex')}\n`)
  return seed
}
