import type { Client, LockInfo, StateEntry, StateWrite, Version } from '../../client/index.js'
import type { Call, Command } from '../command.js'
import { CONNECT_OPTIONS, withOperator } from '../connect.js'
import { EXIT } from '../exit-codes.js'
import { exportState } from '../state/export-state.js'
import { importState } from '../state/import-state.js'
import { verifyState } from '../state/verify-state.js'
import { renderTable } from '../table.js'
import { write } from '../terminal.js'
import { formatBytes, formatCount, formatTime } from '../units.js'
import { unknownAction } from '../unknown-action.js'
import { UsageError } from '../usage-error.js'

const ACTIONS = [
  'ls',
  'get',
  'set',
  'delete',
  'watch',
  'locks',
  'info',
  'export',
  'import',
  'verify',
  'compact',
] as const

type Action = (typeof ACTIONS)[number]

export const state: Command = {
  name: 'state',
  summary: 'Read, change and watch the entries of a node, take them elsewhere, check them',
  usage:
    '[FLAGS] ls [PREFIX] | get KEY | set KEY VALUE | delete KEY | watch [PREFIX] | locks [PREFIX] | info | export [PREFIX] | import FILE | verify | compact',
  details: [
    'Entries are the same for everybody at once; each write gives a new version, and --if-version makes it depend on the old one',
    '(0 for an entry that must not be there yet). VALUE is JSON. Over the Unix socket keys are given whole, as ls prints them;',
    'with --app or over the network they are those of an app. Ctrl-C ends watch. locks says who has which lock, and who waits for it.',
    'export writes lines of JSON to stdout, the last one makes them whole. import gives entries new versions and keeps what is left',
    'of their times; what is there already stays, so an import that broke off may be begun anew; --dry-run says what would be lost.',
    'verify looks at every record; with --repair what is damaged is given up. compact gives back room.',
  ].join('\n'),
  examples: [
    'millrace state ls',
    'millrace state get com.example.app/order/4711',
    `millrace state set com.example.app/order/4711 '{"state":"new"}' --if-version 0 --ttl 60000`,
    'millrace state watch com.example.app/order/ -j',
    'millrace state locks com.example.app/',
    'millrace state info',
    'millrace state export > state.ndjson',
    'millrace state import state.ndjson --dry-run',
  ],
  options: {
    'if-version': { type: 'string', value: 'N', help: 'set, delete: only if the entry has this version; 0 is absent' },
    ttl: { type: 'string', value: 'MS', help: 'set: milliseconds to live, or keep' },
    from: { type: 'string', value: 'N', help: 'watch: what follows this revision' },
    kinds: { type: 'string', value: 'LIST', help: 'export: of kv (entries), dedup (idempotency keys); by default all' },
    overwrite: { type: 'boolean', help: 'import: also entries that are there with another value' },
    'dry-run': { type: 'boolean', help: 'import: only say what would be done, and what would be lost' },
    repair: { type: 'boolean', help: 'verify: give up what is damaged, while writes wait' },
    ...CONNECT_OPTIONS,
  },
  jsonHelp: 'print one line of JSON; watch: one for each commit',
  completes: { words: ACTIONS, files: true },
  exits: {
    [EXIT.failure]: 'also: there is no such entry, or it has another version; import: the file is only a part',
    [EXIT.damage]: 'verify: the state is not whole',
  },
  mostArguments: 3,
  run: runState,
}

async function runState(call: Call): Promise<number> {
  const [given, key, value] = call.args
  const action = ACTIONS.find((name) => name === given)
  if (action === undefined) throw unknownAction(given, ACTIONS)
  checkArguments(action, call)
  try {
    return await withOperator(call, (client) => perform(call, client, action, key ?? '', value ?? ''))
  } catch (error) {
    // Ctrl-C is how a watch ends.
    if (action === 'watch' && call.terminal.signal.aborted) return EXIT.ok
    throw error
  }
}

/** Arguments behind the action: least and most. */
const ARGUMENTS: Readonly<Record<Action, readonly [least: number, most: number]>> = {
  ls: [0, 1],
  get: [1, 1],
  set: [2, 2],
  delete: [1, 1],
  watch: [0, 1],
  locks: [0, 1],
  info: [0, 0],
  export: [0, 1],
  import: [1, 1],
  verify: [0, 0],
  compact: [0, 0],
}

const NEEDS: Partial<Readonly<Record<Action, string>>> = { set: 'KEY and VALUE', import: 'FILE, or - for stdin' }

/** Actions that know a flag. */
const FLAGS: Readonly<Record<string, readonly Action[]>> = {
  'if-version': ['set', 'delete'],
  ttl: ['set'],
  from: ['watch'],
  kinds: ['export'],
  overwrite: ['import'],
  'dry-run': ['import'],
  repair: ['verify'],
}

