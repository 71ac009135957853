/**
 * Results of `work` on each item, in order, with at most `depth` of them under way at once: the waits for disk and for
 * zlib's threads overlap with the use of earlier results. Ending the iteration early waits for what is under way and
 * ends `items`.
 */
export async function* pipeline<Item, Result>(
  items: AsyncIterable<Item>,
  depth: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const underWay: Promise<Result>[] = []
  try {
    for await (const item of items) {
      const result = work(item)
      // A failure is seen when its turn comes; until then it is no unhandled one.
      result.catch(ignore)
      underWay.push(result)
      if (underWay.length < depth) continue
      const first = underWay.shift()
      if (first !== undefined) yield await first
    }
    for (let first = underWay.shift(); first !== undefined; first = underWay.shift()) yield await first
  } finally {
    await Promise.allSettled(underWay)
  }
}

function ignore(): void {
  // Seen when its turn comes.
}
