import { Type, type TString, type TUnsafe } from '@sinclair/typebox'
import { count, interval, oneOf, path, section, size, textList } from './field.js'
import { decoded, InvalidSettingError } from './setting.js'

/** Names on the way to a value; see `audit.redact`. */
type Redaction = readonly string[]

/** Letters that may stand in the name of a table without quotes. */
const TABLE = /^([A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*$/

/** The section `audit`. */
export const audit = section('What is done to the state, written down apart from it', {
  sink: oneOf(['none', 'stream', 'file', 'http', 'clickhouse'], {
    default: 'none',
    description:
      'Where records go: `stream` is the stream `mr.audit` of the node, which no query shows; `file` is lines of JSON; `http` and `clickhouse` get batches',
  }),
  mode: oneOf(['async', 'intent'], {
    default: 'async',
    description:
      '`async`: the state goes on whatever becomes of the records; `intent`: a change is done only when the record of it is kept',
  }),
  hashChain: Type.Boolean({
    default: false,
    description: 'Has each record name the SHA-256 of the one before it; for sinks that keep their order',
  }),
  redact: redactField(
    'Paths of what is masked before a record leaves the process: names from the top of `operation` on, separated by points; `*` stands for any one, `**` for any number',
  ),
  queue: size({ default: '8MiB', min: '64KiB', max: '1GiB', description: 'Records that wait for the sink' }),
  timeout: interval({
    default: '5s',
    min: '100ms',
    max: '5m',
    description: 'How long a batch may take; with `mode: intent` also how long a change waits for its record',
  }),
  stream: section('For `sink: stream`', {
    maxSize: size({
      default: '256MiB',
      min: '1MiB',
      max: '1024GiB',
      description: 'Stored bytes that are kept at least',
    }),
  }),
  file: section('For `sink: file`', {
    directory: path(
      Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
        default: null,
        description: 'Directory of the files; `audit` in the data directory unless set',
      }),
    ),
    maxSize: size({ default: '64MiB', min: '64KiB', max: '64GiB', description: 'Size at which the next file begins' }),
    maxFiles: count(16, 1, 100_000, 'Files that are kept; older ones are deleted'),
  }),
  http: section('For `sink: http`', {
    url: urlField('Where batches are sent by POST, as lines of JSON'),
    tokenFile: secretFile('File with a token that is sent as `Authorization: Bearer …`; read for each batch'),
  }),
  clickhouse: section('For `sink: clickhouse`', {
    url: urlField('Where ClickHouse answers over HTTP, such as http://localhost:8123'),
    table: decoded(
      Type.String({
        default: 'millrace_audit',
        description: 'Table with the columns `node`, `id`, `at` and `record`, with or without its database',
      }),
      parseTable,
    ),
    user: Type.Union([Type.String({ minLength: 1, pattern: '^[!-~]+$' }), Type.Null()], {
      default: null,
      description: 'User of ClickHouse',
    }),
    passwordFile: secretFile('File with the password; read for each batch'),
  }),
})

function redactField(description: string): TUnsafe<readonly Redaction[]> {
  const list = textList(checkRedaction, { default: ['**.value', '**.payload'], description, maxItems: 1000 })
  return decoded(list, (paths: readonly string[]) => paths.map((text) => text.split('.')))
}

function urlField(description: string): TUnsafe<string | null> {
  return decoded(Type.Union([Type.String(), Type.Null()], { default: null, description }), (text: string | null) =>
    text === null ? null : checkUrl(text),
  )
}

function secretFile(description: string): TUnsafe<string | null> {
  return path(
    Type.Union<[TString, ReturnType<typeof Type.Null>]>([Type.String({ minLength: 1 }), Type.Null()], {
      default: null,
      description,
    }),
  )
}

function checkRedaction(text: string): string {
  const names = text.split('.')
  if (names.includes('')) {
    throw new InvalidSettingError(`'${text.slice(0, 60)}' is no path`, 'names separated by single points: then.*.value')
  }
  if (names.at(-1) === '**' || names.every((name) => name === '*' || name === '**')) {
    throw new InvalidSettingError(`'${text.slice(0, 60)}' would hide what the audit is for`, 'end the path in a name')
  }
  return text
}

function checkUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new InvalidSettingError('this is no URL of http or https', 'such as https://collector.example/audit')
  }
  if (url.username !== '' || url.password !== '') {
    throw new InvalidSettingError(
      'a URL with a password would be shown around',
      'put the secret into a file of its own',
    )
  }
  return text
}

function parseTable(text: string): string {
  if (TABLE.test(text)) return text
  throw new InvalidSettingError(`'${text.slice(0, 60)}' is no name of a table`, 'letters, digits and _: audit.millrace')
}
