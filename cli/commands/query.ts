import { text } from 'node:stream/consumers'
import { nearestWord, type EventOrder } from '../../core/index.js'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withClient } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { showAnswer } from '../show-answer.js'
import { write } from '../terminal.js'
import { UsageError } from '../usage-error.js'

const ORDERS: readonly EventOrder[] = ['asc', 'desc', 'stream-asc']

export const query: Command = {
  name: 'query',
  summary: 'Run an AQL query',
  usage: '[FLAGS] QUERY',
  details: 'The query is AQL, or - to read it from stdin. It sees what was stored when it began.',
  examples: [
    `millrace query "FROM 'sensor' FILTER _.celsius > 30"`,
    `millrace query -j "FROM allEvents" | jq .payload`,
    `millrace query --order desc "FROM 'log' LIMIT 10"`,
    `millrace query "FEATURES(aggregate) FROM 'sensor' AGGREGATE { n: SUM(1), hottest: MAX(_.celsius) }"`,
  ],
  options: {
    order: { type: 'string', short: 'o', value: 'ORDER', help: 'asc (default), desc or stream-asc' },
    explain: { type: 'boolean', help: 'tell what the query would do instead of running it' },
    ...CONNECT_OPTIONS,
  },
  jsonHelp: "print the node's lines as they are (NDJSON)",
  mostArguments: 1,
  run: runQuery,
}

async function runQuery(call: Call): Promise<number> {
  const [given] = call.args
  if (given === undefined) throw new UsageError(`which query? millrace query "FROM allEvents"`)
  const aql = given === '-' ? await text(call.terminal.stdin) : given
  const order = orderOf(call.text('order'))
  const { signal, stdout } = call.terminal
  return withClient(call, async (client) => {
    if (call.flag('explain')) {
      const plan = await client.explain(aql, { order, signal })
      await write(
        stdout,
        `${call.json ? JSON.stringify({ code: 'OK', result: plan }) : JSON.stringify(plan, null, 2)}\n`,
      )
    } else await showAnswer(call, client.queryTexts(aql, { order, signal }))
    return EXIT.ok
  })
}

function orderOf(given = 'asc'): EventOrder {
  const order = ORDERS.find((candidate) => candidate === given)
  if (order === undefined) {
    const nearest = nearestWord(given, ORDERS)
    const hint = nearest === undefined ? `there are ${ORDERS.join(', ')}` : `did you mean '${nearest}'?`
    throw new UsageError(`unknown order '${given}'; ${hint}`)
  }
  return order
}
