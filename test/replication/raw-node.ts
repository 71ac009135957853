import '../../replication/libp2p/promise-with-resolvers.js'
import { connect, type Socket } from 'node:net'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { Test } from 'tap'
import type { NodeId } from '../../core/index.js'
import { parseNetworkKey, type Transport } from '../../replication/index.js'
import { encodeVarint } from '../../replication/libp2p/gossip-frames.js'
import { KeyProtector } from '../../replication/libp2p/key-protector.js'
import { nodeIdOf } from '../../replication/libp2p/peer-ids.js'
import { TrafficBook } from '../../replication/libp2p/traffic.js'
import { networkKey } from './swarms.js'

export const GOSSIP = '/meshsub/1.2.0'
export const SYNC = '/millrace/sync/1'

/** Somebody who has the network key and keeps no rule: plain libp2p without gossipsub, with streams of its own. */
export class RawNode {
  readonly host: Libp2p
  readonly nodeId: NodeId

  private constructor(host: Libp2p) {
    this.host = host
    this.nodeId = nodeIdOf(host.peerId)!
  }

  static async open(t: Pick<Test, 'teardown'>, key = networkKey): Promise<RawNode> {
    const host = await createLibp2p({
      privateKey: await generateKeyPair('Ed25519'),
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionProtector: () => new KeyProtector(parseNetworkKey(key), new TrafficBook(), () => undefined),
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      connectionMonitor: { enabled: false },
      services: { identify: identify() },
    })
    t.teardown(() => host.stop())
    return new RawNode(host)
  }

  /** Takes all that comes on the gossip protocol and answers nothing. */
  async pretendToGossip(): Promise<void> {
    await this.host.handle(GOSSIP, ({ stream }) => {
      void (async () => {
        for await (const _chunk of stream.source);
      })().catch(() => undefined)
    })
  }

  connect(to: Pick<Transport, 'addresses'>): Promise<Connection> {
    return this.host.dial(multiaddr(to.addresses()[0]))
  }

  /** Opens a stream and sends; what goes wrong with it is not our business. */
  async send(connection: Connection, protocol: string, source: AsyncIterable<Uint8Array>): Promise<Stream> {
    const stream = await connection.newStream(protocol, { maxOutboundStreams: 10_000 })
    void stream.sink(source).catch(() => undefined)
    return stream
  }
}

export async function* pieces(...list: Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* list
}

/** Sends the beginning of something, and never the rest. */
export async function* beginning(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(1)
  await new Promise(() => undefined)
}

export function gossipFrame(frame: Uint8Array): Uint8Array {
  return Buffer.concat([encodeVarint(frame.length), frame])
}

/** A protobuf field of bytes. */
export function field(number: number, content: Uint8Array): Uint8Array {
  return Buffer.concat([encodeVarint(number * 8 + 2), encodeVarint(content.length), content])
}

/** A plain TCP connection. */
export async function rawSocket(t: Test, to: Transport): Promise<Socket> {
  const socket = connect(Number(/\/tcp\/(\d+)\//.exec(to.addresses()[0]!)![1]), '127.0.0.1')
  socket.on('error', () => undefined)
  socket.resume()
  t.teardown(() => socket.destroy())
  await new Promise((resolve) => socket.once('connect', resolve))
  return socket
}
