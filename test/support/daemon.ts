import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { plainNode } from './plain-node.js'

const mainFile = fileURLToPath(new URL('../../cli/main.js', import.meta.url))

/** Longest wait for the log line `ready`; a machine under load may need seconds. */
const startTimeoutMs = 60_000

export interface DaemonOptions {
  /** Text of the configuration file; without one the defaults hold. */
  readonly config?: string
  readonly env?: Readonly<Record<string, string>>
  /** Further arguments of `millrace run`. */
  readonly args?: readonly string[]
}

/** What the log line `ready` says. */
export interface ReadyLine {
  readonly api: readonly string[]
  readonly socket: string | null
  /** Multiaddrs with peer id; `null` without a swarm. */
  readonly swarm: readonly string[] | null
  readonly data: string
  readonly nodeId: string
}

/**
 * A started daemon process with a data directory of its own below the system's temporary directory. `close()` ends it
 * and removes the directory, so `t.teardown(() => daemon.close())` is all that a test has to do.
 */
export class DaemonProcess implements AsyncDisposable {
  /** Everything that the process logged, one entry per line, over all its lives. */
  readonly log: Record<string, unknown>[] = []
  /** What it wrote to stderr, over all its lives. */
  stderr = ''
  readonly #directory: string
  readonly #options: DaemonOptions
  #child: ChildProcess | undefined
  #ready: ReadyLine | undefined
  /** `0` until the first start has found a free one. */
  #port = 0

  private constructor(directory: string, options: DaemonOptions) {
    this.#directory = directory
    this.#options = options
  }

  static async start(options: DaemonOptions = {}): Promise<DaemonProcess> {
    const daemon = new DaemonProcess(await mkdtemp(join(tmpdir(), 'millrace-')), options)
    try {
      if (options.config !== undefined) await writeFile(daemon.configFile, options.config)
      await daemon.startAgain()
    } catch (error) {
      await daemon.close()
      throw error
    }
    return daemon
  }

  get configFile(): string {
    return join(this.#directory, 'millrace.yml')
  }

  get data(): string {
    return join(this.#directory, 'data')
  }

  get socket(): string {
    return join(this.#directory, 's.sock')
  }

  get port(): number {
    return this.#port
  }

  /** `http://127.0.0.1:<port>`, the same over all lives. */
  get url(): string {
    return `http://127.0.0.1:${String(this.#port)}`
  }

  get ready(): ReadyLine {
    if (this.#ready === undefined) throw new Error('the daemon has not been ready yet')
    return this.#ready
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error('the daemon is not running')
    return pid
  }

  /** Starts the process on the port and data of its earlier life; resolves when it is ready. */
  async startAgain(): Promise<void> {
    const { config, args = [], env } = this.#options
    const child = spawn(
      ...plainNode([
        mainFile,
        'run',
        ...(config === undefined ? [] : ['--config', this.configFile]),
        ...['--data', this.data, '--api', `127.0.0.1:${String(this.#port)}`, '--socket', this.socket],
        ...args,
      ]),
      { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.#directory, env: { ...process.env, ...env } },
    )
    this.#child = child
    // A test that is cut off leaves no daemon behind.
    const endWithTest = (): void => {
      child.kill('SIGKILL')
    }
    process.once('exit', endWithTest)
    child.once('exit', () => process.off('exit', endWithTest))
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    const lines = createInterface({ input: child.stdout })
    const timeout = AbortSignal.timeout(startTimeoutMs)
    this.#ready = await new Promise<ReadyLine>((resolve, reject) => {
      const fail = (why: string): void => {
        reject(new Error(`the daemon is not ready: ${why}\n${this.stderr}\n${this.#lastLines()}`))
      }
      timeout.addEventListener('abort', () => {
        fail(`waited ${String(startTimeoutMs)} ms`)
      })
      child.once('exit', (code, signal) => {
        fail(`it ended with ${String(code ?? signal)}`)
      })
      lines.on('line', (line) => {
        const entry = JSON.parse(line) as Record<string, unknown>
        this.log.push(entry)
        if (entry['msg'] === 'ready') resolve(entry as unknown as ReadyLine)
      })
    })
    this.#port = Number(new URL(this.#ready.api[0] ?? '').port)
  }

  /** SIGKILL: nothing can be written any more. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM')
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name)
  }

  async close(): Promise<void> {
    await this.kill()
    await rm(this.#directory, { recursive: true, force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    if (child === undefined) return null
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit')
      child.kill(signal)
      await exited
    }
    this.#child = undefined
    return child.exitCode
  }

  #lastLines(): string {
    return this.log
      .slice(-10)
      .map((entry) => JSON.stringify(entry))
      .join('\n')
  }
}
