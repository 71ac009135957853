import type { Client, NodeAlarmReport, NodeInfo, StreamReport, SwarmReport } from '../../client/index.js'
import { MetricText } from './metric-text.js'

/** What a node says of itself at one moment. */
export interface Reading {
  /** By the monotonic clock of this machine, milliseconds. */
  readonly atMs: number
  readonly info: NodeInfo
  readonly metrics: MetricText
  readonly streams: readonly StreamReport[]
  readonly swarm: SwarmReport
  readonly alarms: readonly NodeAlarmReport[]
}

/** Asks a node for all that is shown of it. @throws what its client throws */
export async function readNode(client: Client, signal: AbortSignal): Promise<Reading> {
  const [info, metrics, streams, swarm, alarms] = await Promise.all([
    client.nodeInfo(signal),
    client.metrics(signal),
    client.streams(signal),
    client.swarm(signal),
    client.alarms(signal),
  ])
  return { atMs: performance.now(), info, metrics: new MetricText(metrics), streams, swarm, alarms }
}
