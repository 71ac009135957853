import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeManifest, MANIFEST, type BackupFile } from './backup-manifest.js'
import type { Snapshot } from './snapshot.js'
import { StoreIoError } from './store-errors.js'
import { tarEnd, tarHeader, tarPadding } from './tar.js'

/** Bytes read at a time. */
const READ_BYTES = 256 * 1024

/** A snapshot as an archive, at last the manifest: an archive without it is not whole. */
export async function* streamBackup(
  snapshot: Snapshot,
  version: string,
  createdMicros: number,
): AsyncGenerator<Uint8Array> {
  const seconds = createdMicros / 1e6
  const files: BackupFile[] = []
  for (const { path, bytes } of snapshot.files) {
    yield tarHeader(path, bytes, seconds)
    const hash = createHash('sha256')
    for await (const chunk of readExactly(join(snapshot.path, path), bytes)) {
      hash.update(chunk)
      yield chunk
    }
    yield tarPadding(bytes)
    files.push({ path, bytes, sha256: hash.digest('hex') })
  }
  const manifest = Buffer.from(encodeManifest({ version, createdMicros, ...snapshot.about, files }))
  yield tarHeader(MANIFEST, manifest.length, seconds)
  yield manifest
  yield tarPadding(manifest.length)
  yield tarEnd()
}

async function* readExactly(path: string, bytes: number): AsyncGenerator<Buffer> {
  await using file = await open(path)
  for (let left = bytes; left > 0;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(Math.min(READ_BYTES, left)))
    if (bytesRead === 0) throw new StoreIoError(`${path} has become shorter while it was read`)
    left -= bytesRead
    yield buffer.subarray(0, bytesRead)
  }
}
