import { isCharacter, type Key } from './keys.js'
import type { StreamFigures, TopPicture } from './picture.js'

/** By what streams are sorted, in the order in which the key goes through them. */
export const SORTS = ['rate', 'events', 'bytes', 'name'] as const

export type Sort = (typeof SORTS)[number]

/** The two lists. */
export type ListName = 'streams' | 'peers'

/** How the operator wants to see things. */
export interface View {
  readonly sort: Sort
  readonly filter: string
  /** Whether a filter is being typed. */
  readonly isTyping: boolean
  readonly isPaused: boolean
  /** The list that the arrows move. */
  readonly list: ListName
  /** Rows above those that are shown. */
  readonly above: Readonly<Record<ListName, number>>
}

export const FIRST_VIEW: View = {
  sort: 'rate',
  filter: '',
  isTyping: false,
  isPaused: false,
  list: 'streams',
  above: { streams: 0, peers: 0 },
}

/** How far a page key goes, rows. */
const PAGE = 10

/** The view after a key; `undefined` when it ends everything. */
export function press(view: View, key: Key): View | undefined {
  if (key === 'interrupt') return undefined
  return view.isTyping ? typeInto(view, key) : act(view, key)
}

/** Letters belong to the filter while one is typed. */
function typeInto(view: View, key: Key): View {
  switch (key) {
    case 'enter':
      return { ...view, isTyping: false }
    case 'escape':
      return filtered({ ...view, isTyping: false }, '')
    case 'backspace':
      return filtered(view, Array.from(view.filter).slice(0, -1).join(''))
    default:
      return isCharacter(key) ? filtered(view, view.filter + key) : move(view, key)
  }
}

function act(view: View, key: Key): View | undefined {
  switch (key) {
    case 'q':
      return undefined
    case 's':
      return { ...view, sort: SORTS[(SORTS.indexOf(view.sort) + 1) % SORTS.length] ?? 'rate' }
    case 'p':
    case ' ':
      return { ...view, isPaused: !view.isPaused }
    case '/':
      return { ...view, isTyping: true }
    case 'escape':
      return filtered(view, '')
    default:
      return move(view, key)
  }
}

function move(view: View, key: Key): View {
  const { list, above } = view
  const to = (rows: number): View => ({ ...view, above: { ...above, [list]: Math.max(0, rows) } })
  switch (key) {
    case 'up':
      return to(above[list] - 1)
    case 'down':
      return to(above[list] + 1)
    case 'pageUp':
      return to(above[list] - PAGE)
    case 'pageDown':
      return to(above[list] + PAGE)
    case 'home':
      return to(0)
    case 'end':
      return to(Infinity)
    case 'left':
    case 'right':
    case 'tab':
      return { ...view, list: list === 'streams' ? 'peers' : 'streams' }
    default:
      return view
  }
}

function filtered(view: View, filter: string): View {
  return { ...view, filter, above: { streams: 0, peers: 0 } }
}

/** No further down than there are rows: what was beyond the end must not have to be scrolled back. */
export function within(view: View, most: Readonly<Record<ListName, number>>): View {
  const { streams, peers } = view.above
  return { ...view, above: { streams: Math.min(streams, most.streams), peers: Math.min(peers, most.peers) } }
}

/** What is to be shown of a picture, in order. */
export function chosen({ streams, peers }: TopPicture, { filter, sort }: View): Pick<TopPicture, 'streams' | 'peers'> {
  const wanted = filter.toLowerCase()
  const has = (...texts: readonly (string | null)[]): boolean => {
    return texts.some((text) => text?.toLowerCase().includes(wanted) === true)
  }
  return {
    streams: streams.filter(({ stream, name }) => has(stream, name)).sort(ORDERS[sort]),
    peers: peers.filter(({ nodeId, address, state }) => has(nodeId, address, state)),
  }
}

type Order = (one: StreamFigures, other: StreamFigures) => number

const byName: Order = (one, other) => {
  return (one.name ?? one.stream).localeCompare(other.name ?? other.stream) || (one.stream < other.stream ? -1 : 1)
}

const ORDERS: Readonly<Record<Sort, Order>> = {
  rate: (one, other) => (other.eventsPerSecond ?? 0) - (one.eventsPerSecond ?? 0) || byName(one, other),
  events: (one, other) => other.events - one.events || byName(one, other),
  bytes: (one, other) => other.storedBytes - one.storedBytes || byName(one, other),
  name: byName,
}
