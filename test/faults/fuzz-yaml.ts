import { checkConfigText, exampleConfig, renderProblem, type Problem } from '../../config/index.js'
import { Random } from '../support/random.js'
import { mutate } from './mutate.js'
import { check, runTrials, type PartResult, type Trials } from './part.js'

export const name = 'fuzz-yaml'

export const nightlyCount = 1_000_000

const SEEDS = [
  `eventRouting:
  routes:
    - from: "'hangar-18' | 'area-42'"
      into: top-secret
    - from: appId(com.example.a) & 'x''y'
    - into: other
  streams:
    top-secret: { maxAge: 41m, maxSize: 700MB, maxEvents: 9 }
    other: { maxAge: null }
`,
  `api:
  listen: [127.0.0.1:4454, "[::1]:0"]
  apps: [com.acme.*]
  hosts: [edge.local]
  origins: [https://app.example.com]
storage:
  sync: { interval: 50ms }
  block: { maxEvents: 1024, maxBytes: 256KiB }
  pruneInterval: 60s
`,
  `{"storage": {"sync": "os"}, "log": {"level": "debug"}}`,
  exampleConfig(),
].map((text) => Buffer.from(text))

// prettier-ignore
const WORDS = [
  '\n', '  ', '\t', ': ', '- ', '{', '}', '[', ']', '"', "'", '|\n', '>-\n', '&a ', '*a', '<<: *a', '!!binary ', '# ', '---\n', '...\n', '%YAML 1.1\n', '? ',
  '~', 'null', 'yes', '0x1F', '1e999', '.inf', '18446744073709551615w', 'maxAge', 'maxEvents', 'streams', 'default', 'eventRouting', '\ufeff', '\u2028', 'é', '\0',
]

/** Milliseconds that one file of at most 64 KiB may take. */
const MAX_MS = 2000

export function unavailable(): string | undefined {
  return undefined
}

/** Mutated configuration files: settings or a list of problems with places inside the file, never another error. */
export function run(trials: Trials): Promise<PartResult> {
  return runTrials(trials, (number, tally) => {
    const text = mutate(new Random(number), SEEDS, WORDS).toString()
    const begin = performance.now()
    tally.note(judge(text))
    const ms = performance.now() - begin
    check(ms < MAX_MS, () => `${ms.toFixed(0)} ms for ${JSON.stringify(text.slice(0, 300))}`)
    return Promise.resolve()
  })
}

/** @returns what came of it */
function judge(text: string): string {
  const { settings, problems, warnings } = checkConfigText(text, 'fuzz.yml')
  const lines = text.split(/\r\n|\n|\r/).length
  for (const problem of [...problems, ...warnings]) checkProblem(problem, lines)
  check((settings === undefined) === problems.length > 0, () => 'neither settings nor problems, or both')
  return settings === undefined ? 'refused' : 'accepted'
}

function checkProblem(problem: Problem, lines: number): void {
  const { line, column, reason } = problem
  check(
    line >= 1 && line <= lines && column >= 1,
    () => `place ${String(line)}:${String(column)} of ${String(lines)} lines`,
  )
  check(reason !== '' && renderProblem(problem).includes('^'), () => 'a problem without reason or caret')
}