function checkArguments(action: Action, call: Call): void {
  const count = call.args.length - 1
  const [least, most] = ARGUMENTS[action]
  if (count < least) throw new UsageError(`millrace state ${action} needs ${NEEDS[action] ?? 'KEY'}`)
  if (count > most) throw new UsageError(`unexpected argument '${call.args[most + 1] ?? ''}'`)
  for (const [flag, actions] of Object.entries(FLAGS)) {
    const isGiven = state.options[flag]?.type === 'boolean' ? call.flag(flag) : call.text(flag) !== undefined
    if (isGiven && !actions.includes(action)) {
      throw new UsageError(`--${flag} is for ${actions.join(' and ')}`)
    }
  }
}

function perform(call: Call, client: Client, action: Action, key: string, value: string): Promise<number> {
  switch (action) {
    case 'ls':
      return list(call, client, key)
    case 'get':
      return get(call, client, key)
    case 'set':
      return set(call, client, key, value)
    case 'delete':
      return remove(call, client, key)
    case 'watch':
      return watch(call, client, key)
    case 'locks':
      return locks(call, client, key)
    case 'info':
      return info(call, client)
    case 'export':
      return exportState(call, client, key)
    case 'import':
      return importState(call, client, key)
    case 'verify':
      return verifyState(call, client)
    case 'compact':
      return compact(call, client)
  }
}

const COLUMNS = [{ title: 'KEY' }, { title: 'VERSION', right: true }, { title: 'EXPIRES' }, { title: 'VALUE' }]

/** Characters of a value in a table. */
const SHOWN = 80

async function list(call: Call, client: Client, prefix: string): Promise<number> {
  const { stdout, env, signal } = call.terminal
  const entries: StateEntry[] = []
  for await (const entry of client.state.scan(prefix, signal)) entries.push(entry)
  if (call.json) await writeResult(call, { entries: entries.map(plainEntry) })
  else if (entries.length === 0) await write(stdout, 'no entries\n')
  else await write(stdout, renderTable(COLUMNS, entries.map(renderRow), stdout, env))
  return EXIT.ok
}

function renderRow({ key, value, version, expiresAt }: StateEntry): string[] {
  const text = JSON.stringify(value)
  const shown = text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text
  return [printable(key), String(version), expiresAt === undefined ? '-' : formatTime(expiresAt * 1000), shown]
}

/** Keys may hold anything, also what a terminal would act on. */
function printable(key: string): string {
  return key.replace(/\p{Cc}|\p{Cf}/gu, '\u00b7')
}

function plainEntry({ version, ...entry }: StateEntry): object {
  return { ...entry, version: String(version) }
}

async function get(call: Call, client: Client, key: string): Promise<number> {
  const { stdout, stderr, signal } = call.terminal
  const entry = await client.state.get(key, signal)
  if (call.json) await writeResult(call, { entry: entry === undefined ? null : plainEntry(entry) })
  else if (entry === undefined) await write(stderr, `there is no entry ${printable(key)}\n`)
  else await write(stdout, `${JSON.stringify(entry.value)}\n`)
  return entry === undefined ? EXIT.failure : EXIT.ok
}

async function set(call: Call, client: Client, key: string, text: string): Promise<number> {
  const value = parseJson(text)
  const options = { signal: call.terminal.signal, ttl: ttlOf(call) }
  const expected = versionOf(call, 'if-version')
  if (expected === undefined) return told(call, await client.state.set(key, value, options))
  const outcome = await client.state.cas(key, expected, value, options)
  if (outcome.ok) return told(call, outcome.version)
  const found = outcome.current === undefined ? 'is absent' : `has version ${String(outcome.current.version)}`
  return refused(call, key, found)
}

async function told(call: Call, version: Version): Promise<number> {
  if (call.json) await writeResult(call, { version: String(version) })
  else await write(call.terminal.stdout, `version ${String(version)}\n`)
  return EXIT.ok
}

async function refused(call: Call, key: string, found: string): Promise<number> {
  const message = `${printable(key)} ${found}: nothing was changed`
  if (call.json) await write(call.terminal.stdout, `${JSON.stringify({ code: 'ERR_STATE_CONFLICT', message })}\n`)
  else await write(call.terminal.stderr, `${message}\n`)
  return EXIT.failure
}

