import { createHash } from 'node:crypto'
import type { NodeId } from '../core/index.js'
import { BackupInvalidError } from './backup-errors.js'

/** Name of the file that makes a whole backup of a folder or archive: it is written last. */
export const MANIFEST = 'manifest.json'

/** Folder of the secrets in a backup. */
export const KEYS = 'keys'

/** What a backup holds, and how to know that it is all there. */
export interface BackupManifest {
  readonly kind: 'millrace-backup'
  readonly format: number
  /** Version of the program that made it. */
  readonly version: string
  /** µs since 1970. */
  readonly createdMicros: number
  readonly nodeId: NodeId
  /** As in `topics.json`. */
  readonly former: readonly NodeId[]
  /** Whether the keys of the node are in it. */
  readonly withIdentity: boolean
  /** Topics and the folders that hold their stores; these must not look like those of a data directory. */
  readonly topics: readonly { readonly name: string; readonly folder: string }[]
  /** How long writes waited for it, milliseconds; 0 for a node that did not run. */
  readonly pauseMs: number
  readonly files: readonly BackupFile[]
}

export interface BackupFile {
  readonly path: string
  readonly bytes: number
  /** Hexadecimal. */
  readonly sha256: string
}

const FORMAT = 1

export function encodeManifest(manifest: Omit<BackupManifest, 'kind' | 'format'>): string {
  const body = { kind: 'millrace-backup', format: FORMAT, ...manifest }
  return `${JSON.stringify({ ...body, sha256: hashOf(body) }, null, 1)}\n`
}

/** @throws BackupInvalidError when it is damaged or of a later format */
export function decodeManifest(text: string): BackupManifest {
  let value: Partial<BackupManifest> & { sha256?: unknown }
  try {
    value = JSON.parse(text) as typeof value
  } catch (error) {
    throw new BackupInvalidError(`the backup is damaged: ${MANIFEST} is no JSON`, { cause: error })
  }
  const { sha256, ...body } = value
  if (sha256 !== hashOf(body))
    throw new BackupInvalidError(`the backup is damaged: ${MANIFEST} does not have its own hash`)
  if (body.kind !== 'millrace-backup' || (body.format ?? 0) > FORMAT) {
    throw new BackupInvalidError(`${MANIFEST} is of a format that this version does not know: use a newer millrace`)
  }
  const manifest = body as BackupManifest
  for (const { path } of manifest.files) checkPath(path)
  return manifest
}

/** Nothing of a backup may land elsewhere. @throws BackupInvalidError */
export function checkPath(path: string): void {
  if (/^(?:keys|t[0-9]+)(?:\/[A-Za-z0-9_+.=-]+){1,2}$|^manifest\.json$/.test(path) && !/(?:^|\/)\.+(?:\/|$)/.test(path))
    return
  throw new BackupInvalidError(`the backup is damaged: it has a file '${path}', which no backup has`)
}

function hashOf(body: object): string {
  return createHash('sha256').update(JSON.stringify(body)).digest('hex')
}
