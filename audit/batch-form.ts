/** How a batch of records is sent to a server. */
export interface BatchForm {
  readonly contentType: string
  readonly url: string
  readonly body: (lines: readonly string[]) => string
}

/** Lines of JSON, as they are. */
export function ndjsonForm(url: string): BatchForm {
  return { contentType: 'application/x-ndjson', url, body: (lines) => lines.map((line) => `${line}\n`).join('') }
}

/**
 * Rows for a table of ClickHouse with the columns `node`, `id`, `at` (microseconds since 1970) and `record`, the whole record
 * as text.
 *
 * @param url where ClickHouse answers over HTTP
 * @param table checked name of a table, with or without its database
 */
export function clickHouseForm(url: string, table: string): BatchForm {
  const target = new URL(url)
  target.searchParams.set('query', `INSERT INTO ${table} (node, id, at, record) FORMAT JSONEachRow`)
  return {
    contentType: 'application/x-ndjson',
    url: target.href,
    body: (lines) => lines.map((line) => `${rowOf(line)}\n`).join(''),
  }
}

function rowOf(line: string): string {
  const { node, id, at } = JSON.parse(line) as { readonly node: string; readonly id: string; readonly at: number }
  return JSON.stringify({ node, id, at, record: line })
}
