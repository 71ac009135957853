import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Ajv } from 'ajv'
import fc from 'fast-check'
import { format, resolveConfig } from 'prettier'
import t from 'tap'
import { DEFAULT_AQL_LIMITS } from '../../aql/index.js'
import {
  checkConfigText,
  ConfigError,
  configurationReference,
  ConfigUnreadableError,
  exampleConfig,
  loadSettings,
  settingsJsonSchema,
  variableOf,
  type LoadRequest,
} from '../../config/index.js'
import { nearestWord } from '../../core/index.js'
import { parse } from 'yaml'

const load = (request: Partial<LoadRequest>) => loadSettings({ env: {}, flags: {}, ...request })

function problemsOf(request: Partial<LoadRequest>): readonly string[] {
  try {
    load(request)
    return []
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map((p) => `${p.source}:${p.line}:${p.column}: ${p.reason}`)
  }
}

t.test('flags beat the environment, that the file, that the defaults', async (t) => {
  const folder = t.testdir({
    'node.yml':
      'data: events\napi: { listen: "1.1.1.1:1", socket: s }\nlog: { level: warn }\nstorage: { cache: 1MiB }\n',
  })
  const file = join(folder, 'node.yml')
  const env = {
    MILLRACE_API_LISTEN: '2.2.2.2:2',
    MILLRACE_LOG_LEVEL: 'debug',
    PATH: '/bin',
    MILLRACE_CONFIG: 'x',
    MILLRACE_DATA: '',
  }
  const { settings, sources, warnings } = load({ file, env, flags: { api: '[::]:3' } })
  t.same(settings.api.listen, [{ host: '::', port: 3 }])
  t.equal(settings.log.level, 'debug')
  t.equal(settings.storage.cacheBytes, 1024 ** 2)
  t.equal(settings.storage.pruneIntervalMs, 60_000)
  t.equal(settings.dataDirectory, join(folder, 'events'), 'paths in the file start at its folder')
  t.equal(settings.api.socket, join(folder, 's'))
  t.same(warnings, [])
  t.same(sources.get('api.listen'), { kind: 'flag', flag: '--api' })
  t.same(sources.get('log.level'), { kind: 'environment', variable: 'MILLRACE_LOG_LEVEL' })
  t.same(sources.get('storage.cache'), { kind: 'file', file, line: 4 })
  t.same(sources.get('storage.sync'), { kind: 'default' })
  t.equal(load({ env: { MILLRACE_DATA: 'd' } }).settings.dataDirectory, resolve('d'), 'others at the working directory')
  t.equal(
    load({ flags: { data: '/a/b' } }).settings.api.socket,
    '/a/b/api.sock',
    'the socket lies in the data directory',
  )
})

t.test('environment variables hold YAML, or bare text where text is meant', async (t) => {
  const env = {
    MILLRACE_STORAGE_BLOCK_MAX_EVENTS: '5',
    MILLRACE_STORAGE_SYNC: '{interval: 100}',
    MILLRACE_API_LISTEN: '[::1]:80',
    MILLRACE_ADMIN_DISPLAY_NAME: '007',
    MILLRACE_API_APPS: '[com.acme.*, com.x]',
    MILLRACE_STORAGE_CACHE: '4MiB',
    MILLRACE_STORAGE_BLOCK_MAX_BYTES: '4096',
    MILLRACE_API_SOCKET: 'null',
  }
  const { settings } = load({ env, flags: { data: '/d' } })
  t.same(settings.storage.block, { maxEvents: 5, maxBytes: 4096 })
  t.same(settings.storage.sync, { intervalMs: 100 })
  t.same(settings.api.listen, [{ host: '::1', port: 80 }])
  t.equal(settings.displayName, '007')
  t.same(settings.api.access.apps, ['com.acme.*', 'com.x'])
  t.equal(settings.api.socket, '/d/api.sock')
  t.same(load({ env: { MILLRACE_API_LISTEN: '["a:1", "b:2"]' } }).settings.api.listen, [
    { host: 'a', port: 1 },
    { host: 'b', port: 2 },
  ])
  t.equal(variableOf(['storage', 'block', 'maxEvents']), 'MILLRACE_STORAGE_BLOCK_MAX_EVENTS')
})

t.test('a variable that looks like a setting and is none is an error, another one a warning', async (t) => {
  t.match(problemsOf({ env: { MILLRACE_STORAGE_BLOK_MAX_EVENTS: '5' } }), [
    /^MILLRACE_STORAGE_BLOK_MAX_EVENTS:1:1: there is no/,
  ])
  t.match(problemsOf({ env: { MILLRACE_DTAA: 'x' } }), [/there is no setting/])
  t.match(problemsOf({ env: { MILLRACE_LOG: '{}' } }), [/there is no setting/])
  t.match(problemsOf({ env: { MILLRACE_EVENT_ROUTING_STREAMS: '{}' } }), [/can be set only in the file/])
  t.match(problemsOf({ env: { MILLRACE_STORAGE_SYNC: 'alwyas', MILLRACE_LOG_LEVEL: '[' }, flags: { api: '1' } }), [
    /_SYNC:1:1/,
    /_LEVEL:1:1/,
    /^--api:1:1/,
  ])
  t.match(load({ env: { MILLRACE_RELEASE_SCRIPT: 'x' } }).warnings, [{ source: 'MILLRACE_RELEASE_SCRIPT' }])
})

