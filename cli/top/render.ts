import { renderLimits } from '../limits-text.js'
import type { Style } from '../terminal.js'
import { formatBytes, formatCount, formatDuration, formatRate, formatTime } from '../units.js'
import { visible } from '../visible.js'
import { cut, fit, widthOf, wrap } from './fit-text.js'
import type { PeerFigures, StreamFigures, TopPicture } from './picture.js'
import { chosen, within, type ListName, type View } from './view.js'

/** What is to be seen. */
export interface Scene {
  readonly picture: TopPicture
  readonly view: View
  /** Why the picture is old, and since how many seconds; `undefined` while the node answers. */
  readonly trouble: { readonly message: string; readonly seconds: number } | undefined
}

/** Characters, at least 20, and lines of the terminal; endless for what scrolls by. */
export interface Size {
  readonly columns: number
  readonly rows: number
}

export type Painter = (style: Style, text: string) => string

/** What a scene looks like. */
export interface Drawn {
  /** At most as many as there are rows, none longer than a row. */
  readonly lines: readonly string[]
  /** With lists scrolled no further than they reach. */
  readonly view: View
}

/** What is not known. */
const UNKNOWN = '–'

/** Share of the rows that alarms may take, and peers where streams need the rest. */
const MOST_ROWS = 1 / 3

/** A picture of a node for a terminal of this size. */
export function renderTop({ picture, view, trouble }: Scene, size: Size, paint: Painter): Drawn {
  const { columns, rows } = size
  const lists = chosen(picture, view)
  const top = [
    ...titleLines(picture, view, columns, paint),
    ...noticeLines(picture, trouble, size, paint),
    ...figureLines(picture, columns, paint),
    '',
  ]
  const foot = Number.isFinite(rows) ? [footLine(view, columns, paint)] : []
  // Two lines of titles, and one between the lists.
  const left = Math.max(0, rows - top.length - foot.length - 3)
  const room = shareRows(left, lists.streams.length, Math.max(1, lists.peers.length))
  const most = {
    streams: Math.max(0, lists.streams.length - room.streams),
    peers: Math.max(0, lists.peers.length - room.peers),
  }
  const settled = within(view, most)
  const list = { view: settled, columns, paint, isScreen: Number.isFinite(rows) }
  const streams = listLines(streamColumns(), lists.streams, { ...list, name: 'streams', room: room.streams })
  const peers = picture.inSwarm
    ? listLines(peerColumns(), lists.peers, { ...list, name: 'peers', room: room.peers })
    : [paint('dim', cut('  this node is alone: without swarm.key it is part of no swarm', columns))]
  const body = [...top, ...streams, '', ...peers]
  if (foot.length === 0) return { lines: body, view: settled }
  const filled = [...body, ...Array.from({ length: Math.max(0, rows - body.length - 1) }, () => '')]
  return { lines: [...filled.slice(0, rows - 1), ...foot], view: settled }
}

/** How many rows each list gets. */
export function shareRows(rows: number, streams: number, peers: number): Readonly<Record<ListName, number>> {
  const ofPeers = Math.min(peers, Math.max(rows - streams, Math.floor(rows * MOST_ROWS)))
  return { streams: Math.min(streams, rows - ofPeers), peers: ofPeers }
}

function titleLines({ node, at }: TopPicture, { isPaused }: View, columns: number, paint: Painter): string[] {
  const time = `${isPaused ? 'paused at ' : ''}${formatTime(at).slice(11, 19)} UTC`
  const left = `millrace ${node.version}  ${visible(node.nodeId)}`
  const shown = `${fit(left, Math.max(0, columns - widthOf(time) - 1))} ${time}`
  const { uptimeSeconds, topic, cpuShare, memoryBytes, diskFreeBytes } = node
  const about = pairs(
    [
      ['up', formatDuration(uptimeSeconds)],
      ['topic', visible(topic)],
      ['cpu', percent(cpuShare)],
      ['memory', bytes(memoryBytes)],
      ['disk free', bytes(diskFreeBytes)],
    ],
    columns,
    paint,
  )
  return [paint(isPaused ? 'yellow' : 'bold', cut(shown, columns)), about]
}

