import { existsSync } from 'node:fs'
import { chmod, lstat, unlink } from 'node:fs/promises'
import { connect, type Server } from 'node:net'
import { dirname } from 'node:path'
import { AddressInUseError } from './address-in-use.js'

/** Bytes of a socket path that Linux takes (sun_path without its end). */
const MAX_PATH_BYTES = 107

/** Owner and group may talk to the daemon. */
const SOCKET_MODE = 0o660

/**
 * Listens at the path. A socket that a dead daemon left is removed, one that answers is not.
 *
 * @throws AddressInUseError
 */
export async function listenOnUnixSocket(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) {
    throw new AddressInUseError(`socket path is longer than ${String(MAX_PATH_BYTES)} bytes: ${path}`)
  }
  // The system says "permission denied" of it.
  if (!existsSync(dirname(path))) throw new AddressInUseError(`the directory of the socket does not exist: ${path}`)
  await removeStale(path)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
  await chmod(path, SOCKET_MODE)
}

async function removeStale(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined)
  if (stats === undefined) return
  if (!stats.isSocket()) throw new AddressInUseError(`there is something else than a socket at ${path}`)
  if (await answers(path)) throw new AddressInUseError(`another process listens at ${path}`)
  await unlink(path)
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(path)
    connection.on('connect', () => {
      connection.destroy()
      resolve(true)
    })
    connection.on('error', (error: NodeJS.ErrnoException) => {
      // Of any other error, such as a full queue, only a living process can be the cause.
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT')
    })
  })
}
