import { NodeUnreachableError, type Client } from '../client/index.js'
import type { StoppedNode } from '../node/index.js'
import type { Call } from './command.js'
import { isNodeNamed, withClient } from './connect.js'
import { settingsOf } from './settings-options.js'

/** What a command does with a node that runs, and with the data of one that does not. */
interface Work<T> {
  readonly running: (client: Client) => Promise<T>
  readonly stopped: (node: StoppedNode) => Promise<T>
}

/**
 * Asks the node if it runs, else takes its data directory. Where flags or environment name the node rather than its data,
 * it has to run.
 */
export async function withRunningOrStopped<T>(call: Call, { running, stopped }: Work<T>): Promise<T> {
  try {
    return await withClient(call, running)
  } catch (error) {
    const isStopped = error instanceof NodeUnreachableError && error.neverSent && !isNodeNamed(call)
    if (!isStopped) throw error
    return withStopped(call, stopped)
  }
}

/** Does something with the data of a node that does not run. @throws StoreLockedError when it does */
export async function withStopped<T>(call: Call, work: (node: StoppedNode) => Promise<T>): Promise<T> {
  // Loaded only here: it is most of the daemon.
  const { StoppedNode } = await import('../node/index.js')
  await using node = await StoppedNode.open(settingsOf(call).settings)
  return await work(node)
}
