import type { CheckContext } from './check-context.js'
import type { CheckFinding } from './check-report.js'
import { CorruptRecordError } from './corrupt-record.js'
import { offsetOfKey } from './keys.js'
import { restoreTail } from './restore-tail.js'
import type { StreamFindings } from './stream-findings.js'
import type { StreamRecord } from './stream-record.js'
import { StreamState } from './stream-state.js'

/** Records read at once. */
const PAGE = 64

/** What a check of a tail found. */
export interface CheckedTail {
  /** The tail as far as it is whole. */
  readonly state: StreamState
  readonly findings: readonly CheckFinding[]
}

interface Break {
  readonly from: number
  readonly problem: string
}

/** Reads all records of a tail: checksums, every line, every step of the chain, and that none is missing. */
export async function checkTail(
  { meta, knownEnd }: CheckContext,
  record: StreamRecord,
  about: StreamFindings,
): Promise<CheckedTail> {
  const { stream } = about
  const state = new StreamState(stream, record)
  const findings: CheckFinding[] = []
  const range = { gte: state.keys.at('tail', 0), lt: state.keys.at('tail', Number.MAX_SAFE_INTEGER), limit: PAGE }
  // Before anything is read: more may be committed meanwhile.
  const known = about.isOwn ? knownEnd(stream) : undefined
  let last = -1
  let broken: Break | undefined
  for await (const [key, value] of meta.entries(range)) {
    const offset = offsetOfKey(key)
    if (offset < record.sealedEnd) {
      const problem = 'it should have gone when its block was sealed'
      findings.push(about.harmless({ from: offset, to: offset, part: 'tail record' }, problem))
      continue
    }
    last = offset
    broken ??= readRecord(state, offset, value)
  }
  if (broken !== undefined) {
    const isTorn = about.isOwn && last === broken.from && known !== undefined && known.nextOffset <= broken.from
    if (isTorn) findings.push(about.note(`an unfinished write at offset ${String(last)} is cut off at the next start`))
    else {
      const to = Math.max(last, broken.from, (known?.nextOffset ?? 0) - 1)
      findings.push(about.lost({ from: broken.from, to, part: 'tail record' }, broken.problem))
    }
  } else if (known !== undefined && known.nextOffset > state.tailEnd) {
    const missing = { from: state.tailEnd, to: known.nextOffset - 1, part: 'tail record' }
    if (state.tailEnd < known.surelyOnDisk) findings.push(about.lost(missing, 'it was acknowledged and is missing'))
    else
      findings.push(
        about.note(`the last boot took events from offset ${String(state.tailEnd)} on before they were synced`),
      )
  }
  return { state, findings }
}

function readRecord(state: StreamState, offset: number, value: Buffer): Break | undefined {
  const from = state.tailEnd
  if (offset !== from) return { from, problem: `records are missing before offset ${String(offset)}` }
  try {
    restoreTail(state, offset, value)
    return undefined
  } catch (error) {
    if (!(error instanceof CorruptRecordError)) throw error
    return { from, problem: error.reason }
  }
}
