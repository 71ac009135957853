import type { Terminal } from './terminal.js'

/** One flag of a command. */
export interface Option {
  readonly type: 'string' | 'boolean'
  readonly short?: string
  readonly multiple?: boolean
  /** Name of the value in the help, such as `FILE`. */
  readonly value?: string
  readonly help: string
}

export type Options = Readonly<Record<string, Option>>

/** A command of `millrace`. */
export interface Command {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** What follows the name: `[FLAGS] QUERY`. */
  readonly usage: string
  readonly details?: string
  readonly examples: readonly string[]
  readonly options: Options
  /** The sentence for `-j` in the help, where it is more than "one line of JSON". */
  readonly jsonHelp?: string
  /** What shells offer behind it: words, files, or nothing. */
  readonly completes?: { readonly words?: readonly string[]; readonly files?: boolean }
  /** Exit codes that it has besides those of all commands, and what each means. */
  readonly exits?: Readonly<Record<number, string>>
  /** Most positional arguments that it takes. */
  readonly mostArguments: number
  /** @returns the exit code; 0 when there is none */
  run(call: Call): Promise<number | undefined>
}

/** The arguments of one call, understood. */
export interface Call {
  readonly terminal: Terminal
  readonly args: readonly string[]
  /** Whether `-j` asks for JSON. */
  readonly json: boolean
  text(option: string): string | undefined
  flag(option: string): boolean
  /** All values of a flag that may stand several times. */
  list(option: string): readonly string[]
}
