/** Where the state reports what no caller asked for; pino has this form. */
export interface StateLogger {
  warn(fields: object, message: string): void
}
