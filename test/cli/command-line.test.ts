import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { exampleConfig } from '../../config/index.js'
import { runMillrace } from '../support/run-millrace.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const millrace = (argv: readonly string[], input = '', env: Record<string, string> = {}) =>
  runMillrace(argv, { input, env })

const NAMES = [
  'run',
  'publish',
  'query',
  'tail',
  'streams',
  'offsets',
  'route',
  'peers',
  'topics',
  'identity',
  'swarm',
  'config',
]

t.test('help and version are to be had in every way', async (t) => {
  for (const argv of [['--help'], ['-h'], ['help']]) {
    const { code, out } = await millrace(argv)
    t.equal(code, 0)
    for (const name of NAMES) t.match(out, new RegExp(`^  ${name} `, 'm'), `${argv.join(' ')} names ${name}`)
  }
  for (const name of NAMES) {
    const { code, out } = await millrace([name, '--help'])
    t.equal(code, 0)
    t.match(out, new RegExp(`^usage: millrace ${name} `), `${name} has help`)
    t.match(out, /^examples:$/m, `${name} has examples`)
    t.match(out, /-j, --json/, `${name} has -j`)
    t.equal((await millrace(['help', name])).out, out)
  }
  t.match((await millrace(['--version'])).out, /^\d+\.\d+\.\d+/)
  t.match(await millrace([]), { code: 2, out: '', err: /usage: millrace/ })
})

t.test('wrong usage ends with 2 and says what was meant', async (t) => {
  const cases: [string[], RegExp][] = [
    [['qurey'], /unknown command 'qurey'; did you mean 'query'\?/],
    [['frobnicate'], /there are run, init, publish/],
    [['--hlep'], /unknown flag '--hlep'/],
    [['help', 'tial'], /did you mean 'tail'\?/],
    [['run', '--dta', 'x'], /unknown flag --dta; did you mean --data\?/],
    [['run', 'extra'], /unexpected argument 'extra'/],
    [['run', '--data'], /--data/],
    [['publish', '-t', 'x', '-5'], /-5/],
    [['publish', '-t', '', '1'], /a tag cannot be empty/],
    [['publish', 'hello'], /not JSON.*'"hello"'/],
    [['publish', '1', '-f', 'x'], /exclude each other/],
    [['publish', '1', '--resume', 'x'], /--resume is for files/],
    [['publish', '-f', 'x', '--batch', '0'], /--batch takes a whole number/],
    [['publish', '-f', 'x', '--tags-from', 'a{b'], /brace without its partner/],
    [['publish', '-f', 'x', '--tags-from', 'a{}'], /without a field/],
    [['publish', '-f', 'x', '--tags-from', 'a,,b'], /empty field/],
    [['query'], /which query/],
    [['query', '--order', 'up', 'FROM allEvents'], /unknown order 'up'/],
    [['query', '--node', 'ftp://x', 'FROM allEvents'], /no address of a node/],
    [['query', '--node', 'x:1', '--socket', 'y', 'FROM allEvents'], /exclude each other/],
    [['tail', '--lines', 'x'], /--lines takes a number/],
    [['tail', '--lines', '5', '--all'], /exclude each other/],
    [['config'], /expected check, schema or example/],
    [['config', 'chekc'], /not 'chekc'/],
    [['config', 'check'], /which file/],
    [['config', 'schema', 'x'], /unexpected argument 'x'/],
  ]
  for (const [argv, message] of cases) {
    const { code, out, err } = await millrace(argv)
    t.equal(code, 2, argv.join(' '))
    t.match(err, message, argv.join(' '))
    t.equal(out, '')
  }
  const missing = await millrace(['publish', '-f', join(t.testdir(), 'none')])
  t.match(missing, { code: 1, err: /cannot read .*ENOENT/ }, 'a file that is not there is a failure')
  const { code, out, err } = await millrace(['qurey', '-j'])
  t.match(JSON.parse(out), { code: 'ERR_USAGE', message: /did you mean/ }, 'with -j the error is JSON')
  t.equal(code, 2)
  t.equal(err, '')
})

