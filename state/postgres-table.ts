import type * as Postgres from 'pg'
import type { RecordRange } from './backend.js'
import { loadPlugin, type Plugin } from './plugin.js'
import { REMOTE_CAPABILITIES, type RecordTable, type TableCommit } from './record-table.js'
import { StateProbeError } from './remote-errors.js'

/** Where the records of a node are. */
export interface PostgresOptions {
  /** `postgres://user:password@host:port/database`, with the parameters of libpq. */
  readonly url: string
  /** Whose records these are; several nodes share the tables. */
  readonly scope: string
  /** Milliseconds for a connection, and for an answer. */
  readonly attemptMs: number
}

const PLUGIN: Plugin<typeof Postgres> = {
  backend: 'postgres',
  packageName: 'pg',
  range: '8',
  load: () => import('pg'),
}

/** Reads go beside each other; commits never do. */
const CONNECTIONS = 4

/** For the two tables; the lock keeps nodes that start at once from making them twice. */
const CREATE = `
  SELECT pg_advisory_xact_lock(7310295541);
  CREATE TABLE IF NOT EXISTS millrace_state_scopes (scope text PRIMARY KEY, mark text NOT NULL);
  CREATE TABLE IF NOT EXISTS millrace_state_records (
    scope text NOT NULL, key bytea NOT NULL, content bytea NOT NULL, PRIMARY KEY (scope, key)
  )`

/** One statement, and so one transaction: without its turn none of its parts does anything. */
const COMMIT = `
  WITH turn AS (
    UPDATE millrace_state_scopes SET mark = $3 WHERE scope = $1 AND mark = $2 RETURNING 1
  ), gone AS (
    DELETE FROM millrace_state_records WHERE scope = $1 AND key = ANY($4::bytea[]) AND EXISTS (SELECT 1 FROM turn)
  ), put AS (
    INSERT INTO millrace_state_records (scope, key, content)
      SELECT $1, key, content FROM unnest($5::bytea[], $6::bytea[]) AS written (key, content)
      WHERE EXISTS (SELECT 1 FROM turn)
      ON CONFLICT (scope, key) DO UPDATE SET content = EXCLUDED.content
  )
  SELECT count(*)::int AS done FROM turn`

const READ = 'SELECT key, content FROM millrace_state_records WHERE scope = $1 AND key = ANY($2::bytea[])'

/** Records in PostgreSQL: linearizable on the primary, and durable as its `fsync` is. */
export class PostgresTable implements RecordTable {
  readonly name = 'postgres'
  readonly capabilities = REMOTE_CAPABILITIES
  readonly #pool: Postgres.Pool
  readonly #scope: string
  #closed: Promise<void> | undefined

  private constructor(pool: Postgres.Pool, scope: string) {
    this.#pool = pool
    this.#scope = scope
  }

  /** @throws StatePluginMissingError, StateProbeError when the server does not keep what it acknowledges, errors of the driver */
  static async open({ url, scope, attemptMs }: PostgresOptions): Promise<PostgresTable> {
    const { default: pg } = await loadPlugin(PLUGIN)
    const pool = new pg.Pool({
      connectionString: url,
      max: CONNECTIONS,
      connectionTimeoutMillis: attemptMs,
      query_timeout: attemptMs,
      statement_timeout: attemptMs,
      keepAlive: true,
      application_name: 'millrace',
    })
    // Connections that break while nobody uses them; the next query makes a new one.
    pool.on('error', () => undefined)
    // Before anything else on this connection, as queries of a connection are done in order.
    pool.on('connect', (client) => {
      client
        .query('SET synchronous_commit = on; SET default_transaction_isolation = "read committed"')
        .catch(() => undefined)
    })
    const table = new PostgresTable(pool, scope)
    try {
      await table.#prepare()
      return table
    } catch (error) {
      await table.close()
      throw error
    }
  }

  async mark(): Promise<string> {
    const { rows } = await this.#pool.query<{ mark: string }>(
      'SELECT mark FROM millrace_state_scopes WHERE scope = $1',
      [this.#scope],
    )
    return rows[0]?.mark ?? ''
  }

  async read(keys: readonly Buffer[]): Promise<(Buffer | undefined)[]> {
    const { rows } = await this.#pool.query<Row>(READ, [this.#scope, keys])
    const contents = new Map(rows.map(({ key, content }) => [key.toString('latin1'), content]))
    return keys.map((key) => contents.get(key.toString('latin1')))
  }

  async page({ gte, gt, lt, limit }: RecordRange): Promise<[Buffer, Buffer][]> {
    const values: unknown[] = [this.#scope, limit, gt ?? gte ?? Buffer.alloc(0)]
    if (lt !== undefined) values.push(lt)
    const { rows } = await this.#pool.query<Row>(
      `SELECT key, content FROM millrace_state_records WHERE scope = $1 AND key ${gt === undefined ? '>=' : '>'} $3
         ${lt === undefined ? '' : 'AND key < $4'} ORDER BY key LIMIT $2`,
      values,
    )
    return rows.map(({ key, content }) => [key, content])
  }

  async commit({ after, mark, writes }: TableCommit): Promise<boolean> {
    const gone = writes.flatMap(({ key, content }) => (content === undefined ? [key] : []))
    const put = writes.flatMap(({ key, content }) => (content === undefined ? [] : [{ key, content }]))
    const { rows } = await this.#pool.query<{ done: number }>(COMMIT, [
      this.#scope,
      after,
      mark,
      gone,
      put.map(({ key }) => key),
      put.map(({ content }) => content),
    ])
    return rows[0]?.done === 1 || (await this.mark()) === mark
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#pool.end())
  }

  async #prepare(): Promise<void> {
    const { rows } = await this.#pool.query<Server>(
      `SELECT pg_is_in_recovery() AS standby, current_setting('fsync') AS fsync,
         current_setting('full_page_writes') AS pages, to_regclass('millrace_state_records') IS NOT NULL AS ready`,
    )
    const [server] = rows
    if (server?.standby === true) throw this.#refusal('atomicCas', 'the server is a standby, which takes no commits')
    if (server?.fsync !== 'on' || server.pages !== 'on') {
      throw this.#refusal('durableAck', 'fsync or full_page_writes is off, so a power cut loses what was acknowledged')
    }
    // Who may not create tables can have them created by somebody else.
    if (!server.ready) await this.#pool.query(CREATE)
    await this.#pool.query(
      `INSERT INTO millrace_state_scopes (scope, mark) VALUES ($1, '') ON CONFLICT (scope) DO NOTHING`,
      [this.#scope],
    )
  }

  #refusal(probe: string, found: string): StateProbeError {
    return new StateProbeError(this.name, probe, found)
  }
}

interface Row {
  readonly key: Buffer
  readonly content: Buffer
}

interface Server {
  readonly standby: boolean
  readonly fsync: string
  readonly pages: string
  readonly ready: boolean
}
