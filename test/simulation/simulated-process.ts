/**
 * Makes this process one in which a seed decides everything: timers and the monotonic clock follow virtual time, what
 * Node does in other threads (zlib, signatures, files) is done at once, and LevelDB is a {@link SimulatedDisk}. To be
 * imported before anything that uses these; such a process does nothing else.
 */
import fs from 'node:fs'
import fsPromises from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import timersPromises from 'node:timers/promises'
import { AbortedError } from '../../core/index.js'
import type { VirtualTime } from '../../replication/index.js'
import { replaceCompression, replaceSignatures } from './simulated-work.js'

/** What is used of it, before it is replaced. */
const real = { setTimeout: globalThis.setTimeout, clearTimeout: globalThis.clearTimeout }

let time: VirtualTime | undefined
let bootId = ''

/** From now on timers and the monotonic clock follow this time. */
export function followTime(virtual: VirtualTime): void {
  time = virtual
}

/** What the system says about the boot that is running. */
export function pretendBoot(id: string): void {
  bootId = id
}

/** A timer of the machine: against simulations that never end. @returns what cancels it */
export function afterRealTime(delayMs: number, run: () => void): () => void {
  const timer = real.setTimeout(run, delayMs)
  return () => {
    real.clearTimeout(timer)
  }
}

/** Why a file cannot be written to, if it cannot. */
export type FileFault = (path: string) => Error | undefined

let faultOfFile: FileFault = () => undefined

export function failFiles(fault: FileFault): void {
  faultOfFile = fault
}

/** What Node gives for a timer, as far as it is used. */
class Timer {
  readonly #cancel: () => void

  constructor(cancel: () => void) {
    this.#cancel = cancel
  }

  cancel(): void {
    this.#cancel()
  }

  unref(): this {
    return this
  }

  ref(): this {
    return this
  }
}

function after(delayMs: number, run: () => void): () => void {
  if (time === undefined) throw new Error('no simulation is running')
  return time.after(delayMs, run)
}

function every(delayMs: number, run: () => void): Timer {
  let cancel = (): void => undefined
  const arm = (): void => {
    cancel = after(delayMs, () => {
      arm()
      run()
    })
  }
  arm()
  return new Timer(() => {
    cancel()
  })
}

function clear(timer: unknown): void {
  if (timer instanceof Timer) timer.cancel()
}

function replaceTimers(): void {
  Object.assign(globalThis, {
    setTimeout: (run: () => void, delayMs = 0) => new Timer(after(delayMs, run)),
    setInterval: (run: () => void, delayMs = 0) => every(delayMs, run),
    clearTimeout: clear,
    clearInterval: clear,
  })
  performance.now = () => time?.monotonicMs() ?? 0
  Object.assign(timersPromises, {
    setTimeout: (delayMs: number, value: unknown, { signal }: { signal?: AbortSignal } = {}) =>
      new Promise((resolve, reject) => {
        const cancel = after(delayMs, () => {
          signal?.removeEventListener('abort', abort)
          resolve(value)
        })
        const abort = (): void => {
          cancel()
          reject(new AbortedError('the wait was given up'))
        }
        if (signal?.aborted === true) abort()
        signal?.addEventListener('abort', abort, { once: true })
      }),
  })
}

/** What Node gives for an open file, as far as it is used. */
class OpenFile {
  readonly #path: string
  readonly #file: number

  constructor(path: string, flags: string, mode?: number) {
    this.#path = path
    this.#file = fs.openSync(path, flags, mode)
  }

  async write(bytes: Uint8Array): Promise<{ bytesWritten: number }> {
    this.#check()
    return { bytesWritten: fs.writeSync(this.#file, bytes) }
  }

  async writeFile(content: string | Uint8Array): Promise<void> {
    this.#check()
    fs.writeFileSync(this.#file, content)
  }

  async sync(): Promise<void> {
    this.#check()
  }

  async close(): Promise<void> {
    fs.closeSync(this.#file)
  }

  #check(): void {
    const fault = faultOfFile(this.#path)
    if (fault !== undefined) throw fault
  }
}

const BOOT_ID = '/proc/sys/kernel/random/boot_id'

function replaceFiles(): void {
  const atOnce =
    <Args extends unknown[], Result>(work: (...args: Args) => Result) =>
    async (...args: Args): Promise<Result> =>
      work(...args)
  Object.assign(fsPromises, {
    access: atOnce(fs.accessSync),
    link: atOnce(fs.linkSync),
    mkdir: atOnce(fs.mkdirSync),
    open: async (path: string, flags: string, mode?: number) => new OpenFile(path, flags, mode),
    readdir: atOnce(fs.readdirSync),
    readFile: async (path: string, options?: 'utf8') => (path === BOOT_ID ? bootId : fs.readFileSync(path, options)),
    rename: atOnce(fs.renameSync),
    rm: atOnce(fs.rmSync),
    stat: atOnce(fs.statSync),
    statfs: async (path: string) => ({ bsize: 4096, bavail: faultOfFile(path) === undefined ? 2 ** 20 : 0 }),
    writeFile: atOnce(fs.writeFileSync),
  })
}

replaceTimers()
replaceSignatures()
replaceCompression()
replaceFiles()
syncBuiltinESMExports()
