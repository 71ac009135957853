import { parseAnswerLine, type Client, type Offsets, type SubscriptionState } from '../../client/index.js'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { showAnswer } from '../show-answer.js'
import { paint, write } from '../terminal.js'
import { UsageError } from '../usage-error.js'

/** Events that are held to be shown in the right order. */
const MOST_LINES = 100_000

export const tail: Command = {
  name: 'tail',
  summary: 'Follow events as they happen',
  usage: '[FLAGS] [QUERY]',
  details: [
    'Without a query all events are followed. Ends with Ctrl-C. When the node goes away, which is said on stderr, tail goes',
    'on as soon as it is back: nothing is left out or shown twice.',
  ].join('\n'),
  examples: [
    'millrace tail',
    `millrace tail "FROM 'log'"`,
    `millrace tail -n 10 "FROM 'sensor'"`,
    'millrace tail --all -j',
  ],
  options: {
    lines: { type: 'string', short: 'n', value: 'N', help: 'show the last N events first' },
    all: { type: 'boolean', short: 'a', help: 'show everything that is stored first' },
    ...CONNECT_OPTIONS,
    // Here -n is what it is for tail everywhere.
    node: { type: 'string', value: 'URL', help: 'node to talk to, such as http://127.0.0.1:4454 (MILLRACE_NODE)' },
  },
  jsonHelp: "print the node's lines as they are (NDJSON)",
  mostArguments: 1,
  run: runTail,
}

async function runTail(call: Call): Promise<number> {
  const [query = 'FROM allEvents'] = call.args
  const lines = lineCountOf(call.text('lines'))
  if (call.flag('all') && lines > 0) throw new UsageError('--all and --lines exclude each other')
  const { signal } = call.terminal
  try {
    await withClient(call, async (client) => {
      // Asked in any case: a node that cannot be reached at first is an error, one that goes away is waited for.
      const { present } = await client.offsets(signal)
      if (lines > 0) await showLast(call, client, { query, lines, upperBound: present })
      const lowerBound = call.flag('all') ? {} : present
      await showAnswer(call, client.subscribeTexts(query, { lowerBound, signal, onState: teller(call) }))
    })
  } catch (error) {
    // Ctrl-C is how this ends.
    if (!signal.aborted) throw error
  }
  return EXIT.ok
}

/** Says when the node goes away and when it is back; nothing is missed in between. */
function teller({ terminal }: Call): (state: SubscriptionState) => void {
  const { stderr, env } = terminal
  let isGone = false
  const say = (text: string): void => {
    void write(stderr, `${paint(stderr, env, 'yellow', text)}\n`)
  }
  return (state) => {
    if (state.state === 'waiting' && !isGone) say(`${state.error.message}; trying again`)
    if (state.state === 'live' && isGone) say('going on where it broke off')
    if (state.state !== 'connecting') isGone = state.state === 'waiting'
  }
}

interface Last {
  readonly query: string
  readonly lines: number
  readonly upperBound: Offsets
}

async function showLast(call: Call, client: Client, { query, lines, upperBound }: Last): Promise<void> {
  const last: string[] = []
  for await (const line of client.queryTexts(query, { order: 'desc', upperBound, signal: call.terminal.signal })) {
    const { type } = parseAnswerLine(line)
    if (type === 'event') last.push(line)
    if (last.length >= lines) break
  }
  await showAnswer(call, last.reverse())
}

function lineCountOf(given: string | undefined): number {
  if (given === undefined) return 0
  const lines = Number(given)
  if (!/^[0-9]+$/.test(given) || lines > MOST_LINES) {
    throw new UsageError(`--lines takes a number up to ${String(MOST_LINES)}, not '${given}'`)
  }
  return lines
}
