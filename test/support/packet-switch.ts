/**
 * A process that carries packets between network namespaces, over as many links as there are pairs of nodes, each with
 * faults of its own. Every node's interface is a VXLAN device: its packets come here by UDP, marked with the number of the
 * node, and go out again marked with the number of the receiver. Started and told what to do by `NamespaceNetwork`.
 */
import { createSocket } from 'node:dgram'
import { FaultyLink, type LinkFaults } from './link-faults.js'
import { Random } from './random.js'

/** What the parent process sends. */
export interface SwitchOrder {
  /** Directed links, with what holds on them from now on. */
  readonly links: readonly { readonly from: number; readonly to: number; readonly faults: LinkFaults }[]
}

/** Bytes before the carried packet: 8 of VXLAN. The packet begins with the hardware address of its receiver. */
const HEADER_BYTES = 8

const [address = '', port = '', peer = '', peerPort = '', nodes = '', seed = ''] = process.argv.slice(2)
const count = Number(nodes)
const random = new Random(Number(seed))
const links = Array.from({ length: count }, () => Array.from({ length: count }, () => new FaultyLink(random)))
const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 })

socket.on('message', (packet) => {
  if (packet.length < HEADER_BYTES + 14) return
  const from = (packet.readUInt32BE(4) >>> 8) - 1
  const isGroup = ((packet[HEADER_BYTES] ?? 0) & 1) === 1
  const receivers = isGroup ? Array.from({ length: count }, (_, at) => at) : [(packet[HEADER_BYTES + 5] ?? 0) - 1]
  for (const to of receivers) {
    const link = to === from ? undefined : links[from]?.[to]
    for (const waitMs of link?.send(packet.length, performance.now()) ?? []) {
      if (waitMs <= 0) pass(packet, to)
      else setTimeout(pass, waitMs, packet, to)
    }
  }
})

function pass(packet: Buffer, to: number): void {
  const copy = Buffer.from(packet)
  copy.writeUInt32BE((to + 1) << 8, 4)
  socket.send(copy, Number(peerPort), peer)
}

process.on('message', (order: SwitchOrder) => {
  for (const { from, to, faults } of order.links) links[from]?.[to]?.set(faults)
  process.send?.('done')
})
// The parent is gone, however it ended.
process.on('disconnect', () => process.exit())

socket.bind(Number(port), address, () => process.send?.('ready'))