async function remove(call: Call, client: Client, key: string): Promise<number> {
  const { stdout, stderr, signal } = call.terminal
  const expected = versionOf(call, 'if-version')
  const deleted = await client.state.delete(key, { signal, ...(expected === undefined ? {} : { expected }) })
  if (call.json) await writeResult(call, { deleted })
  else if (deleted) await write(stdout, `deleted ${printable(key)}\n`)
  else {
    const reason = expected === undefined ? 'there is no entry' : 'nothing was deleted: another version, or none, of'
    await write(stderr, `${reason} ${printable(key)}\n`)
  }
  return deleted ? EXIT.ok : EXIT.failure
}

async function watch(call: Call, client: Client, prefix: string): Promise<number> {
  const { stdout, signal } = call.terminal
  for await (const { revision, changes } of client.state.watch(prefix, versionOf(call, 'from'), signal)) {
    const lines = call.json
      ? [JSON.stringify({ revision: String(revision), changes })]
      : changes.map((change) => {
          const what = change.deleted === true ? (change.expired === true ? 'expired' : 'deleted') : '='
          const value = change.deleted === true ? '' : ` ${JSON.stringify(change.value)}`
          return `${String(revision)} ${printable(change.key)} ${what}${value}`
        })
    await write(stdout, `${lines.join('\n')}\n`)
  }
  return EXIT.ok
}

const LOCK_COLUMNS = [
  { title: 'LOCK' },
  { title: 'FENCE', right: true },
  { title: 'MODE' },
  { title: 'OWNER' },
  { title: 'SINCE OR UNTIL' },
]

/** Holders, and below them who waits for them. */
async function locks(call: Call, client: Client, prefix: string): Promise<number> {
  const { stdout, env, signal } = call.terminal
  const found: LockInfo[] = []
  for await (const lock of client.state.lock.list(prefix, signal)) found.push(lock)
  if (call.json) {
    const plain = found.map(({ holders, ...lock }) => ({
      ...lock,
      holders: holders.map((holder) => ({ ...holder, fence: String(holder.fence) })),
    }))
    await writeResult(call, { locks: plain })
  } else if (found.length === 0) await write(stdout, 'no locks\n')
  else await write(stdout, renderTable(LOCK_COLUMNS, found.flatMap(lockRows), stdout, env))
  return EXIT.ok
}

function lockRows({ name, holders, waiters }: LockInfo): string[][] {
  const shown = printable(name)
  return [
    ...holders.map(({ fence, mode, owner, expiresAt }) => [
      ...[shown, String(fence), mode, printable(owner)],
      `until ${formatTime(expiresAt * 1000)}`,
    ]),
    ...waiters.map(({ mode, owner, waitingMs }) => [
      ...[shown, 'waits', mode, printable(owner)],
      `for ${(waitingMs / 1000).toFixed(1)} s`,
    ]),
  ]
}

async function info(call: Call, client: Client): Promise<number> {
  const { revision, entries, bytes, maxBytes, backend, durable, ...rest } = await client.state.info(
    call.terminal.signal,
  )
  if (call.json) {
    await writeResult(call, { backend, durable, ...rest, revision: String(revision), entries, bytes, maxBytes })
    return EXIT.ok
  }
  const lines = [
    `backend   ${backend}${durable ? '' : ', lost when the node ends'}`,
    `events    ${rest.sameCommitAppend ? 'in the commit of their transaction' : 'stored just before the rest of their transaction'}`,
    `revision  ${String(revision)}`,
    `entries   ${formatCount(entries)}`,
    `size      ${formatBytes(bytes)} of ${formatBytes(maxBytes)}`,
  ]
  await write(call.terminal.stdout, `${lines.join('\n')}\n`)
  return EXIT.ok
}

async function compact(call: Call, client: Client): Promise<number> {
  await client.state.compact(call.terminal.signal)
  if (call.json) await writeResult(call, { compacted: true })
  else await write(call.terminal.stdout, 'compacted\n')
  return EXIT.ok
}

function writeResult(call: Call, result: object): Promise<void> {
  return write(call.terminal.stdout, `${JSON.stringify({ code: 'OK', result })}\n`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new UsageError(
      `the value is no JSON: ${text.slice(0, 60)}; a text stands in quotes: '"${text.slice(0, 20)}"'`,
    )
  }
}

function versionOf(call: Call, flag: string): Version | undefined {
  const text = call.text(flag)
  if (text === undefined) return undefined
  if (/^[0-9]{1,16}$/.test(text)) return BigInt(text)
  throw new UsageError(`--${flag} takes a version, not '${text}'`)
}

function ttlOf(call: Call): NonNullable<StateWrite['ttl']> | null {
  const text = call.text('ttl')
  if (text === undefined) return null
  if (text === 'keep') return 'keep'
  if (/^[1-9][0-9]{0,12}$/.test(text)) return { ttlMs: Number(text) }
  throw new UsageError(`--ttl takes milliseconds or keep, not '${text}'`)
}
