import { pino, type Logger } from 'pino'
import { PinoPretty } from 'pino-pretty'
import { hasColours } from './terminal.js'

export interface LogSettings {
  readonly level: string
  /** `auto` is `pretty` on a terminal and `json` elsewhere. */
  readonly format: 'auto' | 'json' | 'pretty'
}

/** The log of the daemon on stdout, written at once: a line that matters must not be lost in a crash. */
export function openLog({ level, format }: LogSettings): Logger {
  const isPretty = format === 'pretty' || (format === 'auto' && process.stdout.isTTY)
  if (!isPretty) return pino({ level }, pino.destination({ dest: 1, sync: true }))
  const colorize = hasColours(process.stdout.isTTY, process.env)
  return pino({ level }, PinoPretty({ colorize, sync: true, ignore: 'pid,hostname' }))
}
