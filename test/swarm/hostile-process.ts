import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { NodeId } from '../../core/index.js'
import { plainNode } from '../support/plain-node.js'
import type { HostileReport, HostileSetup } from '../support/hostile-child.js'

const CHILD = fileURLToPath(new URL('../support/hostile-child.js', import.meta.url))

/** A hostile member in a process of its own: what its acts cost it holds up neither honest traffic nor those who measure. */
export class HostileProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #reports: HostileReport[] = []
  #wake: () => void = () => undefined
  nodeId: NodeId = ''

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (report: HostileReport) => {
      this.#reports.push(report)
      this.#wake()
    })
    child.once('exit', () => {
      this.#reports.push({ kind: 'failed', reason: 'the hostile peer died' })
      this.#wake()
    })
  }

  /** Resolves when it is connected; it does nothing yet. */
  static async start(setup: HostileSetup): Promise<HostileProcess> {
    const [env, args] = plainNode([CHILD, JSON.stringify(setup)])
    const child = spawn(env, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const hostile = new HostileProcess(child)
    const report = await hostile.#next()
    if (report.kind === 'connected') hostile.nodeId = report.nodeId
    return hostile
  }

  /** Resolves when its act is over; `nodeId` is then that of who did it. */
  async act(): Promise<void> {
    this.#child.send('')
    const report = await this.#next()
    if (report.kind === 'done') this.nodeId = report.nodeId
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }

  async #next(): Promise<HostileReport> {
    while (this.#reports.length === 0) await new Promise<void>((resolve) => (this.#wake = resolve))
    const report = this.#reports.shift() ?? { kind: 'failed', reason: 'it says nothing' }
    if (report.kind === 'failed') throw new Error(report.reason)
    return report
  }
}
