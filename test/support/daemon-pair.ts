import { writeFile } from 'node:fs/promises'
import type { Test } from 'tap'
import { createNetworkKey } from '../../replication/index.js'
import { DaemonProcess } from './daemon.js'
import { FaultProxy } from './fault-proxy.js'

/** Two daemon processes in one swarm, whose only way to each other can be cut. */
export interface DaemonPair {
  /** The first one listens, the second one dials. */
  readonly daemons: readonly [DaemonProcess, DaemonProcess]
  readonly proxy: FaultProxy
  /** Both notice at once. */
  cut(): void
  /** Nothing moves any more, and nobody is told. */
  stall(): void
  heal(): void
}

/**
 * The dialling node listens nowhere, and takes over no address of loopback, since the one that it dials is not of
 * loopback by its form: there is no way around the proxy.
 */
function configOf(key: string, listen: readonly string[], peers: readonly string[], more: string): string {
  return `
swarm: { key: ${key}, listen: ${JSON.stringify(listen)}, peers: ${JSON.stringify(peers)}, mdns: false, headsInterval: 1s }
storage: { block: { maxEvents: 20 } }
${more}`
}

/** @param more further lines of both configurations */
export async function openDaemonPair(t: Test, more = ''): Promise<DaemonPair> {
  const key = createNetworkKey()
  const first = await DaemonProcess.start({ config: configOf(key, ['/ip4/127.0.0.1/tcp/0'], [], more) })
  t.teardown(() => first.close())
  const port = Number(/\/tcp\/(\d+)/.exec(first.ready.swarm?.[0] ?? '')?.[1])
  // It listens there in its later lives too.
  await writeFile(first.configFile, configOf(key, [`/ip4/127.0.0.1/tcp/${String(port)}`], [], more))
  const proxy = await FaultProxy.open(port)
  t.teardown(() => proxy.close())
  const config = configOf(key, [], [`/ip6/::ffff:127.0.0.1/tcp/${String(proxy.port)}`], more)
  const second = await DaemonProcess.start({ config })
  t.teardown(() => second.close())
  const stall = (): void => {
    proxy.set({ stalled: true })
  }
  const cut = (): void => {
    stall()
    proxy.reset()
  }
  const heal = (): void => {
    proxy.set({ stalled: false })
  }
  return { daemons: [first, second], proxy, cut, stall, heal }
}
