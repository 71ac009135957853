import type { Bench, BenchContext } from './context.js'
import { median } from './measure.js'
import { markdownTable } from './report.js'
import { difference, SwarmInMemory, USUAL_LINKS, type ScaleNode, type Spent } from './swarm-in-memory.js'

/** Nodes, and connections of each at most. */
const SWARMS = [
  [3, USUAL_LINKS],
  [10, USUAL_LINKS],
  [30, USUAL_LINKS],
  [100, USUAL_LINKS],
  [100, 8],
] as const
/** Streams of each of four nodes. */
const STREAMS = [10, 50, 250] as const
const STREAM_NODES = 4
/** A local network with some radio in it: one way per hop, ms. */
const CONDITIONS = { delayMs: [1, 20], detectMs: 7_000 } as const
const SEED = 1
const EVENTS = 50
const IDLE_MS = 100_000
/** Longer than it takes to notice that the others are cut off. */
const APART_MS = 20_000
const APART_EVENTS = 10

/** What goes among the other figures; all of it is on a page of its own. */
const REPORTED: ReadonlySet<string> = new Set([
  'broadcasts sent per event and node',
  'sent per event and node',
  'until all nodes have an event, median',
  'sent by an idle node',
])

/** One row of the table: its name, unit, and the figure of each swarm. */
interface Row {
  readonly name: string
  readonly unit: string
  readonly figures: number[]
}

/** How what a node has to do grows with the nodes and the streams of its swarm. */
export const bench: Bench = {
  name: 'scale',
  async run(context) {
    const byNodes = new Table()
    for (const [nodes, links] of SWARMS) {
      const figures = await measureNodes(nodes, links)
      byNodes.add(figures)
      report(context, `${String(nodes)} nodes, ${String(Math.min(links, nodes - 1))} connections`, figures)
    }
    const byStreams = new Table()
    for (const streams of STREAMS) {
      byStreams.add(await measureStreams(streams))
    }
    const heads = SWARMS.map(([nodes, links]) => `${String(nodes)} nodes, ${String(Math.min(links, nodes - 1))} links`)
    const streamHeads = STREAMS.map((streams) => `${String(STREAM_NODES * streams)} streams`)
    const text = documentOf(byNodes.text(heads), byStreams.text(streamHeads))
    console.log(text)
    context.document('docs/benchmarks-scale.md', text)
  },
}

type Figures = readonly (readonly [name: string, unit: string, value: number])[]

function report(context: BenchContext, swarm: string, figures: Figures): void {
  for (const [name, unit, value] of figures) {
    if (!REPORTED.has(name)) continue
    const note = 'virtual time, one seed'
    context.report({ work: `${swarm}: ${name}`, system: 'millrace', unit, better: 'lower', values: [value], note })
  }
}

async function measureNodes(nodes: number, links: number): Promise<Figures> {
  await using swarm = await SwarmInMemory.open({ nodes, links, streams: 1, seed: SEED, conditions: CONDITIONS })
  const { time } = swarm.network
  // Nobody knows of a stream before its first event.
  for (const node of swarm.nodes) await swarm.publish(node, 0)
  await swarm.converge()
  await time.advance(30_000)

  let before = swarm.spent()
  const half: number[] = []
  const all: number[] = []
  for (let at = 0; at < EVENTS; at++) {
    const { stream, nextOffset } = await swarm.publish(pick(swarm, at * 7), 0)
    const arrivals = await swarm.spread(stream, nextOffset)
    half.push(arrivals[Math.floor(arrivals.length / 2)] ?? NaN)
    all.push(arrivals.at(-1) ?? NaN)
  }
  const live = difference(swarm.spent(), before)

  await time.advance(30_000)
  before = swarm.spent()
  await time.advance(IDLE_MS)
  const idle = difference(swarm.spent(), before)
  const healed = await partitionAndHeal(swarm)
  const joined = await join(swarm, swarm.nodes.slice(0, links))
  const perNode = (bytes: number): number => bytes / nodes
  return [
    ['broadcasts sent per event and node', '', perNode(live.broadcasts / EVENTS)],
    ['sent per event and node', 'kB', perNode(bytesOf(live) / EVENTS) / 1000],
    ['until half of the nodes have an event, median', 'ms', median(half)],
    ['until all nodes have an event, median', 'ms', median(all)],
    ['until all nodes have an event, worst', 'ms', Math.max(...all)],
    ['sent by an idle node', 'B/s', perNode(bytesOf(idle)) / (IDLE_MS / 1000)],
    ['until all agree after a partition into halves', 'ms', healed.ms],
    ['sent per node to agree again', 'kB', perNode(bytesOf(healed.spent)) / 1000],
    ['until a new node has everything', 'ms', joined.ms],
    ['received by a new node', 'kB', joined.received / 1000],
    ['sent by all for a new node', 'kB', bytesOf(joined.spent) / 1000],
  ]
}

