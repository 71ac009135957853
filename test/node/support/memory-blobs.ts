import type { BlobContent, BlobEntry, Blobs } from '../../../node/api/index.js'

interface Stored {
  readonly mimeType: string
  readonly bytes: Uint8Array
  readonly ctimeMillis: number
}

/** Blobs in memory, for tests of the API. */
export class MemoryBlobs implements Blobs {
  readonly #files = new Map<string, Stored>()

  put(appId: string, path: readonly string[], mimeType: string, bytes: Uint8Array): Promise<void> {
    const key = keyOf(appId, path)
    for (const other of [...this.#files.keys()]) {
      if (other.startsWith(key) || key.startsWith(other)) this.#files.delete(other)
    }
    this.#files.set(key, { mimeType, bytes, ctimeMillis: Date.now() })
    return Promise.resolve()
  }

  get(appId: string, path: readonly string[]): Promise<BlobContent | undefined> {
    const key = keyOf(appId, path)
    const file = this.#files.get(key)
    if (file !== undefined) return Promise.resolve({ kind: 'file', ...file })
    const entries = new Map<string, BlobEntry>()
    for (const [other, { mimeType, bytes, ctimeMillis }] of this.#files) {
      if (!other.startsWith(key)) continue
      const rest = other.slice(key.length).split('\0').filter(Boolean)
      const [name = ''] = rest
      const sizes = { originalSize: bytes.length, compressedSize: bytes.length + 9 }
      entries.set(
        name,
        rest.length > 1 ? { type: 'folder' } : { type: 'file', ...sizes, mimeType, atimeMillis: null, ctimeMillis },
      )
    }
    return Promise.resolve(entries.size === 0 ? undefined : { kind: 'folder', entries })
  }

  delete(appId: string, path: readonly string[]): Promise<void> {
    const key = keyOf(appId, path)
    for (const other of [...this.#files.keys()]) if (other.startsWith(key)) this.#files.delete(other)
    return Promise.resolve()
  }
}

function keyOf(appId: string, path: readonly string[]): string {
  return `${[appId, ...path].join('\0')}\0`
}
