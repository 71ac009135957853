import t from 'tap'
import { difference, SwarmInMemory, type Spent } from '../../bench/swarm-in-memory.js'

const conditions = { delayMs: [1, 20], detectMs: 7_000 } as const
const bytesOf = ({ broadcastBytes, requestBytes }: Spent) => broadcastBytes + requestBytes

/** What a swarm of that many nodes has to send, per node. */
async function costs(nodes: number, links: number) {
  const swarm = await SwarmInMemory.open({ nodes, links, streams: 1, seed: 7, conditions })
  try {
    const { time } = swarm.network
    for (const node of swarm.nodes) await swarm.publish(node, 0)
    await swarm.converge()
    let before = swarm.spent()
    const events = 6
    for (let at = 0; at < events; at++) {
      const { stream, nextOffset } = await swarm.publish(swarm.nodes[(at * 7) % nodes]!, 0)
      await swarm.spread(stream, nextOffset)
    }
    const live = difference(swarm.spent(), before)
    await time.advance(30_000)
    before = swarm.spent()
    await time.advance(40_000)
    const idle = difference(swarm.spent(), before)
    const newcomer = await swarm.add(swarm.nodes.slice(0, links).map(({ nodeId }) => nodeId))
    await swarm.converge()
    return {
      broadcasts: live.broadcasts / events / nodes,
      idleBytes: bytesOf(idle) / nodes,
      joinBytes: swarm.spent([newcomer]).requestBytes,
    }
  } finally {
    await swarm.close()
  }
}

t.test('what an event and an idle node cost does not grow with the number of nodes', async (t) => {
  const small = await costs(12, 12)
  const large = await costs(24, 12)
  t.ok(large.broadcasts <= 12, 'an event is passed on to the mesh')
  t.ok(large.broadcasts <= 1.3 * small.broadcasts, `${String(small.broadcasts)} → ${String(large.broadcasts)}`)
  t.ok(large.idleBytes <= 1.3 * small.idleBytes, `${String(small.idleBytes)} → ${String(large.idleBytes)}`)
})

t.test('a node that joins is told of each stream once, however many neighbours it has', async (t) => {
  const few = await costs(16, 4)
  const many = await costs(16, 16)
  // Digests, and how much they hold, come from all.
  const perNeighbour = (many.joinBytes - few.joinBytes) / 12
  t.ok(perNeighbour < 16 * 150 + 2_200, `${String(perNeighbour)} bytes for each neighbour more`)
})

t.test('what a missed event costs does not grow with the number of streams', async (t) => {
  const cost = async (streams: number) => {
    const swarm = await SwarmInMemory.open({ nodes: 3, links: 3, streams, seed: 7, conditions })
    try {
      for (const node of swarm.nodes) for (let at = 0; at < streams; at++) await swarm.publish(node, at)
      await swarm.converge()
      await swarm.network.time.advance(30_000)
      const before = swarm.spent()
      swarm.network.change({ loss: 1 })
      const { stream, nextOffset } = await swarm.publish(swarm.nodes[0]!, 1)
      await swarm.spread(stream, nextOffset)
      return bytesOf(difference(swarm.spent(), before))
    } finally {
      await swarm.close()
    }
  }
  const few = await cost(5)
  const many = await cost(80)
  t.ok(many <= 1.2 * few, `${String(few)} → ${String(many)}`)
})
