import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { plainNode } from './plain-node.js'

/** The compiled command line of this checkout. */
const MAIN = fileURLToPath(new URL('../../cli/main.js', import.meta.url))

export interface NodeProcessOptions {
  /** Data directory. */
  readonly data: string
  /** Where the configuration file and the Unix socket go; never inside `data`, which a test may damage. */
  readonly work: string
  /** YAML text of the configuration file. */
  readonly config: string
  /** Additions to the environment of the process. */
  readonly env?: Readonly<Record<string, string>>
  /** Arguments of Node itself, such as `--cpu-prof`. */
  readonly nodeArgs?: readonly string[]
  /** What the command begins with, to run the node somewhere else: {@link NamespaceNetwork.within}. */
  readonly within?: readonly string[]
  /** Milliseconds until a start counts as failed. */
  readonly startTimeoutMs?: number
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The process ended, or said nothing in time, before it was ready. */
export class StartFailure extends Error {
  readonly exit: Exit | undefined
  readonly output: string

  constructor(exit: Exit | undefined, output: string) {
    super(
      `the node did not start (${exit === undefined ? 'no answer in time' : describeExit(exit)}): ${output.slice(-600)}`,
    )
    this.name = 'StartFailure'
    this.exit = exit
    this.output = output
  }
}

/** Bytes of output that are kept; a test that fails shows the end of it. */
const MAX_OUTPUT = 1 << 20

/** A daemon in a process of its own, as an operator would start it. */
export class NodeProcess {
  readonly pid: number
  readonly port: number
  readonly socketPath: string
  readonly #child: ChildProcess
  readonly #exited: Promise<Exit>
  readonly #output: { text: string }

  private constructor(
    child: ChildProcess,
    exited: Promise<Exit>,
    output: { text: string },
    port: number,
    socket: string,
  ) {
    this.#child = child
    this.#exited = exited
    this.#output = output
    this.pid = child.pid ?? -1
    this.port = port
    this.socketPath = socket
  }

  /** Resolves when the node is ready. @throws StartFailure */
  static async start(options: NodeProcessOptions): Promise<NodeProcess> {
    const begun = NodeProcess.spawn(options)
    return begun.ready
  }

  /** For those who want to kill it while it starts. */
  static spawn(options: NodeProcessOptions): { readonly ready: Promise<NodeProcess>; kill(): Promise<Exit> } {
    mkdirSync(options.work, { recursive: true })
    const configFile = join(options.work, 'millrace.yml')
    const socket = join(options.work, 'api.sock')
    writeFileSync(configFile, options.config)
    rmSync(socket, { force: true })
    const args = ['run', '--config', configFile, '--data', options.data, '--api', '127.0.0.1:0', '--socket', socket]
    const [env, envArgs] = plainNode([...(options.nodeArgs ?? []), MAIN, ...args])
    const [command = env, ...rest] = [...(options.within ?? []), env, ...envArgs]
    const child = spawn(command, rest, {
      env: { ...process.env, NO_COLOR: '1', ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      cwd: options.work,
    })
    const output = { text: '' }
    const exited = new Promise<Exit>((resolve) => {
      child.once('close', (code, signal) => {
        resolve({ code, signal })
      })
      child.once('error', () => {
        resolve({ code: -1, signal: null })
      })
    })
    const ready = waitUntilReady(child, exited, output, options.startTimeoutMs ?? 30_000).then(
      (port) => new NodeProcess(child, exited, output, port, socket),
    )
    return {
      ready,
      kill: () => {
        child.kill('SIGKILL')
        return exited
      },
    }
  }

  /** What it wrote so far (the last mebibyte). */
  get output(): string {
    return this.#output.text
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** SIGKILL. */
  kill(): Promise<Exit> {
    this.#child.kill('SIGKILL')
    return this.#exited
  }

  /** SIGTERM, then SIGKILL when it takes longer than `timeoutMs`. */
  async stop(timeoutMs = 15_000): Promise<Exit> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs)
    const exit = await this.#exited
    clearTimeout(timer)
    return exit
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Resident memory, bytes. */
  residentBytes(): number {
    return residentBytes(this.pid)
  }

  openFiles(): number {
    return readdirSync(`/proc/${String(this.pid)}/fd`).length
  }

  /** Log lines of level error (50) and above, and anything that is no JSON. */
  complaints(): string[] {
    return this.output.split('\n').filter((line) => line !== '' && isComplaint(line))
  }
}

export function describeExit(exit: Exit): string {
  return exit.signal === null ? `exit ${String(exit.code)}` : `signal ${exit.signal}`
}

/** Resident memory of a process, bytes. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))
  return Number(match?.[1] ?? 0) * 1024
}

/** Bytes that a process caused to be written to storage so far. */
export function writtenBytes(pid: number): number {
  return Number(/^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${String(pid)}/io`, 'utf8'))?.[1] ?? 0)
}

function isComplaint(line: string): boolean {
  const entry = parseLogLine(line)
  return entry === undefined || (typeof entry['level'] === 'number' && entry['level'] >= 50)
}

function parseLogLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function waitUntilReady(
  child: ChildProcess,
  exited: Promise<Exit>,
  output: { text: string },
  timeoutMs: number,
): Promise<number> {
  return new Promise((resolve, reject) => {
    let partial = ''
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new StartFailure(undefined, output.text))
    }, timeoutMs)
    const onText = (text: string): void => {
      output.text = (output.text + text).slice(-MAX_OUTPUT)
      const lines = (partial + text).split('\n')
      partial = lines.pop() ?? ''
      for (const line of lines) {
        const port = readyPort(line)
        if (port === undefined) continue
        clearTimeout(timer)
        resolve(port)
      }
    }
    child.stdout?.setEncoding('utf8').on('data', onText)
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output.text = (output.text + text).slice(-MAX_OUTPUT)
    })
    void exited.then((exit) => {
      clearTimeout(timer)
      reject(new StartFailure(exit, output.text))
    })
  })
}

/** The TCP port that the line with `msg: "ready"` names; `undefined` for any other line. */
function readyPort(line: string): number | undefined {
  const entry = parseLogLine(line)
  if (entry?.['msg'] !== 'ready') return undefined
  const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1]
  return port === undefined ? undefined : Number(port)
}
