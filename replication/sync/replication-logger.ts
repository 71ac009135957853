/** Where replication reports what no caller asked for; pino has this form. */
export interface ReplicationLogger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