/** What somebody has to look after, first of all. */
function noticeLines({ alarms, node }: TopPicture, trouble: Scene['trouble'], size: Size, paint: Painter): string[] {
  const { columns, rows } = size
  const lines: string[] = []
  if (trouble !== undefined) {
    const text = `NO ANSWER for ${formatDuration(trouble.seconds)}: ${visible(trouble.message)}; trying again, the figures are old`
    lines.push(...wrap(text, columns).map((line) => paint('red', line)))
  }
  if (alarms.length === 0) {
    if (node.ready) return lines.length > 0 ? lines : [paint('dim', cut('no alarms; events are taken', columns))]
    return [...lines, paint('red', cut('NO EVENTS ARE TAKEN: millrace doctor says why', columns))]
  }
  const most = Math.max(lines.length + 2, Math.floor(rows * MOST_ROWS))
  for (const [at, alarm] of alarms.entries()) {
    const what = `ALARM ${alarm.kind} since ${formatTime(alarm.since).slice(0, 19)}: ${visible(alarm.message)}`
    const told = [
      ...wrap(what, columns).map((line) => paint('red', line)),
      ...wrap(visible(alarm.advice), columns - 2).map((line) => `  ${paint('bold', line)}`),
    ]
    const isLast = at === alarms.length - 1
    if (lines.length + told.length > most - (isLast ? 0 : 1)) {
      const more = `${formatCount(alarms.length - at)} alarms${at === 0 ? '' : ' more'}: millrace doctor tells all`
      return [...lines, ...(at === 0 ? told.slice(0, most - lines.length - 1) : []), paint('red', cut(more, columns))]
    }
    lines.push(...told)
  }
  return lines
}

function figureLines({ input, output }: TopPicture, columns: number, paint: Painter): string[] {
  return [
    pairs(
      [
        ['in', `${formatRate(input.eventsPerSecond)} events/s`],
        ['', `${bytes(input.bytesPerSecond)}/s`],
        ['commits', `${formatRate(input.commitsPerSecond)}/s`],
        ['fsync p50', milliseconds(input.syncP50Seconds)],
        ['p99', milliseconds(input.syncP99Seconds)],
      ],
      columns,
      paint,
    ),
    pairs(
      [
        ['out', `${formatRate(output.rowsPerSecond)} events/s`],
        ['', `${bytes(output.bytesPerSecond)}/s`],
        ['queries', `${count(output.queriesRunning)} running`],
        ['', `${formatRate(output.queriesPerSecond)}/s`],
        ['subscriptions', count(output.subscriptions)],
      ],
      columns,
      paint,
    ),
  ]
}

/** Names and figures in a row, as many as there is room for. */
function pairs(figures: readonly (readonly [name: string, figure: string])[], columns: number, paint: Painter): string {
  let line = ''
  let left = columns
  for (const [name, figure] of figures) {
    const text = `${name === '' ? '' : `${name} `}${figure}`
    const gap = line === '' ? '' : '  '
    left -= widthOf(text) + gap.length
    if (left < 0) break
    line += `${gap}${name === '' ? '' : `${paint('dim', name)} `}${figure}`
  }
  return line
}

interface ListColumn<T> {
  readonly title: string
  /** Left is where texts begin. */
  readonly side: 'left' | 'right'
  readonly show: (row: T) => string
  /** Columns of a terminal that it takes at most; the last one takes what is left. */
  readonly width: number
}

interface ListOptions {
  readonly name: ListName
  readonly room: number
  readonly view: View
  readonly columns: number
  readonly paint: Painter
  /** Whether keys can move it. */
  readonly isScreen: boolean
}

