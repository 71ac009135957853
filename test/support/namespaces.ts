import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { PERFECT_LINK, type LinkFaults } from './link-faults.js'
import type { SwitchOrder } from './packet-switch.js'
import { plainNode } from './plain-node.js'

const execute = promisify(execFile)
const SWITCH = fileURLToPath(new URL('packet-switch.js', import.meta.url))

/** Namespaces are named after the process that made them, so that those of dead ones can be told. */
const PREFIX = 'millrace'
const VXLAN_PORT = 4789
/** Between the namespace where the VXLAN devices begin and that of the switch: addresses that nobody routes. */
const CORE = { devices: '198.18.0.1', switch: '198.18.0.2', port: 9999 } as const
/** Bytes of a packet between nodes. */
const MTU = 1400

/** A network as it runs in one test at a time. */
let networks = 0

/**
 * Nodes with an interface, IPv4, IPv6 and multicast each, in network namespaces of their own, joined by a switch that
 * loses, delays, doubles and holds back packets per pair of nodes. Needs root, iproute2, ethtool and VXLAN in the kernel.
 */
export class NamespaceNetwork implements AsyncDisposable {
  readonly #names: readonly string[]
  readonly #switch: ChildProcess
  readonly #faults: LinkFaults[][]
  #closed: Promise<void> | undefined

  private constructor(names: readonly string[], carrier: ChildProcess, nodes: number) {
    this.#names = names
    this.#switch = carrier
    this.#faults = Array.from({ length: nodes }, () => Array.from({ length: nodes }, () => PERFECT_LINK))
  }

  /** Why there can be no network here, and how there can; `undefined` when there can. */
  static unavailable(): string | undefined {
    if (process.getuid?.() !== 0) return 'needs root for network namespaces: run the tests as root'
    const missing = ['ip', 'bridge', 'ethtool'].filter((tool) => !isInstalled(tool))
    if (missing.length > 0) return `needs ${missing.join(', ')}: apt-get install iproute2 ethtool`
    return probe()
  }

  static async open(nodes: number, seed = 1): Promise<NamespaceNetwork> {
    await sweep()
    const base = `${PREFIX}-${String(process.pid)}-${String(networks++)}`
    const names = [`${base}-devices`, `${base}-switch`, ...Array.from({ length: nodes }, (_, at) => nameOf(base, at))]
    try {
      await buildCore(base)
      for (let node = 0; node < nodes; node++) await buildNode(base, node)
      return new NamespaceNetwork(names, await startSwitch(base, nodes, seed), nodes)
    } catch (error) {
      await removeAll(names)
      throw error
    }
  }

  get nodes(): number {
    return this.#faults.length
  }

  ip4(node: number): string {
    return ip4(node)
  }

  ip6(node: number): string {
    return ip6(node)
  }

  /** What a command has to begin with to run at a node. */
  within(node: number): readonly string[] {
    return ['ip', 'netns', 'exec', this.#names[node + 2] ?? '']
  }

  /** Sets what changes of the links that `pick` takes. Resolves when it holds. */
  async set(faults: Partial<LinkFaults>, pick: (from: number, to: number) => boolean = () => true): Promise<void> {
    const links: SwitchOrder['links'][number][] = []
    this.#faults.forEach((row, from) => {
      row.forEach((before, to) => {
        if (from === to || !pick(from, to)) return
        const after = { ...before, ...faults }
        row[to] = after
        links.push({ from, to, faults: after })
      })
    })
    const done = once(this.#switch, 'message')
    this.#switch.send({ links } satisfies SwitchOrder)
    await done
  }

  /** Cuts all links between nodes of different sides. */
  async partition(sideOf: (node: number) => number): Promise<void> {
    await this.set({ cut: false }, (from, to) => sideOf(from) === sideOf(to))
    await this.set({ cut: true }, (from, to) => sideOf(from) !== sideOf(to))
  }

  /** All links are there again; what else is wrong with them stays. */
  heal(): Promise<void> {
    return this.set({ cut: false })
  }

