import type { Uint8ArrayList } from 'uint8arraylist'

type Chunk = Uint8Array | Uint8ArrayList

/** Chunks are joined up to this size, bytes. */
const JOINED_BYTES = 64 * 1024

/**
 * Joins chunks that come in the same turn of the event loop: each one that leaves here costs a system call, and libp2p
 * makes several small ones of every message. Reads one chunk ahead, no more.
 */
export async function* coalesce(source: AsyncIterable<Chunk>): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  let ahead: Promise<IteratorResult<Chunk>> | undefined
  try {
    for (;;) {
      const first = await (ahead ?? iterator.next())
      ahead = undefined
      if (first.done === true) return
      const parts = [first.value.subarray()]
      let bytes = first.value.length
      const turn = nextTurn()
      while (bytes < JOINED_BYTES) {
        ahead = iterator.next()
        // Whoever waits for it later gets its error; until then it is no unhandled one.
        ahead.catch(ignore)
        const next = await Promise.race([ahead, turn])
        if (next === undefined || next.done === true) break
        ahead = undefined
        parts.push(next.value.subarray())
        bytes += next.value.length
      }
      yield parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
    }
  } finally {
    // It may wait for its next chunk, so nobody waits for it.
    iterator.return?.(undefined).catch(ignore)
  }
}

function nextTurn(): Promise<undefined> {
  return new Promise((resolve) => {
    setImmediate(() => {
      resolve(undefined)
    })
  })
}

function ignore(): void {
  // Somebody else is told, or nobody need be.
}
