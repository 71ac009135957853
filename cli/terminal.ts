import type { Writable } from 'node:stream'
import type { Environment } from '../config/index.js'

/** Where a command writes to. */
export interface Output {
  readonly stream: Writable
  /** People read it: tables, progress, colours. */
  readonly isTerminal: boolean
  /** Characters per line, when it is a terminal; its size may change. */
  readonly columns: number
  /** Lines, when it is a terminal. */
  readonly rows: number
}

/** Where a command reads from. */
export interface Input extends AsyncIterable<Uint8Array> {
  /** Only a terminal has it: keys come one by one, and Ctrl-C is one of them. */
  setRawMode?(isRaw: boolean): unknown
}

/** What a command sees of the process that it runs in. */
export interface Terminal {
  readonly stdout: Output
  readonly stderr: Output
  readonly stdin: Input
  readonly env: Environment
  /** Aborted by SIGINT and SIGTERM, and when nobody reads the output any more. */
  readonly signal: AbortSignal
}

/** Writes and waits until there is room again, so that a slow reader slows us down. */
export function write({ stream }: Output, text: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || stream.write(text)) resolve()
    else {
      const done = (): void => {
        stream.off('drain', done)
        stream.off('close', done)
        resolve()
      }
      stream.on('drain', done)
      stream.on('close', done)
    }
  })
}

export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green'

const STYLES: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  yellow: [33, 39],
  green: [32, 39],
}

/** Whether to write colours: FORCE_COLOR says (0 for no), else NO_COLOR forbids them, else they are for terminals. */
export function hasColours(isTerminal: boolean, env: Environment): boolean {
  const forced = env['FORCE_COLOR'] ?? ''
  if (forced !== '') return forced !== '0' && forced !== 'false'
  return isTerminal && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb'
}

/** Colours a text where there are to be colours. */
export function paint({ isTerminal }: Output, env: Environment, style: Style, text: string): string {
  return hasColours(isTerminal, env) ? inColour(style, text) : text
}

export function inColour(style: Style, text: string): string {
  const [on, off] = STYLES[style]
  return `\u001b[${String(on)}m${text}\u001b[${String(off)}m`
}
