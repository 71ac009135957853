import { ClassicLevel } from 'classic-level'
import { join } from 'node:path'

/** What becomes of a stored value. */
export type Spoil = 'flip' | 'empty' | 'delete'

type Level = ClassicLevel<Buffer, Buffer>

/**
 * Spoils values of sealed blocks in a data directory that nobody has open.
 *
 * @param chosen by the number of the block, from 0 in the order of arrival, and of its part: 0 is the header
 * @returns how many values it did
 */
export async function spoilBlocks(
  directory: string,
  topic: string,
  chosen: (block: number, part: number) => Spoil | undefined,
): Promise<number> {
  const path = join(directory, 'topics', topic, 'blocks')
  const level: Level = new ClassicLevel(path, { keyEncoding: 'buffer', valueEncoding: 'buffer' })
  await level.open()
  let spoiled = 0
  try {
    const arrivals: string[] = []
    for await (const [key, value] of level.iterator()) {
      const arrival = key.toString('hex', 0, 8)
      if (arrivals.at(-1) !== arrival) arrivals.push(arrival)
      const spoil = chosen(arrivals.length - 1, key.readUInt32BE(8))
      if (spoil !== undefined) {
        await apply(level, key, value, spoil)
        spoiled++
      }
    }
  } finally {
    await level.close()
  }
  return spoiled
}

function apply(level: Level, key: Buffer, value: Buffer, spoil: Spoil): Promise<void> {
  if (spoil === 'delete') return level.del(key)
  const bytes = spoil === 'empty' ? Buffer.alloc(0) : Buffer.from(value)
  const middle = bytes.length >> 1
  if (spoil === 'flip') bytes[middle] = (bytes[middle] ?? 0) ^ 0x10
  return level.put(key, bytes)
}
