import { Type } from '@sinclair/typebox'
import { count, interval, path, section, textList } from './field.js'
import { checkMultiaddr, type AddressUse } from './multiaddr.js'
import { checkNetworkKey } from './network-key.js'
import { decoded, InvalidSettingError } from './setting.js'

/** Lists of addresses longer than this are a mistake: each peer is dialled for ever. */
const MOST_ADDRESSES = 1000

/** The section `swarm`. */
export const swarm = section(
  'The nodes that this one shares its events with. Without `key` or `keyFile` there are none',
  {
    topic: decoded(
      Type.String({
        minLength: 1,
        maxLength: 60,
        default: 'default-topic',
        description:
          'Nodes with the same topic share events. Every topic has a store of its own: after a change the node begins with an empty one, and the old one stays beside it',
      }),
      checkTopic,
    ),
    key: decoded(
      Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
        default: null,
        writeOnly: true,
        description:
          'Key that all nodes of the swarm share: 32 bytes as base64, 44 characters. `millrace swarm keygen` prints a new one. None unless set',
      }),
      (value: string | null) => (value === null ? null : checkNetworkKey(value)),
    ),
    keyFile: path(
      Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
        default: null,
        description: 'File that holds the key and nothing else, instead of `key`. None unless set',
      }),
    ),
    listen: addresses('listen', {
      default: ['/ip4/0.0.0.0/tcp/4001', '/ip6/::/tcp/4001'],
      description:
        'Where peers are listened for: multiaddrs such as `/ip4/0.0.0.0/tcp/4001`; port 0 takes any free port. With an empty list the node only dials',
    }),
    announce: addresses('announce', {
      description:
        'Multiaddrs under which others reach this node besides those of its own interfaces, such as that of a router before it',
    }),
    peers: addresses('dial', {
      description:
        'Multiaddrs of nodes to connect to, with or without peer id: `/ip4/192.168.1.2/tcp/4001` or `/dns/gateway.local/tcp/4001/p2p/12D3KooW…`. One is enough, it tells of the others',
    }),
    mdns: Type.Boolean({ default: true, description: 'Whether nodes are looked for in the local network' }),
    headsInterval: interval({
      default: '10s',
      min: '100ms',
      max: '1h',
      description:
        'Time between two announcements of how far the streams of this node are, beside those at each commit',
    }),
    maxStreams: count(10_000, 1, 1_000_000, 'Streams of other nodes that are held in all; further ones are left out'),
    maxStreamsPerNode: count(1000, 1, 65_536, 'Streams of one other node that are held; further ones are left out'),
  },
)

function addresses(use: AddressUse, field: { readonly description: string; readonly default?: readonly string[] }) {
  return textList((text) => checkMultiaddr(text, use), { ...field, maxItems: MOST_ADDRESSES })
}

function checkTopic(topic: string): string {
  if (/\p{Cc}|\p{Cs}/u.test(topic)) throw new InvalidSettingError('a topic holds no control characters')
  return topic
}
