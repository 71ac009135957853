/** Buffers kept at most, and how long one of them may be. */
const MAX_SPARE = 8
const MAX_SPARE_BYTES = 1024 * 1024

const spare: Buffer[] = []

/**
 * A buffer of at least `length` bytes for a moment's work, content undefined: garbage outside of the heap is what makes
 * V8 collect while a store is scanned. To be handed back with {@link giveBack} when nothing refers to it any more.
 */
export function borrow(length: number): Buffer {
  const at = spare.findIndex((buffer) => buffer.length >= length)
  const [found] = at < 0 ? [] : spare.splice(at, 1)
  return found ?? Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(Math.max(4096, length))))
}

export function giveBack(buffer: Buffer): void {
  if (buffer.length <= MAX_SPARE_BYTES && spare.length < MAX_SPARE) spare.push(buffer)
}
