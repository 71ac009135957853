/**
 * Runs simulations in this process: `node dist/test/simulation/main.js --from N --count M [--verbose]`. One line of JSON
 * per seed.
 */
import { afterRealTime } from './simulated-process.js'
import { parseArgs } from 'node:util'
import { simulate } from './simulation.js'

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '0' },
    count: { type: 'string', default: '1' },
    verbose: { type: 'boolean', default: false },
  },
})
/** Against simulations that go round in circles, ms. */
const PATIENCE_MS = 300_000

const from = Number(values.from)
for (let seed = from; seed < from + Number(values.count); seed++) {
  const cancel = afterRealTime(PATIENCE_MS, () => {
    process.stderr.write(`seed ${seed} takes too long\n`)
    process.exit(1)
  })
  const outcome = await simulate(seed, values.verbose ? (line) => process.stdout.write(`${line}\n`) : undefined)
  cancel()
  process.stdout.write(`${JSON.stringify(outcome)}\n`)
}
