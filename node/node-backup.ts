import type { Clock } from '../core/index.js'
import { streamBackup, takeSnapshot, type DataDirectory, type Store } from '../storage/index.js'

export interface BackupOptions {
  readonly directory: DataDirectory
  /** The store that is in use, if any. */
  readonly open: { readonly topic: string; readonly store: Store } | undefined
  readonly withIdentity: boolean
  /** Of the product. */
  readonly version: string
  readonly clock: Clock
}

/** What a data directory has at this moment, to be read at leisure. */
export interface NodeBackup extends AsyncDisposable {
  readonly chunks: AsyncIterable<Uint8Array>
  /** How long writes waited, milliseconds. */
  readonly pauseMs: number
}

/** @throws BackupRunningError and errors of the store */
export async function backUp({ directory, open, withIdentity, version, clock }: BackupOptions): Promise<NodeBackup> {
  const snapshot = await takeSnapshot(directory, open, withIdentity)
  return {
    chunks: streamBackup(snapshot, version, clock.nowMicros()),
    pauseMs: snapshot.about.pauseMs,
    [Symbol.asyncDispose]: () => snapshot[Symbol.asyncDispose](),
  }
}
