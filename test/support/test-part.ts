import t from 'tap'
import { testLevel } from './level.js'
import type { Part } from '../faults/part.js'

/** How many trials of a part a test run does, by level; 0 leaves the part out. */
export interface Counts {
  readonly quick: number
  readonly ci: number
}

/** Milliseconds that a part may take; a machine under load needs a multiple of the usual. */
const TIMEOUT_MS = 1_500_000

/** Turns a part into a test: all its trials must pass. */
export function testPart(part: Part, promise: string, counts: Counts): Promise<unknown> {
  const count = testLevel() === 'quick' ? counts.quick : counts.ci
  const skipped = count === 0 ? 'takes root or minutes; runs with MILLRACE_TEST_LEVEL=ci' : false
  const reason = part.unavailable() ?? skipped
  // The limit for the whole file is tap's own, which is for tests of seconds.
  t.setTimeout(TIMEOUT_MS)
  return t.test(promise, { skip: reason, timeout: TIMEOUT_MS }, async (test) => {
    const log = (line: string): void => test.comment(line)
    const { passed, failed, details } = await part.run({ from: 0, count, log })
    for (const detail of details) test.comment(detail)
    test.equal(failed, 0, `${part.name}: ${String(passed)} passed, ${String(failed)} failed`, { details })
    test.ok(passed > 0, 'some trials ran')
  })
}
