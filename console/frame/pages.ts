import type { ComponentType } from 'preact'
import { EventsPage } from '../events/page.js'
import { NodePage } from '../node/page.js'
import { RoutingPage } from '../routing/page.js'
import { StreamsPage } from '../streams/page.js'
import { SwarmPage } from '../swarm/page.js'
import { lazyPage } from './lazy-page.js'

/** A tab. */
export interface Page {
  readonly key: string
  readonly name: string
  /** Path of its sign, in a square of 22. */
  readonly icon: string
  readonly content: ComponentType
}

/** The editor is half of all bytes. */
const QueryPage = lazyPage('the editor', async () => (await import('../query/page.js')).QueryPage)

/** In the order of the tabs, and of the keys 1 to 6. */
export const PAGES: readonly Page[] = [
  {
    key: 'swarm',
    name: 'Swarm',
    icon: 'M11 2a3 3 0 1 0 .01 0M4 14a3 3 0 1 0 .01 0M18 14a3 3 0 1 0 .01 0M9.5 7.5 5.5 14M12.5 7.5l4 6.5M7 17h8',
    content: SwarmPage,
  },
  { key: 'streams', name: 'Streams', icon: 'M2 6h5v10H2zM9 6h5v10H9zM16 6h4v10h-4z', content: StreamsPage },
  { key: 'events', name: 'Events', icon: 'M3 5h16M3 11h16M3 17h10', content: EventsPage },
  { key: 'query', name: 'Query', icon: 'M9.5 3a6.5 6.5 0 1 0 .01 0M14.5 14.5 20 20', content: QueryPage },
  { key: 'routing', name: 'Routing', icon: 'M2 11h6l6-6h6M8 11l6 6h6', content: RoutingPage },
  { key: 'node', name: 'Node', icon: 'M3 4h16v14H3zM7 8h8v6H7z', content: NodePage },
]
