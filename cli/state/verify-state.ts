import type { Client } from '../../client/index.js'
import type { Call } from '../command.js'
import { EXIT } from '../exit-codes.js'
import { paint, write } from '../terminal.js'
import { formatCount } from '../units.js'
import { visible } from '../visible.js'

const WORDS = { damaged: 'damaged, what it held is lost', index: 'nothing is lost', count: 'nothing is lost' }

/** Says whether every record of the state is whole; with `--repair` what is not is given up. */
export async function verifyState(call: Call, client: Client): Promise<number> {
  const { stdout, env, signal } = call.terminal
  const verified = await client.state.verify(call.flag('repair'), signal)
  const { records, entries, still, repaired, faults } = verified
  const code = faults.length > 0 && !repaired ? EXIT.damage : EXIT.ok
  if (call.json) {
    await write(stdout, `${JSON.stringify({ code: 'OK', result: verified })}\n`)
    return code
  }
  for (const { record, kind, problem } of faults) {
    const color = kind === 'damaged' ? 'red' : 'yellow'
    await write(stdout, `${paint(stdout, env, color, 'fault')}  ${visible(record)}: ${problem} (${WORDS[kind]})\n`)
  }
  const checked = `${formatCount(records)} records checked, ${formatCount(entries)} of them entries`
  const sums = still ? '' : '; sums were not compared, since it was written meanwhile'
  await write(stdout, `${checked}${sums}: ${verdictOf(faults.length, repaired)}\n`)
  return code
}

function verdictOf(faults: number, isRepaired: boolean): string {
  if (faults === 0) return 'all is whole'
  const found = faults === 1 ? '1 fault' : `${formatCount(faults)} faults`
  return isRepaired ? `${found} repaired` : `${found} found; --repair gives up what is damaged and writes the rest anew`
}
