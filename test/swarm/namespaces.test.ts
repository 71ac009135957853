import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { createNetworkKey } from '../../replication/index.js'
import { testLevel } from '../support/level.js'
import { NamespaceNetwork } from '../support/namespaces.js'
import type { TransportSetup } from '../support/transport-child.js'
import { TransportProcess } from '../support/transport-process.js'

const skip =
  testLevel() === 'quick' ? 'takes root; runs with MILLRACE_TEST_LEVEL=ci' : (NamespaceNetwork.unavailable() ?? false)
const networkKey = createNetworkKey()

async function until(what: string, holds: () => boolean): Promise<void> {
  const endMs = performance.now() + 60_000
  while (!holds()) {
    if (performance.now() > endMs) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** A network with one transport per node, each listening at the address that `listen` gives. */
async function openNetwork(
  t: Test,
  nodes: number,
  setup: Partial<TransportSetup>,
  peersOf: (network: NamespaceNetwork, node: number) => string[],
): Promise<[NamespaceNetwork, TransportProcess[]]> {
  const network = await NamespaceNetwork.open(nodes)
  t.teardown(() => network.close())
  const start = (node: number): Promise<TransportProcess> => {
    const initialPeers = peersOf(network, node)
    const options = { networkKey, listen: ['/ip4/0.0.0.0/tcp/4001'], initialPeers, mdns: false, ...setup }
    return TransportProcess.start({ ...options, seed: randomBytes(32).toString('hex') }, network.within(node))
  }
  return [network, await Promise.all(Array.from({ length: nodes }, (_, node) => start(node)))]
}

const isMesh = (nodes: readonly TransportProcess[]) =>
  nodes.every(({ connected }) => connected.size === nodes.length - 1)
const others = (node: number) => [0, 1, 2].filter((other) => other !== node)

t.test(
  'links carry what is sent, with the faults that they are given, and nothing while they are cut',
  { skip },
  async (t) => {
    const [network, nodes] = await openNetwork(t, 3, {}, (network, node) =>
      others(node).map((other) => `/ip4/${network.ip4(other)}/tcp/4001`),
    )
    await until('all are connected', () => isMesh(nodes))
    const [one, two, three] = nodes as [TransportProcess, TransportProcess, TransportProcess]
    one.broadcast('first')
    await until('heard', () => two.heard.includes('first') && three.heard.includes('first'))

    await network.partition((node) => (node === 0 ? 0 : 1))
    one.broadcast('alone')
    two.broadcast('together')
    await until('heard on the other side', () => three.heard.includes('together'))
    t.notOk(two.heard.includes('alone') || three.heard.includes('alone') || one.heard.includes('together'))
    await network.heal()
    let number = 0
    const sending = setInterval(() => {
      one.broadcast(`healed ${String(number++)}`)
    }, 100)
    t.teardown(() => {
      clearInterval(sending)
    })
    await until('heard again', () => [two, three].every(({ heard }) => heard.some((text) => text.startsWith('healed'))))
    clearInterval(sending)

    await network.set({ delayMs: 50, loss: 0.1, duplication: 0.1 })
    one.broadcast('late')
    await until('heard late', () => two.heard.includes('late') && three.heard.includes('late'))
  },
)

t.test('nodes find each other by multicast alone, and are reached over IPv6', { skip }, async (t) => {
  const [, found] = await openNetwork(t, 3, { mdns: true }, () => [])
  await until('all found each other', () => isMesh(found))
  t.same(
    (await found[0]!.peers()).map(({ state }) => state),
    ['connected', 'connected'],
  )

  const [network, six] = await openNetwork(t, 3, { listen: ['/ip6/::/tcp/4001'] }, (network, node) =>
    node === 0 ? [] : [`/ip6/${network.ip6(0)}/tcp/4001`],
  )
  await until('all are connected', () => isMesh(six))
  const used = (await six[1]!.peers()).flatMap(({ addresses }) => addresses)
  t.ok(used.includes(`/ip6/${network.ip6(0)}/tcp/4001`))
})

t.test('nothing is left behind by networks whose process is gone', { skip }, async (t) => {
  const before = await NamespaceNetwork.open(1)
  const namespace = before.within(0).at(-1)!
  await before.close()

  const list = (): string => execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  t.notMatch(list(), namespace)
  // A process id that no process can have.
  execFileSync('ip', ['netns', 'add', 'millrace-99999999-0-0'])
  const next = await NamespaceNetwork.open(1)
  t.teardown(() => next.close())
  t.notMatch(list(), 'millrace-99999999')
})
