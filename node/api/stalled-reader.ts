import type { ServerResponse } from 'node:http'

/** Bytes that may wait for a slow reader without anybody watching. */
const UNWATCHED_BYTES = 64 * 1024

/** Waits until the reader has taken what was written; cuts the connection of one that takes nothing for so long. */
export async function drained(response: ServerResponse, stallMs: number, onCut: () => void): Promise<void> {
  if (response.destroyed) return
  await new Promise<void>((resolve) => {
    const stop = watch(response, stallMs, onCut)
    const done = (): void => {
      stop()
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}

/** After the end of an answer: cuts the connection of a reader that does not take the rest of it. */
export function watchRest(response: ServerResponse, stallMs: number, onCut: () => void): void {
  if (response.destroyed || !response.writableEnded || response.writableFinished) return
  if ((response.socket?.writableLength ?? 0) < UNWATCHED_BYTES) return
  const stop = watch(response, stallMs, onCut)
  response.on('close', stop)
}

function watch(response: ServerResponse, stallMs: number, onCut: () => void): () => void {
  let taken = progressOf(response)
  const timer = setInterval(() => {
    const now = progressOf(response)
    if (now === taken) {
      clearInterval(timer)
      onCut()
      response.destroy()
    }
    taken = now
  }, stallMs)
  return () => {
    clearInterval(timer)
  }
}

/** Bytes that the kernel has taken of the connection. */
function progressOf({ socket }: ServerResponse): number {
  return socket === null ? 0 : socket.bytesWritten - socket.writableLength
}