t.test('a configuration is checked as a whole', async (t) => {
  const folder = t.testdir({ 'good.yml': exampleConfig(), 'bad.yml': 'api: { lisen: 1 }\nlog: { level: x }\n' })
  const bad = join(folder, 'bad.yml')
  const refused = await millrace(['config', 'check', bad])
  t.equal(refused.code, 78)
  t.match(refused.err, `${bad}:1:8: unknown key 'lisen'`)
  t.match(refused.err, `${bad}:2:15: expected 'silent'`)
  t.match(refused.err, /did you mean 'listen'\?/)
  t.match(refused.err, /2 errors in /)
  const json = await millrace(['config', 'check', '-j', bad])
  t.equal(json.code, 78)
  t.match(JSON.parse(json.out), { code: 'ERR_CONFIG_INVALID', problems: [{ line: 1 }, { line: 2 }] })
  const good = join(folder, 'good.yml')
  t.match(await millrace(['config', 'check', good]), { code: 0, out: /is fine: 2 routes, 2 streams/ })
  t.match(await millrace(['config', 'check', '-'], 'a: 1\n'), { code: 78, err: /stdin:1:1: unknown key 'a'/ })
  const unfed = await millrace(['config', 'check', '-j', '-'], 'eventRouting: { streams: { x: {} } }')
  t.match(unfed, { code: 0, out: /no route leads/ })
  const none = await millrace(['config', 'check', join(folder, 'none')])
  t.match(none, { code: 78, err: /no such file.*ERR_CONFIG_UNREADABLE/ })
  t.match(await millrace(['run', '--config', bad]), { code: 78, err: /unknown key 'lisen'/ })
  const env = { MILLRACE_LOG_LEVEL: 'x' }
  t.match(await millrace(['run'], '', env), { code: 78, err: /^millrace: .*\nMILLRACE_LOG_LEVEL:1:1/ })
  t.equal((await millrace(['config', 'example'])).out, exampleConfig())
  const schema = await millrace(['config', 'schema'])
  t.equal(JSON.parse(schema.out).$schema, 'http://json-schema.org/draft-07/schema#')
})

t.test('route tells the stream and the reason without a node', async (t) => {
  const file = join(t.testdir(), 'm.yml')
  writeFileSync(
    file,
    `eventRouting:
  routes:
    - { from: "'a' & 'b'", into: both }
    - { from: "'a' | appId(com.example.x)", into: one }
    - { from: "'b'", into: default }
  streams: { both: { maxAge: 14d, maxSize: 700MB, maxEvents: 9, maxBlockAge: 1h } }
`,
  )
  const route = async (...argv: string[]) =>
    JSON.parse((await millrace(['route', '-j', '-c', file, ...argv])).out).result
  t.match(await route('-t', 'a', '-t', 'b'), { stream: 'both', route: 0 })
  const routes = [{ matches: false }, { matches: true }, { matches: false }]
  t.match(await route('a'), { stream: 'one', route: 1, routes })
  t.match(await route('--app', 'com.example.x'), { stream: 'one', route: 1, tags: [] })
  t.match(await route('b'), { stream: 'default', route: 2 })
  t.match(await route('c'), { stream: 'default', route: null })
  t.match(await route('a\u0308', 'b'), { tags: ['b', '\u00e4'] }, 'tags are compared in their composed form')
  const { out } = await millrace(['route', '-c', file, 'a', 'b'])
  t.match(out, /^stream both: route 1 is the first that matches$/m)
  t.match(out, /2\. .* would match, but a route before it decides/)
  t.match(out, /^limits: 9 events, 700MB, 2w, blocks 1h$/m)
  t.match(await millrace(['route', '-c', file, '--app', 'Bad']), { code: 1, err: /Invalid appId/ })
  t.match(await millrace(['route', '-c', file, '']), { code: 1, err: /empty tag/ })
})

t.test('route falls back to the configuration when no node answers, and says so', async (t) => {
  const folder = temporaryDirectory(t)
  const file = join(folder, 'm.yml')
  writeFileSync(file, `eventRouting: { routes: [{ from: "'a'", into: b }] }\n`)
  const argv = ['route', '--data', folder, 'a']
  t.match(await millrace(argv), { code: 0, out: /^stream default: /, err: /^no node answers; .* of the defaults$/m })
  const named = await millrace([...argv, '-j'], '', { MILLRACE_CONFIG: file })
  t.match(JSON.parse(named.out), { result: { stream: 'b', source: file } })
  t.match(await millrace(['route', '-c', file, '-n', '127.0.0.1:1', 'a']), { code: 2, err: /exclude/ })
  t.match(await millrace(['route', '--socket', join(folder, 'none'), 'a']), { code: 1, err: /is the node running/ })
})

t.test('a node that is not there is a failure with a hint', async (t) => {
  const folder = temporaryDirectory(t)
  for (const argv of [['offsets'], ['streams'], ['query', 'FROM allEvents'], ['tail'], ['publish', '1']]) {
    const result = await millrace([...argv, '--data', folder])
    t.match(result, { code: 1, err: /api\.sock: there is no such socket; is the node running\?/ }, argv.join(' '))
  }
  const { code, out } = await millrace(['offsets', '-j', '--node', '127.0.0.1:1'])
  t.equal(code, 1)
  t.match(JSON.parse(out), { code: 'ERR_NODE_UNREACHABLE', message: /nothing listens there/ })
})
