import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordStore, StateBackend } from './backend.js'
import { PostgresTable } from './postgres-table.js'
import { probeTable } from './probe.js'
import type { RecordTable } from './record-table.js'
import { RedisTable } from './redis-table.js'
import { isRefusal, StatePluginMissingError, StateProbeError, StateUnreachableError } from './remote-errors.js'
import { RemoteRecords } from './remote-records.js'

/** A backend that is open, and how it is given back. */
export interface OpenBackend {
  readonly backend: StateBackend
  readonly close: () => Promise<void>
}

/** Which one, and whose records. */
export interface RemoteBackendOptions {
  readonly kind: 'postgres' | 'redis'
  /** May hold a password; appears in no message. */
  readonly url: string
  /** Whose records these are: another one for each node and topic. */
  readonly scope: string
  /** The records of the node's own store, in the commits of its events. */
  readonly local: RecordStore
  /** Microseconds since 1970, of this opening. */
  readonly nowMicros: number
  /** Milliseconds for which a server that is not up yet is waited for; ten seconds unless given. */
  readonly patienceMs?: number
}

/** Milliseconds for one answer, and until a caller is told that there is none. */
const ATTEMPT_MS = 5000
const PATIENCE_MS = 10_000

/** Milliseconds between two attempts to find a server. */
const PAUSE_MS = 200

/**
 * Connects to a backend elsewhere and finds out whether it can keep a state.
 *
 * @throws StatePluginMissingError, StateProbeError, StateUnreachableError, StateTakenOverError; then nothing is left open
 */
export async function openRemoteBackend(options: RemoteBackendOptions): Promise<OpenBackend> {
  const { kind, scope, local, nowMicros } = options
  const probed = await openTable(options, `${scope}/probe`)
  try {
    await probeTable(probed)
  } catch (error) {
    throw told(kind, error)
  } finally {
    await probed.close()
  }
  return remoteBackend(await openTable(options, scope), local, nowMicros)
}

/** A table that was found good as a backend. Takes it over from the process that had it before. */
export async function remoteBackend(table: RecordTable, local: RecordStore, nowMicros: number): Promise<OpenBackend> {
  try {
    const records = await RemoteRecords.open({
      ...{ table, local, attemptMs: ATTEMPT_MS, patienceMs: PATIENCE_MS },
      // Of no opening before: newer commits than those that are found may have been lost in a failover.
      epoch: nowMicros,
    })
    const { name, capabilities } = table
    return { backend: { name, capabilities, records }, close: () => records.close() }
  } catch (error) {
    await table.close()
    throw error
  }
}

/** Node and server may have been switched on together, so one that does not answer yet is asked again. */
async function openTable(options: RemoteBackendOptions, scope: string): Promise<RecordTable> {
  const { kind, url, patienceMs = PATIENCE_MS } = options
  const endMs = performance.now() + patienceMs
  for (;;) {
    try {
      const place = { url, scope, attemptMs: ATTEMPT_MS }
      return kind === 'postgres' ? await PostgresTable.open(place) : await RedisTable.open(place)
    } catch (error) {
      const failure = told(kind, error)
      const mayPass = failure instanceof StateUnreachableError && !isRefusal(error)
      if (!mayPass || performance.now() + PAUSE_MS > endMs) throw failure
      await sleep(PAUSE_MS)
    }
  }
}

/** Errors of drivers as ours. */
function told(kind: string, error: unknown): Error {
  if (error instanceof StatePluginMissingError || error instanceof StateProbeError) return error
  return new StateUnreachableError(kind, error)
}