async function measureStreams(streams: number): Promise<Figures> {
  const shape = { nodes: STREAM_NODES, links: USUAL_LINKS, streams, seed: SEED, conditions: CONDITIONS }
  await using swarm = await SwarmInMemory.open(shape)
  const { network } = swarm
  for (const node of swarm.nodes) {
    for (let number = 0; number < streams; number++) await swarm.publish(node, number)
  }
  await swarm.converge()
  await network.time.advance(30_000)
  let before = swarm.spent()
  await network.time.advance(IDLE_MS)
  const idle = difference(swarm.spent(), before)

  before = swarm.spent()
  network.change({ loss: 1 })
  const { stream, nextOffset } = await swarm.publish(pick(swarm, 0), 3)
  await swarm.spread(stream, nextOffset)
  network.change({ loss: 0 })
  const missed = difference(swarm.spent(), before)
  await network.time.advance(30_000)
  const joined = await join(swarm, swarm.nodes)
  return [
    ['sent by an idle node', 'B/s', bytesOf(idle) / STREAM_NODES / (IDLE_MS / 1000)],
    ['sent per node for an event whose broadcast was lost', 'kB', bytesOf(missed) / STREAM_NODES / 1000],
    ['received by a new node, per stream', 'kB', joined.received / 1000 / streams / STREAM_NODES],
    ['until a new node has everything', 'ms', joined.ms],
  ]
}

/** Two halves go on by themselves, and find each other again. */
async function partitionAndHeal(swarm: SwarmInMemory): Promise<{ readonly ms: number; readonly spent: Spent }> {
  const { network, nodes } = swarm
  network.partition(nodes.slice(0, Math.floor(nodes.length / 2)).map(({ nodeId }) => nodeId))
  await network.time.advance(APART_MS)
  for (let at = 0; at < APART_EVENTS; at++) await swarm.publish(pick(swarm, at * 3), 0)
  await network.time.advance(1_000)
  const before = swarm.spent()
  network.heal()
  const ms = await swarm.converge()
  return { ms, spent: difference(swarm.spent(), before) }
}

async function join(
  swarm: SwarmInMemory,
  neighbours: readonly ScaleNode[],
): Promise<{ readonly ms: number; readonly received: number; readonly spent: Spent }> {
  // Not in the middle of a round of the others.
  await swarm.network.time.advance(1_000)
  const before = swarm.spent()
  const node = await swarm.add(neighbours.map(({ nodeId }) => nodeId))
  const ms = await swarm.converge()
  const { broadcastBytes } = difference(swarm.spent(), before)
  return { ms, received: swarm.spent([node]).requestBytes + broadcastBytes, spent: difference(swarm.spent(), before) }
}

function pick(swarm: SwarmInMemory, at: number): ScaleNode {
  const node = swarm.nodes[at % swarm.nodes.length]
  if (node === undefined) throw new Error('there are no nodes')
  return node
}

function bytesOf({ broadcastBytes, requestBytes }: Spent): number {
  return broadcastBytes + requestBytes
}

/** Figures of one swarm make a column. */
class Table {
  readonly #rows: Row[] = []

  add(figures: Figures): void {
    for (const [at, [name, unit, value]] of figures.entries()) {
      const row = (this.#rows[at] ??= { name, unit, figures: [] })
      row.figures.push(value)
    }
  }

  text(heads: readonly string[]): string {
    const lines = this.#rows.map(({ name, unit, figures }) => [
      unit === '' ? name : `${name}, ${unit}`,
      ...figures.map(rounded),
    ])
    return markdownTable(['', ...heads], lines)
  }
}

function rounded(value: number): string {
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(value >= 10 ? 1 : 2)
}

function documentOf(byNodes: string, byStreams: string): string {
  return `# How a swarm grows

Made by \`npm run bench -- scale --docs\`: up to ${String(Math.max(...SWARMS.map(([nodes]) => nodes)))} nodes in one process, each with its own store in LevelDB and the
replication of the product, over a network in memory. Its time is virtual and stands still while a store writes: what is measured is
the way through the network, ${CONDITIONS.delayMs.join(' to ')} ms per hop, and what replication says on it, without TCP, encryption, probes and the exchange of
addresses (an idle link as it is: [benchmarks](benchmarks.md)). Events of about 200 bytes of payload, one
stream per node, one event at a time. Nodes keep ${String(USUAL_LINKS)} connections when there are more nodes than that, as the dialler does; gossip passes
an event on to 6 to 12 of them. One seed.

## With the number of nodes

${byNodes}

What a node sends for an event does not grow with the number of nodes, nor does what an idle node says: each compares with eight neighbours in turn. Until everybody
has an event takes one hop more when there are ten times as many nodes. What is compared after a partition, and what a new node gets, grows with the number of streams; heads of
streams come from the neighbour that is asked first, from the others only what is different there.

## With the number of streams

${byStreams}

A node that missed an event finds out by comparing: 32 bytes when nothing differs, else 2 kB and what differs. Known heads are named in eight bytes.

## 1,000 nodes

Not run; what the figures above say of it, with one stream per node:

- An event costs a node what it costs with 30 or 100: some six broadcasts of 600 bytes, sent and received, one signature to check, one commit. If each node publishes an
  event in ten seconds, that are 100 events and 360 kB a second on every node. More than that, or a slow network, wants several events to a publish: a broadcast takes up to 256 kB.
- An event is with all nodes one hop later than with 100.
- An idle node says as much as in a swarm of 10.
- A node that joins fetches 1,000 heads and what belongs to them: about 1 kB for each stream and the events themselves. A node looks at all streams once in ten
  seconds; everything else costs what has changed. \`swarm.maxStreams\` (10,000) bounds how many there may be.
- Memory: one head and one digest entry for each stream, and for each neighbour only the streams in which it differs.
`
}
