import type { Socket } from 'node:net'

/** Where the package is installed for the bench alone. */
export const HYPERCORE_DIRECTORY = '.cache/hypercore'

/** First byte of what a client sends. */
export const Message = {
  /** Blocks follow, each with a line feed behind it; answered when they are appended. */
  append: 1,
  /** Answered with the blocks held from the first one on, 4 bytes. */
  length: 2,
  /** Answered with the public key. */
  key: 3,
  /** Answered, and then with every new block. */
  subscribe: 4,
} as const

export function writeMessage(socket: Socket, bytes: Buffer): void {
  const length = Buffer.alloc(4)
  length.writeUInt32LE(bytes.length)
  socket.cork()
  socket.write(length)
  socket.write(bytes)
  socket.uncork()
}

/** Calls back for every message that comes. */
export function splitMessages(socket: Socket, onMessage: (message: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32LE(0)) {
      const end = 4 + bytes.readUInt32LE(0)
      onMessage(bytes.subarray(4, end))
      bytes = bytes.subarray(end)
    }
    rest = bytes
  })
}
