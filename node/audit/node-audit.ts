import { readFile } from 'node:fs/promises'
import {
  AuditLog,
  AuditSinkError,
  clickHouseForm,
  FileSink,
  HttpSink,
  ndjsonForm,
  type AuditCounters,
  type AuditSink,
  type Operation,
  type Outcome,
} from '../../audit/index.js'
import type { AppId, Clock } from '../../core/index.js'
import type { ImportReport, ImportRequest, StateCheck, TxnRequest, TxnResult } from '../../state/index.js'
import type { Store } from '../../storage/index.js'
import type { AuditSettings } from '../daemon-settings.js'
import type { DaemonLogger } from '../log-tail.js'
import { StreamSink } from './audit-stream.js'
import { renderTxnDetail } from './txn-detail.js'

export interface NodeAuditOptions {
  readonly store: Store
  readonly clock: Clock
  readonly logger: DaemonLogger
  readonly settings: AuditSettings
}

/** Writes down what is done to the state of the node, where the settings say so. */
export class NodeAudit implements AsyncDisposable {
  /** `undefined` without a sink. */
  readonly #log: AuditLog | undefined

  constructor(options: NodeAuditOptions) {
    const { store, clock, logger, settings } = options
    const sink = sinkOf(options)
    if (sink === undefined) return
    const { mode, redact, hashChain, queueBytes, timeoutMs } = settings
    this.#log = new AuditLog({
      sink,
      mode,
      redact,
      hashChain,
      queueBytes,
      timeoutMs,
      clock,
      logger,
      node: store.nodeId,
    })
  }

  get counters(): AuditCounters | undefined {
    return this.#log?.counters
  }

  /** @throws AuditUnavailableError; then nothing was done */
  txn(app: AppId | undefined, request: TxnRequest, run: () => Promise<TxnResult>): Promise<TxnResult> {
    if (this.#log === undefined) return run()
    return this.#log.watch({ action: 'state.txn', app, detail: renderTxnDetail(request) }, run, outcomeOf)
  }

  /** @throws as {@link txn} */
  import(request: ImportRequest, run: () => Promise<ImportReport>): Promise<ImportReport> {
    if (this.#log === undefined) return run()
    const { items, overwrites, revision } = request
    const names = items.map(({ kind, name }) => ({ kind, name }))
    const detail = JSON.stringify({ overwrites, revision: String(revision), items: names })
    return this.#log.watch({ action: 'state.import', app: undefined, detail }, run, ({ imported }) => ({ imported }))
  }

  /** @throws as {@link txn} */
  repair(run: () => Promise<StateCheck>): Promise<StateCheck> {
    if (this.#log === undefined) return run()
    return this.#log.watch({ action: 'state.repair', app: undefined, detail: '{}' }, run, ({ faults }) => ({
      faults: faults.length,
    }))
  }

  /**
   * Something else that is done to the state.
   *
   * @throws AuditUnavailableError; then nothing was done
   */
  act<R>(operation: Operation, run: () => Promise<R>, outcomeOf: (result: R) => Outcome): Promise<R> {
    return this.#log === undefined ? run() : this.#log.watch(operation, run, outcomeOf)
  }

  /** Waits for what is queued, as long as a batch may take. Idempotent. */
  async close(): Promise<void> {
    await this.#log?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

function outcomeOf({ succeeded, revision, appended }: TxnResult): Outcome {
  return { succeeded, revision: String(revision), appended: appended.length }
}

function sinkOf({ store, clock, settings }: NodeAuditOptions): AuditSink | undefined {
  const { sink, file, http, clickhouse } = settings
  switch (sink) {
    case 'none':
      return undefined
    case 'stream':
      return new StreamSink(store, clock)
    case 'file':
      return new FileSink(file)
    case 'http':
      return new HttpSink({ name: sink, form: ndjsonForm(http.url ?? ''), headers: () => httpHeaders(http) })
    case 'clickhouse': {
      const { url = '', table } = clickhouse
      return new HttpSink({
        name: sink,
        form: clickHouseForm(url, table),
        headers: () => clickHouseHeaders(clickhouse),
      })
    }
  }
}

async function httpHeaders({ tokenFile }: AuditSettings['http']): Promise<Record<string, string>> {
  return tokenFile === undefined ? {} : { authorization: `Bearer ${await readSecret(tokenFile)}` }
}

async function clickHouseHeaders({ user, passwordFile }: AuditSettings['clickhouse']): Promise<Record<string, string>> {
  return {
    ...(user === undefined ? {} : { 'x-clickhouse-user': user }),
    ...(passwordFile === undefined ? {} : { 'x-clickhouse-key': await readSecret(passwordFile) }),
  }
}

async function readSecret(path: string): Promise<string> {
  const text = (await readFile(path, 'utf8')).trim()
  // What a header cannot carry would be repeated in the error that says so.
  if (!/^[!-~]+$/.test(text)) throw new AuditSinkError(`the file ${path} holds no secret of plain characters`)
  return text
}