/** Titles and rows of a list, with a sign before the one that the arrows move. */
function listLines<T>(columns: readonly ListColumn<T>[], rows: readonly T[], options: ListOptions): string[] {
  const { name, room, view, paint, isScreen } = options
  const above = view.above[name]
  const shown = rows.slice(above, above + room)
  const cells = shown.map((row) => columns.map(({ show }) => visible(show(row))))
  const widths = columns.map(({ title, width }, at) => {
    return Math.max(title.length, Math.min(width, Math.max(0, ...cells.map((row) => widthOf(row[at] ?? '')))))
  })
  const line = (texts: readonly string[]): string => {
    return columns
      .map(({ side }, at) => fit(texts[at] ?? '', widths[at] ?? 0, side))
      .join('  ')
      .trimEnd()
  }
  const isMoved = isScreen && view.list === name
  const titles = cut(`${isMoved ? '› ' : '  '}${line(columns.map(({ title }) => title))}`, options.columns)
  const range = `${formatCount(above + 1)} to ${formatCount(above + shown.length)} of ${formatCount(rows.length)}`
  const place = shown.length === rows.length ? '' : range
  const gap = options.columns - widthOf(titles) - place.length
  const head = place !== '' && gap > 1 ? titles + ' '.repeat(gap) + place : titles
  if (rows.length === 0) {
    const none = view.filter === '' ? `no ${name} yet` : `no ${name} with '${visible(view.filter)}'`
    return [paint('bold', head), paint('dim', cut(`  ${none}`, options.columns))]
  }
  return [paint('bold', head), ...cells.map((row) => cut(`  ${line(row)}`, options.columns))]
}

function streamColumns(): readonly ListColumn<StreamFigures>[] {
  return [
    { title: 'STREAM', side: 'left', width: 20, show: ({ name, stream }) => name ?? stream },
    { title: 'OWNER', side: 'left', width: 8, show: ({ own, owner }) => (own ? 'here' : shortId(owner)) },
    { title: 'EVENTS/S', side: 'right', width: 10, show: ({ eventsPerSecond }) => formatRate(eventsPerSecond) },
    { title: 'EVENTS', side: 'right', width: 13, show: ({ events }) => formatCount(events) },
    { title: 'STORED', side: 'right', width: 10, show: ({ storedBytes }) => formatBytes(storedBytes) },
    { title: 'USED', side: 'right', width: 6, show: ({ usedShare }) => percent(usedShare) },
    { title: 'LIMITS', side: 'left', width: 200, show: ({ limits }) => renderLimits(limits) },
  ]
}

function peerColumns(): readonly ListColumn<PeerFigures>[] {
  return [
    {
      title: 'PEER',
      side: 'left',
      width: 24,
      show: ({ nodeId, address }) => (nodeId === null ? (address ?? '') : shortId(nodeId)),
    },
    { title: 'STATE', side: 'left', width: 10, show: ({ state }) => state },
    { title: 'LATENCY', side: 'right', width: 9, show: ({ roundTripMs }) => milliseconds(over1000(roundTripMs)) },
    { title: 'LACKS', side: 'right', width: 13, show: ({ missing }) => count(missing) },
    { title: 'BEHIND', side: 'right', width: 12, show: ({ behindSeconds }) => duration(behindSeconds) },
    { title: 'ADDRESS OR ERROR', side: 'left', width: 300, show: ({ error, address }) => error ?? address ?? '' },
  ]
}

/** Enough to tell nodes apart. */
function shortId(nodeId: string): string {
  return `${nodeId.slice(0, 7)}…`
}

function footLine({ isTyping, filter, sort }: View, columns: number, paint: Painter): string {
  const shown = visible(filter)
  if (isTyping) return paint('yellow', cut(`filter: ${shown}_   enter keeps it, esc clears it`, columns))
  const hints = `q quit  s sort: ${sort}  p pause  / filter${shown === '' ? '' : `: ${shown}`}  ↑↓ scroll  ←→ other list`
  return paint('dim', cut(hints, columns))
}

function count(value: number | null): string {
  return value === null ? UNKNOWN : formatCount(value)
}

function bytes(value: number | null): string {
  return value === null ? UNKNOWN : formatBytes(value)
}

function percent(share: number | null): string {
  return share === null ? UNKNOWN : `${(share * 100).toFixed(0)} %`
}

function duration(seconds: number | null): string {
  return seconds === null ? UNKNOWN : formatDuration(seconds)
}

function over1000(milliseconds: number | null): number | null {
  return milliseconds === null ? null : milliseconds / 1000
}

function milliseconds(seconds: number | null): string {
  if (seconds === null) return UNKNOWN
  const ms = seconds * 1000
  return `${ms.toFixed(ms < 10 ? 2 : ms < 100 ? 1 : 0)} ms`
}
