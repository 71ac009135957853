import type { Clock } from '../core/index.js'

/** What the daemon writes to the log; pino fits. */
export interface DaemonLogger {
  debug(details: object, message: string): void
  info(details: object, message: string): void
  warn(details: object, message: string): void
  error(details: object, message: string): void
  /** Whether lines of this level are written; without it all are. */
  isLevelEnabled?(level: string): boolean
}

/** Entries that are kept, and characters of each one's details. */
const MAX_ENTRIES = 1000
const MAX_DETAILS = 4096

const MAX_MESSAGE = 1000

/** Members whose values are never shown. */
const SECRET_NAME = /key|token|secret|password|authorization/i

/** Tokens inside of texts. */
const SECRET_TEXT = /(Bearer\s+|access_token=)[^\s&"']+/gi

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

/** One line of the log. */
export interface LogEntry {
  /** Counted from 1 since the start. */
  readonly number: number
  /** Microseconds since 1970. */
  readonly time: number
  readonly level: LogLevel
  readonly message: string
  /** A plain JSON object. */
  readonly details: Readonly<Record<string, unknown>>
}

/** The last lines of the log, without secrets, for those who cannot look at the machine's own. */
export class LogTail implements DaemonLogger {
  readonly #log: DaemonLogger
  readonly #clock: Clock
  readonly #entries: LogEntry[] = []
  #last = 0

  /** @param log gets everything as it is */
  constructor(log: DaemonLogger, clock: Clock) {
    this.#log = log
    this.#clock = clock
  }

  debug(details: object, message: string): void {
    this.#keep('debug', details, message)
    this.#log.debug(details, message)
  }

  info(details: object, message: string): void {
    this.#keep('info', details, message)
    this.#log.info(details, message)
  }

  warn(details: object, message: string): void {
    this.#keep('warn', details, message)
    this.#log.warn(details, message)
  }

  error(details: object, message: string): void {
    this.#keep('error', details, message)
    this.#log.error(details, message)
  }

  /** The newest entries, oldest first, at most `limit`, of this level and above, behind the entry `after`. */
  entries(level: LogLevel, after: number, limit: number): readonly LogEntry[] {
    const least = LOG_LEVELS.indexOf(level)
    return this.#entries
      .filter((entry) => entry.number > after && LOG_LEVELS.indexOf(entry.level) >= least)
      .slice(-limit)
  }

  /** What the log itself leaves out is left out here. */
  #keep(level: LogLevel, details: object, message: string): void {
    if (this.#log.isLevelEnabled?.(level) === false) return
    this.#last += 1
    this.#entries.push({
      number: this.#last,
      time: this.#clock.nowMicros(),
      level,
      message: withoutTokens(message.slice(0, MAX_MESSAGE)),
      details: plain(details),
    })
    if (this.#entries.length > MAX_ENTRIES) this.#entries.shift()
  }
}

/** A copy without secrets that fits; what was logged may change later. */
function plain(details: object): Readonly<Record<string, unknown>> {
  try {
    const text = JSON.stringify(details, showable)
    if (text.length > MAX_DETAILS) return { cut: text.slice(0, MAX_DETAILS) }
    return JSON.parse(text) as Record<string, unknown>
  } catch (error) {
    return { notShown: error instanceof Error ? error.message : String(error) }
  }
}

function showable(name: string, value: unknown): unknown {
  if (SECRET_NAME.test(name)) return 'not shown'
  if (typeof value === 'string') return withoutTokens(value)
  if (typeof value === 'bigint') return String(value)
  if (!(value instanceof Error)) return value
  const { name: type, message, stack } = value
  return { type, ...('code' in value ? { code: value.code } : {}), message, stack }
}

function withoutTokens(text: string): string {
  return text.replace(SECRET_TEXT, '$1not shown')
}
