import { chmodSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { Configuration } from '../../config/index.js'
import { routingText, spliceRouting } from '../../config/routing-section.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const FILE = `# A node.
data: ./data # stays

# Where events go.
eventRouting: # in order
  # The first that matches.
  routes:
    - from: "'a'" # all of a
      into: one

  streams:
    one: { maxAge: 1h }
# About the log.
log:
  level: warn # not so loud
`

const DRAFT = `routes:
  - { from: "'b'", into: two } # changed
streams:
  two: { maxEvents: 5 }
`

t.test('the section is taken out with its comments, and another one put in its place', (t) => {
  const section = `# The first that matches.
routes:
  - from: "'a'" # all of a
    into: one

streams:
  one: { maxAge: 1h }
`
  t.equal(routingText(FILE), section)
  const { text, firstLine, indent } = spliceRouting(FILE, DRAFT)
  t.equal(
    text,
    `# A node.
data: ./data # stays

# Where events go.
eventRouting: # in order
  routes:
    - { from: "'b'", into: two } # changed
  streams:
    two: { maxEvents: 5 }
# About the log.
log:
  level: warn # not so loud
`,
  )
  t.same([firstLine, indent], [6, 2])
  t.equal(spliceRouting(FILE, section).text, FILE)
  t.equal(routingText(text), DRAFT)
  t.end()
})

t.test('it is found, or made, wherever it may stand', (t) => {
  const cases: [file: string, section: string][] = [
    ['', ''],
    ['# nothing\n', ''],
    ['data: x', ''],
    ['data: x\n\n\n', ''],
    ['eventRouting:\n', ''],
    ['eventRouting:\ndata: x\n', ''],
    ['eventRouting: { routes: [] } # none\ndata: x\n', '{ routes: [] } # none\n'],
    ['  data: x\n  eventRouting:\n      routes: []\n  log: {}\n', 'routes: []\n'],
    ['"eventRouting":\n routes: []', 'routes: []\n'],
    ['eventRouting:\r\n  routes: []\r\ndata: x\r\n', 'routes: []\n'],
  ]
  for (const [file, section] of cases) {
    t.equal(routingText(file), section, JSON.stringify(file))
    const { text } = spliceRouting(file, DRAFT)
    t.same(
      parse(text),
      { ...(parse(file) as object | null), eventRouting: parse(DRAFT) as unknown },
      JSON.stringify(text),
    )
    t.equal(routingText(text), DRAFT)
    t.equal(/(^|[^\r])\n/.test(text), !file.includes('\r'), 'line breaks stay what they are')
  }
  for (const file of ['{ data: x }', '- a', 'data: [', 'a: 1\n---\nb: 2']) {
    t.throws(() => routingText(file), { code: 'ERR_CONFIG_FIXED' }, file)
  }
  t.end()
})

t.test('whatever stands beside the section stays to the letter', (t) => {
  const line = fc.constantFrom('# comment', '', 'data: ./x', 'log:\n  level: warn # so', 'swarm: { topic: "a: #b" }')
  const some = fc.uniqueArray(line, { maxLength: 4 })
  const values = fc.constantFrom(DRAFT, '', 'routes: []\n', '# only a comment\n', 'streams:\n  a:\n    maxAge: 1h\n')
  fc.assert(
    fc.property(some, some, values, values, (before, after, was, is) => {
      const rest = after.filter((each) => !before.includes(each) && each !== '')
      const body = was.replaceAll(/^(?=.)/gm, '  ')
      const head = before.map((each) => `${each}\n`).join('')
      const tail = rest.map((each) => `${each}\n`).join('')
      const { text } = spliceRouting(`${head}eventRouting:\n${body}${tail}`, is)
      t.equal(text, `${head}eventRouting:\n${is.replaceAll(/^(?=.)/gm, '  ')}${tail}`)
    }),
    { numRuns: 300 },
  )
  t.end()
})

function openConfiguration(t: Test, text: string) {
  const file = join(temporaryDirectory(t), 'node.yml')
  writeFileSync(file, text)
  return { file, configuration: new Configuration({ file, env: {}, flags: {} }) }
}

t.test('a draft is checked with places of its own, and with all that stands beside it', (t) => {
  const { file, configuration } = openConfiguration(t, FILE)
  t.equal(configuration.check(DRAFT).settings?.routes[0]?.into, 'two')
  t.equal(configuration.check(DRAFT).settings?.log.level, 'warn')
  t.match(configuration.check('routes:\n  - { from: "a", into: x }').problems, [
    { source: 'draft', line: 2, column: 14, mend: `write tags in quotes: "'a'"` },
  ])
  t.match(configuration.check('routs: []').problems, [{ line: 1, column: 1, mend: "did you mean 'routes'?" }])
  t.match(configuration.check('routes: [').problems, [{ source: 'draft' }])
  t.match(configuration.check('streams:\n  lonely: { maxEvents: 1 }').warnings, [
    { source: 'draft', line: 2, column: 3, reason: /no route leads/, lineText: '  lonely: { maxEvents: 1 }', lead: 2 },
  ])
  writeFileSync(file, FILE.replace('level: warn', 'level: loud'))
  t.match(configuration.check(DRAFT).problems, [{ source: file, line: 12, reason: /./ }], 'the fault is elsewhere')
  t.equal(configuration.check('').settings, undefined)
  t.end()
})

t.test('whatever a draft holds, it is judged, and what is fine can be taken back', (t) => {
  const { configuration } = openConfiguration(t, FILE)
  const pieces = [
    'routes',
    'streams',
    ':',
    ' ',
    '\n',
    '- ',
    '{ from: "\'a\'", into: x }',
    '#',
    '---',
    '...',
    '&a',
    '*a',
    '!!map',
  ]
  const odd = [
    '[',
    '}',
    '"',
    "'",
    '|',
    '>',
    '\t',
    '\r\n',
    '%YAML 1.2',
    'a: { maxEvents: 1 }',
    '\u2028',
    '\ud800',
    '  ',
    '? ',
    '@',
  ]
  const draft = fc.array(fc.constantFrom(...pieces, ...odd), { maxLength: 25 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(fc.oneof(draft, fc.string({ maxLength: 60 })), (text) => {
      // Such texts would make no names of assertions.
      const { settings, problems } = configuration.check(text)
      if (settings === undefined) return problems.length > 0
      const { text: file } = spliceRouting(FILE, text)
      return problems.length === 0 && spliceRouting(file, routingText(FILE)).text === FILE
    }),
    { numRuns: 500 },
  )
  t.end()
})

t.test('a change is written whole, keeps mode and links, and is refused when the file is another one', async (t) => {
  const { file, configuration } = openConfiguration(t, FILE)
  chmodSync(file, 0o640)
  const link = `${file}.link`
  symlinkSync(file, link)
  const linked = new Configuration({ file: link, env: {}, flags: {} })
  const { version, fixed, text } = linked.routing()
  t.equal(fixed, undefined)
  t.match(text, /all of a/)
  await t.rejects(linked.writeRouting('routes: 5', version), { code: 'ERR_CONFIG_INVALID' })
  await linked.writeRouting(DRAFT, version)
  t.equal(readFileSync(file, 'utf8'), spliceRouting(FILE, DRAFT).text)
  t.equal(statSync(file).mode & 0o777, 0o640)
  t.equal(configuration.load().settings.routes[0]?.into, 'two')
  await t.rejects(linked.writeRouting(DRAFT, version), { code: 'ERR_CONFIG_CHANGED' })
  const next = linked.routing().version
  const both = await Promise.allSettled([linked.writeRouting('', next), linked.writeRouting('routes: []', next)])
  t.same(
    both.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  )
  t.equal(routingText(readFileSync(file, 'utf8')), '')
  const none = new Configuration({ env: {}, flags: {} })
  t.match(none.routing(), { file: undefined, text: '', fixed: /without a configuration file/ })
  await t.rejects(none.writeRouting(DRAFT, none.routing().version), { code: 'ERR_CONFIG_FIXED' })
  t.equal(none.check(DRAFT).settings?.routes[0]?.into, 'two')
})

t.test('every setting is reported with its source, as it was written, and secrets not at all', (t) => {
  const key = `${'A'.repeat(43)}=`
  const { file } = openConfiguration(t, `swarm: { key: ${key} }\nstorage: &s { cache: 1MiB }\nlog: { level: warn }\n`)
  const env = { MILLRACE_LOG_LEVEL: 'debug', MILLRACE_API_APPS: '[com.acme.*]' }
  const { report } = new Configuration({ file, env, flags: { api: '127.0.0.1:0' } }).load()
  const of = (path: string) => report.find((each) => each.path === path)
  t.match(of('swarm.key'), { value: undefined, isSecret: true, isSet: true, source: { kind: 'file', line: 1 } })
  t.notMatch(JSON.stringify(report), key)
  t.match(of('storage.cache'), { value: '1MiB', source: { kind: 'file', file, line: 2 } })
  t.match(of('log.level'), { value: 'debug', source: { kind: 'environment', variable: 'MILLRACE_LOG_LEVEL' } })
  t.match(of('api.apps'), { value: ['com.acme.*'], source: { kind: 'environment' } })
  t.match(of('api.listen'), { value: '127.0.0.1:0', source: { kind: 'flag', flag: '--api' } })
  t.match(of('swarm.maxStreams'), { value: 10_000, isSet: true, source: { kind: 'default' } })
  t.match(of('swarm.keyFile'), { value: null, isSet: false })
  t.end()
})