  /** Ends whatever still runs at the nodes. */
  close(): Promise<void> {
    return (this.#closed ??= removeAll(this.#names))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function ip4(node: number): string {
  return `10.77.0.${String(node + 1)}`
}

function ip6(node: number): string {
  return `fd77::${(node + 1).toString(16)}`
}

function nameOf(base: string, node: number): string {
  return `${base}-${String(node)}`
}

/** VXLAN devices send from one namespace, where they are made before they move to their nodes; the switch has another. */
async function buildCore(base: string): Promise<void> {
  const [devices, carrier] = [`${base}-devices`, `${base}-switch`]
  await ip('netns', 'add', devices)
  await ip('netns', 'add', carrier)
  await ip('-n', devices, 'link', 'add', 'core', 'type', 'veth', 'peer', 'name', 'core', 'netns', carrier)
  for (const [namespace, address] of [
    [devices, CORE.devices],
    [carrier, CORE.switch],
  ] as const) {
    await ip('-n', namespace, 'address', 'add', `${address}/30`, 'dev', 'core')
    await ip('-n', namespace, 'link', 'set', 'core', 'up')
  }
}

async function buildNode(base: string, node: number): Promise<void> {
  const name = nameOf(base, node)
  const device = `node${String(node)}`
  const hardware = `02:00:00:00:00:${(node + 1).toString(16).padStart(2, '0')}`
  const vxlan = ['type', 'vxlan', 'id', String(node + 1), 'dstport', String(VXLAN_PORT), 'nolearning']
  await ip('netns', 'add', name)
  await ip('-n', `${base}-devices`, 'link', 'add', device, 'mtu', String(MTU), 'address', hardware, ...vxlan)
  await ip('-n', `${base}-devices`, 'link', 'set', device, 'netns', name, 'name', 'eth0')
  await ip('-n', name, 'link', 'set', 'lo', 'up')
  await ip('-n', name, 'address', 'add', `${ip4(node)}/24`, 'dev', 'eth0')
  await ip('-n', name, 'address', 'add', `${ip6(node)}/64`, 'dev', 'eth0', 'nodad')
  await ip('-n', name, 'link', 'set', 'eth0', 'up')
  await ip('-n', name, 'route', 'add', 'default', 'dev', 'eth0')
  // Checksums have to be there when a packet leaves the device: the switch is no hardware that adds them.
  await ip('netns', 'exec', name, 'ethtool', '-K', 'eth0', 'tx', 'off')
  const everybody = ['00:00:00:00:00:00', 'dev', 'eth0', 'dst', CORE.switch, 'port', String(CORE.port)]
  await execute('bridge', ['-n', name, 'fdb', 'append', ...everybody])
}

async function startSwitch(base: string, nodes: number, seed: number): Promise<ChildProcess> {
  const args = [CORE.switch, CORE.port, CORE.devices, VXLAN_PORT, nodes, seed].map(String)
  const [env, envArgs] = plainNode([SWITCH, ...args])
  const child = spawn('ip', ['netns', 'exec', `${base}-switch`, env, ...envArgs], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  })
  const ended = once(child, 'exit').then(() => Promise.reject(new Error('the switch did not start')))
  await Promise.race([once(child, 'message'), ended])
  ended.catch(() => undefined)
  return child
}

/** Removes what runs of dead processes have left behind, also what still runs there. */
async function sweep(): Promise<void> {
  const { stdout } = await execute('ip', ['netns', 'list'])
  const names = stdout.split('\n').map((line) => line.split(' ')[0] ?? '')
  await removeAll(
    names.filter((name) => {
      const owner = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1]
      return owner !== undefined && !existsSync(`/proc/${owner}`)
    }),
  )
}

async function removeAll(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const { stdout } = await execute('ip', ['netns', 'pids', name]).catch(() => ({ stdout: '' }))
    for (const pid of stdout.split('\n').filter((line) => line !== '')) {
      try {
        process.kill(Number(pid), 'SIGKILL')
      } catch {
        // It has ended meanwhile.
      }
    }
    await ip('netns', 'delete', name).catch(() => undefined)
  }
}

async function ip(...args: readonly string[]): Promise<void> {
  await execute('ip', args)
}

function isInstalled(tool: string): boolean {
  const path = process.env['PATH'] ?? ''
  return path.split(':').some((folder) => existsSync(`${folder}/${tool}`))
}

/** Tries what kernels and containers differ in. */
function probe(): string | undefined {
  const name = `${PREFIX}-${String(process.pid)}-probe`
  const run = (...args: string[]): unknown => execFileSync('ip', args, { stdio: 'pipe' })
  try {
    run('netns', 'add', name)
  } catch {
    return 'needs permission to make network namespaces: a container needs --privileged'
  }
  try {
    run('-n', name, 'link', 'add', 'probe', 'type', 'vxlan', 'id', '1', 'dstport', String(VXLAN_PORT))
    return undefined
  } catch {
    return 'needs a kernel with VXLAN: modprobe vxlan'
  } finally {
    run('netns', 'delete', name)
  }
}
