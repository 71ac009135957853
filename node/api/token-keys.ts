import { randomBytes } from 'node:crypto'
import { chmod, open, readFile, rename } from 'node:fs/promises'
import { TOKEN_KEY_BYTES } from './tokens.js'

/** Retired keys that are still told from forgeries; a token lives for a day, so that few renewals matter. */
const KEPT_KEYS = 8

/** The keys in the file, current first; makes the file (mode 0600) when there is none. */
export async function openTokenKeys(file: string): Promise<Uint8Array[]> {
  const bytes = await readFile(file).catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw error
  })
  if (bytes === undefined || bytes.length < TOKEN_KEY_BYTES) return renewTokenKeys(file)
  const keys: Uint8Array[] = []
  for (let at = 0; at + TOKEN_KEY_BYTES <= bytes.length; at += TOKEN_KEY_BYTES) {
    keys.push(bytes.subarray(at, at + TOKEN_KEY_BYTES))
  }
  return keys
}

/** Puts a new key in front: every token issued so far has expired from now on. */
export async function renewTokenKeys(file: string, older: readonly Uint8Array[] = []): Promise<Uint8Array[]> {
  const keys = [randomBytes(TOKEN_KEY_BYTES), ...older].slice(0, KEPT_KEYS)
  const temporary = `${file}.new`
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.writeFile(Buffer.concat(keys))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await chmod(temporary, 0o600)
  await rename(temporary, file)
  return keys
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
