import { open } from 'node:fs/promises'
import { splitLines, type Client, type StateImport } from '../../client/index.js'
import type { Call } from '../command.js'
import { EXIT } from '../exit-codes.js'
import { ProgressLine } from '../progress-line.js'
import { InputError, UnreadableInputError } from '../publish/line-queue.js'
import { write } from '../terminal.js'
import { formatBytes, formatCount } from '../units.js'
import { visible } from '../visible.js'

/** What goes in one request; the node takes 1000 lines and 8 MiB. */
const MOST_LINES = 500
const MOST_TEXT = 2 * 1024 * 1024

/** Remarks that are kept for JSON; all are counted. */
const MOST_REMARKS = 1000

interface Totals {
  imported: number
  same: number
  bytes: number
  expired: number
  kept: number
  overwritten: number
  remarks: StateImport['remarks'][number][]
}

/** Takes over the export in a file, part by part. What is there already is left, so it may be begun anew. */
export async function importState(call: Call, client: Client, file: string): Promise<number> {
  const { stderr, signal } = call.terminal
  const progress = new ProgressLine(stderr)
  const options = { overwrite: call.flag('overwrite'), dryRun: call.flag('dry-run') }
  const totals: Totals = { imported: 0, same: 0, bytes: 0, expired: 0, kept: 0, overwritten: 0, remarks: [] }
  const reader = new ExportReader()
  for await (const part of reader.parts(await openFile(call, file))) {
    if (signal.aborted) break
    const report = await client.state.importLines(part, options, signal)
    add(totals, report)
    progress.clear()
    if (!call.json) for (const remark of report.remarks) await write(stderr, `${sentenceOf(remark, options.dryRun)}\n`)
    progress.show(`${formatCount(totals.imported + totals.same)} taken over`)
  }
  progress.clear()
  const room = await roomFor(client, totals, options.dryRun)
  const problem = reader.isWhole
    ? room
    : 'the file is only a part of an export: it lacks its last line. Import the whole one, which goes on from here'
  await tell(call, totals, options.dryRun, problem)
  return problem === undefined ? EXIT.ok : EXIT.failure
}

/** Parts of an export that can be taken over by themselves: each begins with the first line. */
class ExportReader {
  isWhole = false

  /** @throws InputError for what is no export */
  async *parts(input: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
    let header: string | undefined
    let lines: string[] = []
    let size = 0
    for await (const line of splitLines(input)) {
      if (line === '') continue
      if (header === undefined) {
        if (!line.startsWith('{"type":"state"'))
          throw new InputError('this is no export of a state: see its first line')
        header = line
        continue
      }
      this.isWhole = line.startsWith('{"type":"end"')
      if (this.isWhole) break
      lines.push(line)
      size += line.length
      if (lines.length < MOST_LINES && size < MOST_TEXT) continue
      yield [header, ...lines].join('\n')
      lines = []
      size = 0
    }
    if (header === undefined) throw new InputError('this is no export of a state: it is empty')
    // Also without any line: versions must not come again.
    yield [header, ...lines].join('\n')
  }
}

async function openFile(call: Call, file: string): Promise<AsyncIterable<Uint8Array>> {
  if (file === '-') return call.terminal.stdin
  try {
    return (await open(file)).createReadStream() as AsyncIterable<Uint8Array>
  } catch (error) {
    throw new UnreadableInputError(`cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function add(totals: Totals, { imported, same, bytes, remarks }: StateImport): void {
  totals.imported += imported
  totals.same += same
  totals.bytes += bytes
  for (const remark of remarks) {
    totals[remark.outcome]++
    if (totals.remarks.length < MOST_REMARKS) totals.remarks.push(remark)
  }
}

function sentenceOf({ app, key, outcome }: StateImport['remarks'][number], isRehearsal: boolean): string {
  const name = visible(app === undefined ? key : `${app}: ${key}`)
  switch (outcome) {
    case 'expired':
      return `lost         ${name}: its time is over`
    case 'kept':
      return `kept         ${name}: it has another value here (--overwrite takes over the other)`
    case 'overwritten':
      return `${isRehearsal ? 'to overwrite' : 'overwritten '} ${name}: it had another value here`
  }
}

/** A rehearsal changes nothing, so each part finds the room that all of them need. */
async function roomFor(client: Client, { bytes }: Totals, isRehearsal: boolean): Promise<string | undefined> {
  if (!isRehearsal) return undefined
  const { bytes: taken, maxBytes } = await client.state.info()
  if (taken + bytes <= maxBytes) return undefined
  const wanted = `${formatBytes(taken + bytes)} where state.maxBytes is ${formatBytes(maxBytes)}`
  return `there is no room: it would take ${wanted}; the import would end with ERR_STATE_FULL`
}

async function tell(call: Call, totals: Totals, isRehearsal: boolean, problem: string | undefined): Promise<void> {
  const { stdout, stderr } = call.terminal
  const { imported, same, expired, kept, overwritten } = totals
  if (call.json) {
    const result = { ...totals, dryRun: isRehearsal, complete: problem === undefined, problem: problem ?? null }
    await write(stdout, `${JSON.stringify({ code: 'OK', result })}\n`)
    return
  }
  const verb = isRehearsal ? 'would import' : 'imported'
  const parts = [
    `${verb} ${formatCount(imported)}`,
    ...(overwritten > 0 ? [`${formatCount(overwritten)} of them over another value`] : []),
    `${formatCount(same)} there already`,
    ...(kept > 0 ? [`${formatCount(kept)} kept as they are here`] : []),
    ...(expired > 0 ? [`${formatCount(expired)} lost as their time is over`] : []),
  ]
  await write(stdout, `${parts.join(', ')}\n`)
  if (problem !== undefined) await write(stderr, `${problem}\n`)
}
