// Our checker beside Porcupine, on the same files. What differs shows a fault of one of the two, or of its models.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { testLevel } from '../support/level.js'
import { Random } from '../support/random.js'
import { temporaryDirectory } from '../support/temporary-directory.js'
import { checkHistory } from './check-history.js'
import { writeHistory } from './history-file.js'
import { MODELS, type Kind, type Operation } from './kinds.js'
import { simulateHistory } from './simulated-history.js'
import { shuffleAnswers, spoilHistory } from './spoil-history.js'

const folder = fileURLToPath(new URL('../../../test/linearizability/porcupine/', import.meta.url))

function go(args: readonly string[], timeoutMs: number): { status: number | null; stdout: string; stderr: string } {
  // What is installed must do: another toolchain would be a download of its own.
  const env = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' }
  return spawnSync('go', args, { cwd: folder, encoding: 'utf8', timeout: timeoutMs, env })
}

/** Why the comparison cannot be made here. */
function obstacle(): string | undefined {
  if (testLevel() === 'quick') return 'needs a MILLRACE_TEST_LEVEL other than quick'
  if (go(['version'], 60_000).status !== 0) return 'go is not installed'
  const { status, stderr } = go(['mod', 'download'], 120_000)
  return status === 0 ? undefined : `the module porcupine cannot be had: ${stderr.trim().split('\n').at(-1) ?? ''}`
}

// Compiling takes a while where nothing is in Go's cache.
t.setTimeout(900_000)

const rounds = testLevel() === 'nightly' ? 200 : 25
const verdicts: Readonly<Record<string, string>> = { ok: 'linearizable', illegal: 'illegal' }

/** Of each kind of object: histories that are good, the same with an answer that cannot be, and with two exchanged. */
function histories(): { readonly name: string; readonly history: readonly Operation[] }[] {
  return (Object.keys(MODELS) as Kind[]).flatMap((kind) =>
    Array.from({ length: rounds }, (_, seed) => {
      const random = new Random(seed)
      const clients = 1 + random.below(6)
      const lost = random.pick([0, 0.1, 0.25])
      const history = simulateHistory({ kind, clients, operations: 30, keys: 2, lost }, random)
      return [
        { name: `${kind}-${seed}-good`, history },
        { name: `${kind}-${seed}-spoilt`, history: spoilHistory(history, random) ?? history },
        { name: `${kind}-${seed}-shuffled`, history: shuffleAnswers(history, random) },
      ]
    }).flat(),
  )
}

t.test('our checker and Porcupine agree about every history', { skip: obstacle() ?? false }, async (t) => {
  const directory = temporaryDirectory(t)
  const program = join(directory, 'porcupine')
  const built = go(['build', '-o', program, '.'], 400_000)
  t.equal(built.status, 0, 'the program builds', { stderr: built.stderr })

  const compared = histories()
  const files = compared.map(({ name }) => join(directory, `${name}.ndjson`))
  for (const [at, { history }] of compared.entries()) await writeHistory(files[at]!, history)
  const { status, stdout, stderr } = spawnSync(program, files, { encoding: 'utf8', timeout: 200_000 })
  t.equal(status, 0, 'it reads all histories', { stderr })

  const theirs = new Map(stdout.split('\n').map((line) => line.split(' ') as [file: string, verdict: string]))
  const ours = compared.map(({ history }) => checkHistory(history).verdict)
  const differences = compared.flatMap(({ name }, at) => {
    const their = verdicts[theirs.get(files[at]!) ?? ''] ?? 'no verdict'
    return their === ours[at] ? [] : [`${name}: ours ${ours[at]!}, Porcupine's ${their}`]
  })
  t.same(differences, [], `${compared.length} histories were compared`)
  const illegal = ours.filter((verdict) => verdict === 'illegal').length
  t.ok(illegal > rounds * 3, `${illegal} of them are illegal`)
})
