import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { paint, write } from '../terminal.js'
import { LiveTop } from '../top/live.js'
import { renderTop } from '../top/render.js'
import { FIRST_VIEW } from '../top/view.js'
import { watchNode, type Moment } from '../top/watch.js'
import { UsageError } from '../usage-error.js'

const DEFAULT_SECONDS = 2
const LEAST_SECONDS = 0.1
const MOST_SECONDS = 3600
const MOST_COUNT = 1_000_000_000

/** The longest time until rates are shown, milliseconds. */
const FIRST_MS = 500

/** Characters in a line where there is no terminal. */
const FILE_COLUMNS = 160

export const top: Command = {
  name: 'top',
  summary: 'Watch a node: alarms, rates, streams, peers',
  usage: '[FLAGS]',
  details: [
    'Rates are those of the last interval, and so are the times of fsync. USED is the share of the nearest limit of a stream;',
    'it may be above 100 % until a whole block can go. When the node goes away, which is said, the view goes on once it is back.',
    '',
    'q quits, s sorts streams by rate, events, bytes or name, p pauses, / filters both lists, arrows and page keys scroll, left',
    'and right choose the list. Without a terminal the lists are printed as they are at each interval.',
  ].join('\n'),
  examples: [
    'millrace top',
    'millrace top --interval 0.5',
    'millrace top --node http://gateway.local:4454',
    'millrace top --count 1',
    'millrace top -j --interval 60 >> gateway.ndjson',
  ],
  options: {
    ...CONNECT_OPTIONS,
    interval: { type: 'string', short: 'i', value: 'SECONDS', help: `by default ${String(DEFAULT_SECONDS)}` },
    count: { type: 'string', value: 'N', help: 'end after so many intervals' },
  },
  jsonHelp: 'print one line of JSON an interval (NDJSON), of type picture, or trouble while the node is away',
  mostArguments: 0,
  run: runTop,
}

async function runTop(call: Call): Promise<number> {
  const intervalMs = numberOf(call, 'interval', DEFAULT_SECONDS, LEAST_SECONDS, MOST_SECONDS) * 1000
  const most = numberOf(call, 'count', Infinity, 1, MOST_COUNT)
  const { stdout, env, signal } = call.terminal
  const isLive = !call.json && stdout.isTerminal && env['TERM'] !== 'dumb'
  const quit = new AbortController()
  const ending = AbortSignal.any([signal, quit.signal])
  const pace = { intervalMs, firstMs: isLive ? Math.min(FIRST_MS, intervalMs) : intervalMs }
  try {
    await withClient(call, async (client) => {
      const moments = watchNode(client, pace, ending)
      if (isLive)
        await showLive(call, moments, most, () => {
          quit.abort()
        })
      else await print(call, moments, most)
    })
  } catch (error) {
    // Being ended is how this ends.
    if (!ending.aborted) throw error
  }
  return EXIT.ok
}

async function showLive(call: Call, moments: AsyncGenerator<Moment>, most: number, quit: () => void): Promise<void> {
  const first = await moments.next()
  if (first.done === true || !('picture' in first.value)) return
  using live = new LiveTop(call, first.value.picture, quit)
  let shown = 0
  for await (const moment of moments) {
    live.show(moment)
    if (++shown >= most) return
  }
}

/** For programs and files. The first picture, which knows no rates, is left out. */
async function print(call: Call, moments: AsyncGenerator<Moment>, most: number): Promise<void> {
  const { stdout } = call.terminal
  await moments.next()
  let printed = 0
  for await (const moment of moments) {
    await write(stdout, call.json ? jsonLine(moment) : textOf(moment, call))
    if (++printed >= most) return
  }
}

function jsonLine(moment: Moment): string {
  const line =
    'picture' in moment
      ? { type: 'picture', ...moment.picture }
      : { type: 'trouble', at: Date.now() * 1000, ...moment.trouble }
  return `${JSON.stringify(line)}\n`
}

function textOf(moment: Moment, { terminal: { stdout, env } }: Call): string {
  if ('trouble' in moment)
    return `${paint(stdout, env, 'red', 'NO ANSWER')}: ${moment.trouble.message}; trying again\n\n`
  const columns = stdout.isTerminal ? stdout.columns : FILE_COLUMNS
  const scene = { picture: moment.picture, view: FIRST_VIEW, trouble: undefined }
  const { lines } = renderTop(scene, { columns, rows: Infinity }, (style, text) => paint(stdout, env, style, text))
  return `${lines.join('\n')}\n\n`
}

/** @throws UsageError */
function numberOf(call: Call, option: string, otherwise: number, least: number, most: number): number {
  const given = call.text(option)
  if (given === undefined) return otherwise
  const number = Number(given)
  const isFit = option === 'count' ? /^[0-9]+$/.test(given) : /^[0-9]*\.?[0-9]+$/.test(given)
  if (isFit && number >= least && number <= most) return number
  const kind = option === 'count' ? 'a whole number' : 'a number of seconds'
  throw new UsageError(
    `--${option} takes ${kind} from ${String(least)} to ${most.toLocaleString('en-US')}, not '${given}'`,
  )
}
