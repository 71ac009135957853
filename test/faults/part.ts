import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Which trials of a part to run. A trial's number is its seed: the same number does the same to the node. */
export interface Trials {
  readonly from: number
  readonly count: number
  readonly log: (line: string) => void
}

export interface PartResult {
  readonly passed: number
  readonly failed: number
  /** Failures, and figures worth keeping. */
  readonly details: readonly string[]
}

/** One kind of fault. Modules of this folder export these three. */
export interface Part {
  readonly name: string
  /** Why the part cannot run on this machine, and how it can; `undefined` when it can. */
  unavailable(): string | undefined
  run(trials: Trials): Promise<PartResult>
}

/** Failures that are told in full; the rest is only counted. */
const MAX_DETAILS = 40

/** Collects the outcome of trials. */
export class Tally {
  #passed = 0
  #failed = 0
  readonly #failures: string[] = []
  readonly #notes = new Map<string, number>()

  pass(): void {
    this.#passed++
  }

  fail(reason: string): void {
    this.#failed++
    if (this.#failures.length < MAX_DETAILS) this.#failures.push(reason)
  }

  /** Counts how often something happened; the counts are part of the details. */
  note(what: string, times = 1): void {
    this.#notes.set(what, (this.#notes.get(what) ?? 0) + times)
  }

  result(): PartResult {
    const notes = [...this.#notes].map(([what, times]) => `${what}: ${String(times)}`)
    return { passed: this.#passed, failed: this.#failed, details: [...this.#failures, ...notes] }
  }
}

/** Runs `trial` for each number; what it throws is its failure. */
export async function runTrials(
  { from, count, log }: Trials,
  trial: (number: number, tally: Tally) => Promise<void>,
): Promise<PartResult> {
  const tally = new Tally()
  for (let number = from; number < from + count; number++) {
    try {
      await trial(number, tally)
      tally.pass()
    } catch (error) {
      const reason = `trial ${String(number)}: ${reasonOf(error)}`
      log(reason)
      tally.fail(reason)
    }
  }
  return tally.result()
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** @throws Error with the reason when the condition does not hold */
export function check(condition: boolean, reason: () => string): asserts condition {
  if (!condition) throw new Error(reason())
}

/** Runs `work` with a new directory that is gone afterwards. */
export async function withDirectory<T>(prefix: string, work: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), `millrace-${prefix}-`))
  try {
    return await work(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
  }
}

export function needsRoot(part: string): string | undefined {
  return process.getuid?.() === 0
    ? undefined
    : `needs root for mounts: run as root with \`npm run nightly -- ${part} --from 0 --count 1\``
}
