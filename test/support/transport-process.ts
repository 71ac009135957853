import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { PeerStatus, TransportEvent } from '../../replication/index.js'
import { plainNode } from './plain-node.js'
import type { TransportReport, TransportSetup } from './transport-child.js'

const CHILD = fileURLToPath(new URL('transport-child.js', import.meta.url))

/** A node of a libp2p swarm in a process of its own, with everything that it reported. */
export class TransportProcess {
  readonly events: TransportEvent[] = []
  readonly heard: string[] = []
  readonly connected = new Set<string>()
  nodeId = ''
  addresses: readonly string[] = []
  readonly #child: ChildProcess
  #peers: ((peers: readonly PeerStatus[]) => void) | undefined

  private constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', (report: TransportReport) => {
      this.#take(report)
    })
  }

  /** @param within what the command begins with, to run it somewhere else */
  static async start(setup: TransportSetup, within: readonly string[] = []): Promise<TransportProcess> {
    const [env, args] = plainNode([CHILD, JSON.stringify(setup)])
    const [command = env, ...rest] = [...within, env, ...args]
    const child = spawn(command, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const node = new TransportProcess(child)
    const ended = once(child, 'exit').then(() => Promise.reject(new Error('the transport did not open')))
    ended.catch(() => undefined)
    await Promise.race([once(child, 'message'), ended])
    return node
  }

  broadcast(text: string): void {
    this.#child.send(text)
  }

  peers(): Promise<readonly PeerStatus[]> {
    return new Promise((resolve) => {
      this.#peers = resolve
      this.#child.send('')
    })
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exit = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await exit
  }

  #take(report: TransportReport): void {
    switch (report.kind) {
      case 'open':
        this.nodeId = report.nodeId
        this.addresses = report.addresses
        break
      case 'heard':
        this.heard.push(report.text)
        break
      case 'peers':
        this.#peers?.(report.peers)
        break
      case 'event':
        this.events.push(report.event)
        if (report.event.kind === 'connected') this.connected.add(report.event.peer)
        if (report.event.kind === 'gone') this.connected.delete(report.event.peer)
    }
  }
}
