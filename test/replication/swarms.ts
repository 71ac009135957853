import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import { systemClock } from '../../core/index.js'
import {
  createNetworkKey,
  openSwarm,
  SWARM_TIMINGS,
  type SwarmOptions,
  type Transport,
} from '../../replication/index.js'

/** Probes and pauses are short, so that tests are; nothing asserts that they are. */
export const timings = { ...SWARM_TIMINGS, dialMs: 6_000, probeMs: 300, patienceMs: 1_500 }

export const networkKey = createNetworkKey()

export function swarmOptions(options: Partial<SwarmOptions> = {}): SwarmOptions {
  return {
    seed: randomBytes(32),
    networkKey,
    topic: 'test',
    listen: ['/ip4/127.0.0.1/tcp/0'],
    announce: [],
    initialPeers: [],
    mdns: false,
    timings,
    clock: systemClock,
    ...options,
  }
}

/** A node on loopback that is closed when the test ends. */
export async function openNode(t: Test, options: Partial<SwarmOptions> = {}): Promise<Transport> {
  const transport = await openSwarm(swarmOptions(options))
  t.teardown(() => transport.close())
  return transport
}

/** Nodes that know the first one, and are connected to each other. */
export async function openSwarms(t: Test, nodes: number, options: Partial<SwarmOptions> = {}): Promise<Transport[]> {
  const first = await openNode(t, options)
  const others = Array.from({ length: nodes - 1 }, () => openNode(t, { ...options, initialPeers: first.addresses() }))
  const all = [first, ...(await Promise.all(others))]
  await until('all are connected', () => all.every((node) => node.connectedPeers().length === nodes - 1))
  return all
}

/** Looks again and again until something holds. */
export async function until(what: string, holds: () => boolean, limitMs = 20_000): Promise<void> {
  const endMs = performance.now() + limitMs
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