t.test('errors of file, environment and flags come together', async (t) => {
  const file = join(t.testdir({ 'a.yml': 'x: 1\nlog: { level: 5 }\n' }), 'a.yml')
  t.match(problemsOf({ file, env: { MILLRACE_DATA: '""' }, flags: { socket: '' } }), [
    /a.yml:1:1: unknown key/,
    /a.yml:2:15: expected 'silent'/,
    /^MILLRACE_DATA:1:1: empty text/,
    /^--socket:1:1: empty text/,
  ])
})

t.test('requests that could never be let in are refused', async (t) => {
  t.match(problemsOf({ env: { MILLRACE_API_LIMITS_MEMORY: '100MiB' } }), [
    /^MILLRACE_API_LIMITS_MEMORY:1:1: .*never be let in/,
  ])
  t.match(problemsOf({ env: { MILLRACE_API_LIMITS_BODY: '1GiB' } }), [/^MILLRACE_API_LIMITS_BODY:1:1/])
  t.same(problemsOf({ env: { MILLRACE_API_LIMITS_MEMORY: '128MiB' } }), [])
})

t.test('queries have the limits that aql would take by itself', async (t) => {
  t.same(load({}).settings.query, DEFAULT_AQL_LIMITS)
})

t.test('a file that cannot be read is an error of its own', async (t) => {
  const folder = t.testdir({ latin: '' })
  writeFileSync(join(folder, 'latin'), Buffer.from([0x61, 0x3a, 0x20, 0xe9]))
  for (const [file, message] of [
    ['missing', /no such file/],
    ['.', /directory/],
    ['latin', /not UTF-8/],
  ] as const) {
    t.throws(() => load({ file: join(folder, file) }), { code: 'ERR_CONFIG_UNREADABLE', message }, file)
  }
  t.ok(new ConfigUnreadableError('x') instanceof Error)
})

t.test('the schema accepts what the daemon accepts, and the example is valid', async (t) => {
  const schema = settingsJsonSchema()
  const validate = new Ajv({
    strict: true,
    strictRequired: false,
    allowUnionTypes: true,
    validateSchema: true,
  }).compile(schema)
  t.equal(schema['$schema'], 'http://json-schema.org/draft-07/schema#')
  const accepted = [
    exampleConfig(),
    '{}',
    'api:\nlog:\neventRouting:\n  routes:\n  streams:\n',
    'eventRouting: { routes: [{ from: allEvents }, { into: b }], streams: { b: { maxAge: 1s, maxSize: 1B, maxEvents: 0, maxBlockAge: null } } }',
    'swarm: { topic: a, key: null, listen: [], peers: [/ip4/1.2.3.4/tcp/1], mdns: false, headsInterval: 1s }',
    'replication: { streams: [a, { node: GyK6EYZ2NJmKtJvE.6pKtJvEGyK6EYZ2NJmKtJvEGyI }], keep: { "*": { maxAge: 1s } } }',
    'swarm:\nreplication:\n  keep:\n  streams:\n',
    'storage: { sync: { interval: 5 }, block: { maxBytes: 5 }, cache: 5MiB }\napi: { listen: ["a:1"], socket: null }',
  ]
  const refused = [
    'x: 1',
    'log: { level: no }',
    'storage: { sync: {} }',
    'eventRouting: { streams: { a: null } }',
    'eventRouting: { streams: { a: { maxAge: 10 } } }',
    'eventRouting: { streams: { a.b: {} } }',
    'eventRouting: { routes: [{}] }',
    'eventRouting: { streams: { a: { maxEvents: 1.5 } } }',
    'admin: { displayName: "" }',
    'swarm: { mdns: 1 }',
    'replication: { keep: { "**": {} } }',
    'replication: { keep: { a: { maxBlockAge: 1s } } }',
    'replication: { streams: [{}] }',
  ]
  for (const text of accepted) {
    t.ok(validate(parse(text)), `${text.slice(0, 60)}: ${JSON.stringify(validate.errors)}`)
    t.same(checkConfigText(text, 'x.yml').problems, [])
  }
  for (const text of refused) {
    t.notOk(validate(parse(text)), text)
    t.ok(checkConfigText(text, 'x.yml').problems.length > 0)
  }
  const example = checkConfigText(exampleConfig(), 'x.yml')
  t.same(example.warnings, [])
  t.match(exampleConfig(), /^# yaml-language-server: \$schema=\S+\n/)
})

t.test('reference, example and schema in the repository are those of the code', async (t) => {
  const made = {
    'docs/configuration.md': configurationReference(),
    'examples/millrace.yml': exampleConfig(),
    'examples/millrace.schema.json': JSON.stringify(settingsJsonSchema()),
  }
  for (const [path, text] of Object.entries(made)) {
    const options = await resolveConfig(path)
    t.equal(
      readFileSync(path, 'utf8'),
      await format(text, { ...options, filepath: path }),
      `${path}: run npm run build && node scripts/generate-config-docs.mjs`,
    )
  }
})

t.test('a misspelt word is taken for the nearest one, never for a far one', async (t) => {
  t.equal(nearestWord('maxAeg', ['maxSize', 'maxAge']), 'maxAge')
  t.equal(nearestWord('xyz', ['maxSize', 'maxAge']), undefined)
  t.equal(nearestWord('MAXAGE', ['maxAge']), 'maxAge')
  t.equal(nearestWord('x'.repeat(1000), ['x'.repeat(1000)]), undefined)
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z]{6,20}$/), fc.nat(19), fc.constantFrom('-', ''), (word, at, by) => {
      const index = at % word.length
      return nearestWord(word.slice(0, index) + by + word.slice(index + 1), [word]) === word
    }),
  )
})
