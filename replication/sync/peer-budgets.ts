import type { NodeId } from '../../core/index.js'
import { Allowance } from '../allowance.js'
import type { SwarmTime } from './swarm-time.js'

/** Peers that are remembered; who connects anew does not begin anew before this many others have come. */
const MAX_PEERS = 1024

/** What each peer may cost this node: a burst, refilled steadily. */
export class PeerBudgets {
  readonly #time: SwarmTime
  readonly #limit: readonly [burst: number, perSecond: number]
  readonly #budgets = new Map<NodeId, Allowance>()

  constructor(time: SwarmTime, limit: readonly [burst: number, perSecond: number]) {
    this.#time = time
    this.#limit = limit
  }

  /** @returns whether the peer has as much left */
  take(peer: NodeId, amount: number): boolean {
    return this.#of(peer).take(amount, this.#time.monotonicMs())
  }

  /** For what it has cost already. */
  charge(peer: NodeId, amount: number): void {
    this.#of(peer).charge(amount, this.#time.monotonicMs())
  }

  #of(peer: NodeId): Allowance {
    let budget = this.#budgets.get(peer)
    if (budget === undefined) {
      budget = new Allowance(...this.#limit, this.#time.monotonicMs())
      this.#budgets.set(peer, budget)
      const [oldest] = this.#budgets.keys()
      if (this.#budgets.size > MAX_PEERS && oldest !== undefined) this.#budgets.delete(oldest)
    }
    return budget
  }
}
