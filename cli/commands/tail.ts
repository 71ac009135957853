import { parseAnswerLine, type Client, type Offsets } from '../../client/index.js'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { showAnswer } from '../show-answer.js'
import { UsageError } from '../usage-error.js'

/** Events that are held to be shown in the right order. */
const MOST_LINES = 100_000

export const tail: Command = {
  name: 'tail',
  summary: 'Follow events as they happen',
  usage: '[FLAGS] [QUERY]',
  details: 'Without a query all events are followed. Ends with Ctrl-C.',
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
      const lowerBound = call.flag('all') ? {} : await present(client, signal)
      if (lines > 0) await showLast(call, client, { query, lines, upperBound: lowerBound })
      await showAnswer(call, client.subscribe(query, { lowerBound, signal }))
    })
  } catch (error) {
    // Ctrl-C is how this ends.
    if (!signal.aborted) throw error
  }
  return EXIT.ok
}

async function present(client: Client, signal: AbortSignal): Promise<Offsets> {
  return (await client.offsets(signal)).present
}

interface Last {
  readonly query: string
  readonly lines: number
  readonly upperBound: Offsets
}

async function showLast(call: Call, client: Client, { query, lines, upperBound }: Last): Promise<void> {
  const last: string[] = []
  for await (const line of client.query(query, { order: 'desc', upperBound, signal: call.terminal.signal })) {
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
