import { Readable, Writable } from 'node:stream'
import { runCli } from '../../cli/run-cli.js'

/** What a command left behind. */
export interface CommandResult {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** What a command finds where it runs. */
export interface Surroundings {
  /** On its standard input. */
  readonly input?: string
  readonly env?: Readonly<Record<string, string>>
  readonly isTerminal?: boolean
}

/** Runs a command in this process, as a shell would. */
export async function runMillrace(
  argv: readonly string[],
  { input = '', env = { NO_COLOR: '1' }, isTerminal = false }: Surroundings = {},
): Promise<CommandResult> {
  const texts = { out: '', err: '' }
  const output = (name: 'out' | 'err') => ({
    isTerminal,
    columns: 80,
    rows: 24,
    stream: new Writable({
      write(chunk, _encoding, done) {
        texts[name] += String(chunk)
        done()
      },
    }),
  })
  const code = await runCli(argv, {
    stdout: output('out'),
    stderr: output('err'),
    stdin: Readable.from([Buffer.from(input)]),
    env,
    signal: new AbortController().signal,
  })
  return { code, ...texts }
}
