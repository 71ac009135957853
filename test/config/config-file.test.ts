import t from 'tap'
import fc from 'fast-check'
import { checkConfigText, renderProblem, type ConfigCheck } from '../../config/index.js'

const check = (text: string): ConfigCheck => checkConfigText(text, 'node.yml')
const places = (text: string): string[] => check(text).problems.map((p) => `${p.line}:${p.column} ${p.reason}`)
const stream = (limits: string): string =>
  `eventRouting:\n  routes: [{ from: "'a'", into: s }]\n  streams:\n    s: { ${limits} }\n`
const retentionOf = (limits: string) => check(stream(limits)).settings?.retention.get('s')

t.test('limits follow the grammar of the Actyx settings', async (t) => {
  const accepted: [string, string, number][] = [
    ['maxAge: 1s', 'maxAgeMicros', 1e6],
    ['maxAge: 10s', 'maxAgeMicros', 1e7],
    ['maxAge: 5m', 'maxAgeMicros', 3e8],
    ['maxAge: 24h', 'maxAgeMicros', 864e8],
    ['maxAge: 14d', 'maxAgeMicros', 14 * 864e8],
    ['maxAge: 2w', 'maxAgeMicros', 14 * 864e8],
    ['maxAge: "41m"', 'maxAgeMicros', 41 * 6e7],
    ['maxBlockAge: 1h', 'maxBlockAgeMicros', 36e8],
    ['maxSize: 1B', 'maxStoredBytes', 1],
    ['maxSize: 1kB', 'maxStoredBytes', 1000],
    ['maxSize: 700MB', 'maxStoredBytes', 7e8],
    ['maxSize: 2GB', 'maxStoredBytes', 2e9],
    ['maxSize: 10KiB', 'maxStoredBytes', 10240],
    ['maxSize: 1MiB', 'maxStoredBytes', 1024 ** 2],
    ['maxSize: 1GiB', 'maxStoredBytes', 1024 ** 3],
    ['maxEvents: 0', 'maxEvents', 0],
    ['maxEvents: 1', 'maxEvents', 1],
    ['maxEvents: 9007199254740991', 'maxEvents', Number.MAX_SAFE_INTEGER],
  ]
  for (const [limits, key, expected] of accepted) {
    const retention = retentionOf(limits)
    t.same(
      retention,
      {
        maxEvents: Infinity,
        maxStoredBytes: Infinity,
        maxAgeMicros: Infinity,
        maxBlockAgeMicros: Infinity,
        [key]: expected,
      },
      `${limits} is ${String(expected)} and nothing else is limited`,
    )
    t.same(check(stream(limits)).warnings, [], `${limits} gives no warning`)
  }
  const ages = [
    '0s',
    '01s',
    '10ms',
    '10S',
    '1.5h',
    '10 s',
    '"10s "',
    '" 10s"',
    '10',
    '"10"',
    '1y',
    '""',
    '99999999999999999999999s',
    '-1s',
    's',
    '18446744073709551616s',
    '[]',
    '{}',
    'true',
    '1h30m',
    '١s',
  ]
  const sizes = [
    '1KB',
    '1k',
    '1TB',
    '0B',
    '010B',
    '1.5GB',
    '10 MB',
    '100',
    '"100"',
    '""',
    '18446744073709551616B',
    '-1B',
    'null0',
    '1kb',
    '1Kib',
  ]
  const counts = ['-1', '1.5', '"10"', '1e3', 'true', '18446744073709551616', '-0', '.inf', '""', '10k', '[1]']
  for (const [key, values] of [
    ['maxAge', ages],
    ['maxBlockAge', ages],
    ['maxSize', sizes],
    ['maxEvents', counts],
  ] as const) {
    for (const value of values) {
      const { problems, settings } = check(stream(`${key}: ${value}`))
      t.equal(settings, undefined, `${key}: ${value} is refused`)
      t.match(problems, [{ line: 4, source: 'node.yml' }], `${key}: ${value} is one problem in its line`)
    }
  }
  for (const limits of [
    'maxAge: 18446744073709551615w',
    'maxSize: 18446744073709551615GiB',
    'maxEvents: 18446744073709551615',
  ]) {
    const { settings, warnings } = check(stream(limits))
    t.match(warnings, [{ line: 4, reason: /no limit/ }], `${limits} counts as no limit, with a warning`)
    const none = { maxEvents: Infinity, maxStoredBytes: Infinity, maxAgeMicros: Infinity, maxBlockAgeMicros: Infinity }
    t.same(settings?.retention.get('s'), none)
  }
  t.same(
    retentionOf('maxAge: null, maxSize: ~, maxEvents: null, maxBlockAge: null'),
    retentionOf(''),
    'null is no limit',
  )
})

t.test('every number with a unit in range is read exactly', async () => {
  const units = { B: 1n, kB: 1000n, MB: 1000n ** 2n, GB: 1000n ** 3n, KiB: 1024n, MiB: 1024n ** 2n, GiB: 1024n ** 3n }
  fc.assert(
    fc.property(fc.bigInt(1n, 2n ** 64n - 1n), fc.constantFrom(...Object.entries(units)), (number, [unit, factor]) => {
      const product = number * factor
      const expected = product > 2n ** 53n - 1n ? Infinity : Number(product)
      return retentionOf(`maxSize: ${String(number)}${unit}`)?.maxStoredBytes === expected
    }),
    { numRuns: 200 },
  )
})

t.test('what only queries may hold is named in a route, also where it does not parse', async (t) => {
  const cases: [string, string, RegExp, RegExp?][] = [
    [`'a' & isLocal`, '3:21', /^isLocal cannot be used in a route$/],
    [`'a' & key < 5`, '3:21', /^key cannot be used in a route$/],
    [`'from' & KEY < 5/abc`, '3:24', /^KEY cannot be used in a route$/],
    [`'a' & from(2020-01-01)`, '3:21', /^from cannot be used in a route$/],
    [`'a' & to(2020-01-01T00:00:00Z)`, '3:21', /cannot be used in a route$/],
    [`'a' & 5/abc`, '3:21', /^an event id cannot be used in a route$/],
    [`FROM 'a'`, '3:15', /^a route holds what follows FROM$/, /^leave FROM out$/],
    [`sensor:7`, '3:15', /^expected "\(", "allEvents", "appId\(" or tag$/, /quotes: "'sensor:7'"$/],
    [`'a' FILTER true`, '3:19', /^expected end of text$/],
  ]
  for (const [from, place, reason, mend = /./] of cases) {
    const { problems } = check(`eventRouting:\n  routes:\n    - {from: "${from}", into: x}\n`)
    t.equal(problems.length, 1, from)
    const [{ line, column, ...rest } = { line: 0, column: 0 }] = problems
    t.match({ at: `${String(line)}:${String(column)}`, ...rest }, { at: place, reason, mend }, from)
  }
})

t.test('a stream needs a value, a proper name, and is not default', async (t) => {
  const streams = (text: string): string =>
    `eventRouting:\n  routes: [{from: "'a'", into: default}]\n  streams:\n    ${text}\n`
  t.match(places(streams('x: null')), [/^4:5 .*no value/])
  t.match(places(streams('x:')), [/^4:5 .*no value/])
  t.match(places(streams('default: {}')), [/^4:5 .*permanent/], 'although it may be the target of a route')
  t.match(places(streams('mr.x: {}')), [/^4:5 .*no stream name/])
  t.match(places(streams('"": {}')), [/^4:5 .*empty/])
  t.match(places(streams('x: 5')), [/^4:8 expected a map/])
  t.match(places(streams('x: { maxAge: 1s, bogus: 1 }')), [/^4:22 unknown key 'bogus'/])
  t.match(check(streams('x: { maxevents: 1 }')).problems, [{ mend: "did you mean 'maxEvents'?" }])
  t.same(places(streams('__proto__: {}')), [], 'names of object members are names like others')
  for (const name of ['discovery', 'metrics', 'files', 'constructor', '1', 'null', 'true', 'A-_9']) {
    const { settings } = check(
      `eventRouting:\n  routes: [{ from: allEvents, into: "${name}" }]\n  streams: { ${name}: { maxEvents: 1 } }`,
    )
    t.equal(settings?.retention.get(name)?.maxEvents, 1, `'${name}' is a name`)
  }
})

t.test('limits of a stream that no route feeds are a warning with a guess', async (t) => {
  const { settings, warnings } = check(
    'eventRouting:\n  routes: [{ from: allEvents, into: top-secret }]\n  streams:\n    top-secert: { maxAge: 1d }\n    other: {}\n',
  )
  t.ok(settings)
  t.match(warnings, [
    { line: 4, column: 5, mend: "did you mean 'top-secret'?" },
    { line: 5, column: 5, reason: "no route leads to the stream 'other'" },
  ])
})

t.test('routes are one item, or two neighbours as in the tutorial', async (t) => {
  const routes = (text: string) => check(`eventRouting:\n  routes:\n${text}`)
  const names = (text: string) => routes(text).settings?.routes.map(({ from, into }) => [from, into])
  t.same(names(`    - from: "'a'"\n      into: x\n    - into: y\n      from: allEvents\n`), [
    ["'a'", 'x'],
    ['allEvents', 'y'],
  ])
  t.same(names(`    - from: "'a'"\n    - into: x\n    - from: allEvents\n    - into: y\n`), [
    ["'a'", 'x'],
    ['allEvents', 'y'],
  ])
  t.same(
    names(
      '    - { from: allEvents, into: x }\n    - from: allEvents\n    - into: y\n    - { from: allEvents, into: z }\n',
    ),
    [
      ['allEvents', 'x'],
      ['allEvents', 'y'],
      ['allEvents', 'z'],
    ],
  )
  const reasons = (text: string): string[] => routes(text).problems.map((p) => `${p.line}:${p.column} ${p.reason}`)
  t.match(reasons('    - from: allEvents\n    - from: allEvents\n    - into: x\n'), [/^3:7 'into' is missing/])
  t.match(reasons('    - into: x\n    - from: allEvents\n'), [/^3:7 'from' is missing/, /^4:7 'into' is missing/])
  t.match(reasons('    - { from: allEvents, into: x, bogus: 1 }\n'), [/^3:35 unknown key/])
  t.match(reasons('    - { from: allEvents, into: x.y }\n'), [/^3:32 .*no stream name/])
  t.match(reasons('    - { from: 5, into: null }\n    - text\n'), [
    /^3:15 expected .*tag$/,
    /^3:24 expected text/,
    /^4:7 expected a map/,
  ])
})

t.test('an error inside a route points into the file, however the text is quoted', async (t) => {
  const cases = [
    [`    - from: "'x' & isLocal"\n`, '3:20'],
    [`    - from: "'\\u0041\\x41\\U0001F600\\"' & isLocal"\n`, '3:41'],
    ["    - from: '''x'' & isLocal'\n", '3:22'],
    [`    - from: "'x'\n        & isLocal"\n`, '4:11'],
    [`    - from: "'x' \\\n        & isLocal"\n`, '4:11'],
    ["    - from: >\n        'x'\n        & isLocal\n", '5:11'],
    ["    - from: |-\n        'x'\n\n\n          & isLocal\n", '7:13'],
    ['    - from: allEvents\n        & isLocal\n', '4:11'],
    [`    - from: "'😀' & isLocal"\n`, '3:20'],
  ] as const
  for (const [text, expected] of cases) {
    const { problems } = check(`eventRouting:\n  routes:\n${text}      into: x\n`)
    t.match(
      problems.map((p) => `${p.line}:${p.column}`),
      [expected],
      JSON.stringify(text),
    )
  }
})

t.test('all that is wrong is told at once, in the order of the file', async (t) => {
  const text = `api:
  lissten: 1
  listen: [nowhere, "1.2.3.4:99999", "::1", ":1", "1.2.3:5", "http://x:5/", '[x]:1']
  apps: ["*", Com.x, com.acme.*]
  hosts: ["a:1"]
  origins: ["https://x/", "*", x]
  limits: { body: 1, message: 1MiB }
log: { level: inof, format: json, level: debug }
storage:
  sync: often
  block: { maxEvents: 0, maxBytes: 3MiB }
  pruneInterval: 60
workflows: {}
`
  t.match(places(text), [
    /^2:3 unknown key 'lissten'/,
    /^3:12 expected host:port/,
    /^3:21 port 99999 is beyond 65535/,
    /^3:38 expected host:port/,
    /^3:45 the host is missing/,
    /^3:51 '1.2.3' is no IPv4 address/,
    /^3:62 expected host:port/,
    /^3:77 'x' is no IPv6 address/,
    /^4:10 '\*' is no app id/,
    /^4:15 'Com.x' is no app id/,
    /^5:11 'a:1' is no host name/,
    /^6:13 'https:\/\/x\/' is no origin/,
    /^6:27 '\*' is no origin/,
    /^6:32 'x' is no origin/,
    /^7:19 at least 1MiB/,
    /^7:31 at least 128MiB/,
    /^8:15 expected 'silent', .* or 'trace', found 'inof'/,
    /^8:35 'level' stands here twice/,
    /^10:9 expected 'always', 'os' or a map, found 'often'/,
    /^11:23 at least 1, found 0/,
    /^11:36 at most 2MiB/,
    /^12:18 '60' is no time/,
    /^13:1 unknown key 'workflows'/,
  ])
  t.match(check(text).problems.at(-1)?.mend, /not in this version; known here: admin, api/)
})

t.test('a backend that cannot keep the state is refused with the reason and what to take', async (t) => {
  const problemsOf = (backend: string, more = '') => check(`state:\n  backend: ${backend}\n${more}`).problems
  t.match(problemsOf('clickhouse'), [
    {
      line: 2,
      column: 12,
      reason: /unsupported state backend "clickhouse": eventually consistent.*Supported: embedded, memory/,
      mend: /audit sink/,
    },
  ])
  t.match(problemsOf('dynamodb'), [{ reason: /unsupported state backend "dynamodb": this version has no adapter/ }])
  t.match(problemsOf('redis'), [{ reason: /"redis" loses locks/, mend: /acceptFailoverLoss/ }])
  const accepted = '  acceptFailoverLoss: true\n'
  t.match(problemsOf('redis', accepted), [{ reason: /needs to know its server/ }])
  t.match(problemsOf('redis', `${accepted}  url: postgres://u:secret@h/d\n`), [
    { reason: /the URL is not one of redis/ },
  ])
  t.same(problemsOf('redis', `${accepted}  url: rediss://:secret@h:6379/0\n`), [])
  t.match(problemsOf('postgres', '  url: mysql://u:secret@h/d\n'), [{ reason: /no URL of a server/ }])
  t.match(problemsOf('postgres', '  urlFile: /nonexistent/url\n'), [{ reason: /cannot read the URL file/ }])
  t.match(problemsOf('postgres', '  url: postgres://h/d\n  urlFile: x\n'), [{ reason: /are both set/ }])
  t.notMatch(JSON.stringify(problemsOf('postgres', '  url: mysql://u:secret@h/d\n')), 'secret')
  t.match(problemsOf('embeded'), [{ reason: /unsupported/, mend: "did you mean 'embedded'?" }])
  t.match(problemsOf('memory'), [{ line: 2, reason: /loses everything/, mend: /allowVolatile/ }])
  t.same(problemsOf('memory', '  allowVolatile: true\n'), [])
  t.match(problemsOf('embedded', '  grants: [{ app: com.acme.x, namespace: mr }]\n'), [{ reason: /daemon's own/ }])
})

t.test('broken YAML is told with its place', async (t) => {
  const cases: [string, RegExp[]][] = [
    ['api:\n\tlisten: 1\n', [/^2:1 a tab in the indentation/]],
    ['log: [1\n', [/^1:6 'log' is a group/, /^2:1 flow sequence/]],
    ['log: {level: info\ndata: x', [/^2:1 .*/]],
    ['data: "x\n', [/^2:1 missing closing/]],
    ['data: x\ndata: y\n', [/^2:1 'data' stands here twice/]],
    ['data: a: b\n', [/^1:7 /]],
    ['data: @x\n', [/^1:7 /]],
    ['data: *x\n', [/^1:7 nothing is marked &x/]],
    [`eventRouting:\n  routes:\n    - from: 'x' & 'y'\n      into: s\n`, [/^3:17 something behind the end/]],
    ['data: x\n---\nlog: {}\n', [/^2:1 a second YAML document/]],
    ['- data\n', [/^1:1 expected a map of settings/]],
    ['data\n', [/^1:1 expected a map of settings/]],
    ['%YAML 1.1\n---\ndata: x\n', [/^1:1 settings are YAML 1.2/]],
    ['['.repeat(100_000), [/^1:65 nested too deeply/]],
    ['a: '.repeat(20_000), [/nested too deeply/]],
    ['#'.repeat(300_000), [/longer than 256 KiB/]],
    ['stroage: 1\ndata: "x\n', [/^1:1 unknown key 'stroage'/, /^3:1 missing closing/]],
  ]
  for (const [text, expected] of cases) {
    const found = places(text)
    t.match(found, expected, JSON.stringify(text.slice(0, 60)))
    t.equal(found.length, expected.length)
  }
})

t.test('nothing at all, and empty groups, mean the defaults', async (t) => {
  const defaults = check('').settings
  t.ok(defaults)
  for (const text of [
    '# nothing\n',
    '{}',
    'null',
    '---\n',
    'api:\nlog:\neventRouting:\n  routes:\n  streams:\n',
    '\ufeff# x',
  ]) {
    t.same(check(text).settings, defaults, JSON.stringify(text))
  }
  t.same(defaults?.api.limits, {
    bodyBytes: 128 * 1024 ** 2,
    messageBytes: 128 * 1024 ** 2,
    memoryBytes: 256 * 1024 ** 2,
  })
  t.same(defaults?.storage.block, { maxEvents: 1024, maxBytes: 262144 })
  t.ok(Object.isFrozen(defaults) && Object.isFrozen(defaults?.storage.block), 'settings are frozen')
})

t.test('anchors and Windows line ends are fine', async (t) => {
  const { settings, problems } = check(
    'eventRouting:\r\n  routes: [{ from: allEvents, into: a }, { from: allEvents, into: b }]\r\n  streams:\r\n    a: &l { maxAge: 1d }\r\n    b: *l\r\n',
  )
  t.same(problems, [])
  t.same(settings?.retention.get('a'), settings?.retention.get('b'))
})

t.test('a problem is shown with its line, a caret and the mend', async (t) => {
  const [problem] = check(
    'eventRouting:\n  routes: [{ from: allEvents, into: s }]\n  streams:\n    s: { maxEvent: 9 }\n',
  ).problems
  t.equal(
    renderProblem(problem!),
    [
      "node.yml:4:10: unknown key 'maxEvent'",
      '  4 |     s: { maxEvent: 9 }',
      '    |          ^^^^^^^^',
      "    = did you mean 'maxEvents'?",
    ].join('\n'),
  )
  const [long] = check(`${' '.repeat(300)}x: \u001b[31m1`).problems
  t.notMatch(renderProblem(long!), '\u001b', 'control characters do not reach the terminal')
  t.ok(
    renderProblem(long!)
      .split('\n')
      .every((line) => line.length < 120),
    'long lines are cut',
  )
})

t.test('of a long line a problem shows what is around its place', async (t) => {
  const words = Array.from({ length: 20_000 }, (_, i) => `\u{1f600}${String(i)}: 1`)
  const text = `{${words.join(', ')}}`
  const { problems } = check(text)
  t.equal(problems.length, 200, 'more problems would help nobody')
  for (const { column, lineText, lead, length } of problems.slice(0, 50)) {
    const characters = Array.from(lineText)
    t.ok(characters.length <= 200, 'a part of the line')
    const name = characters.slice(lead, lead + length).join('')
    t.equal(column - 1, Array.from(text.slice(0, text.indexOf(`${name}:`))).length, 'columns count characters')
  }
  const caret = renderProblem(problems[1]!).split('\n')[2]!
  t.equal(caret, '    |         ^^', 'the caret too')
})

t.test('tags, anchors and aliases that go on and on are refused, or read once', async (t) => {
  for (const row of ['!!binary ', '! ', '&a ', '!!binary\n', '&a # why\n', '!x &a ']) {
    const [problem, ...others] = check(`a: 1\nb: ${row.repeat(5000)}`).problems
    t.same(others, [], `${JSON.stringify(row)}: one problem`)
    t.match(problem, {
      reason: 'many tags or anchors for one value',
      mend: 'a value takes one of each; remove the others',
    })
    t.ok(problem!.line > 1, 'which says in which line')
  }
  t.same(check('{ "storage": &b !!map { "sync": !!str &a os } }').problems, [], 'one of each is fine')
  const tags = Array.from({ length: 2000 }, (_, i) => `'tag-${String(i)}'`).join(' & ')
  const routes = Array.from({ length: 1500 }, (_, i) => `    - { from: *a, into: s${String(i)} }\n`).join('')
  const whole = check(`eventRouting:\n  routes:\n    - { from: &a "${tags}", into: x }\n${routes}`)
  t.same(whole.problems, [])
  t.equal(whole.settings?.routes.length, 1501, 'a text with many aliases is parsed once')
  const broken = check(`eventRouting:\n  routes:\n    - { from: &a "${tags} &", into: x }\n${routes}`)
  t.equal(broken.problems.length, 1, 'and what is wrong with it is told once')
})

t.test('a fault behind a long run of blanks is found at its place', async (t) => {
  const blanks = ' '.repeat(60_000)
  for (const from of [`"'a'${blanks}x"`, `'''a''${blanks}x'`]) {
    const [problem] = check(`eventRouting:\n  routes: [{ from: ${from}, into: s }]\n`).problems
    t.match(problem, { line: 2, column: 20 + from.length - 2 })
  }
})

t.test('no text makes the check throw', async () => {
  const token = fc.constantFrom(
    'api',
    'eventRouting',
    'streams',
    'routes',
    'from',
    'into',
    'maxAge',
    ': ',
    '\n',
    '  ',
    '- ',
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '|',
    '>',
    '&a ',
    '*a',
    '!!str ',
    '? ',
    '1',
    '\t',
    '#',
    '---',
    '%YAML 1.1',
    '<<',
    'null',
    '\u0000',
    '\ud800',
    '\\',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(token, { maxLength: 40 }).map((parts) => parts.join('')),
      ),
      (text) => {
        const { settings, problems } = check(text)
        problems.forEach(renderProblem)
        return (settings === undefined) === problems.length > 0
      },
    ),
    { numRuns: 2000 },
  )
})

t.test('an audit that could not work is refused at its place', (t) => {
  const cases: [text: string, reason: RegExp][] = [
    ['audit: { sink: http }', /^1:10 the audit sink "http" has no address/],
    ['audit: { sink: clickhouse, hashChain: true, clickhouse: { url: "http://x" } }', /^1:28 .* keep the order/],
    ['audit: { mode: intent }', /^1:10 audit.mode acts on nothing/],
    ['audit: { sink: http, http: { url: "http://me:secret@x" } }', / a URL with a password/],
    ['audit: { sink: file, redact: ["then.*"] }', /./],
    ['audit: { sink: file, redact: ["a..b"] }', /'a..b' is no path/],
    ['audit: { sink: file, redact: ["**"] }', /would hide/],
    ['audit: { sink: clickhouse, clickhouse: { url: "http://x", table: "a b" } }', /no name of a table/],
  ]
  for (const [text, reason] of cases) {
    const found = check(`${text}\n`).problems.map(({ line, column, reason }) => `${line}:${column} ${reason}`)
    if (text.includes('then.*')) t.same(found, [], 'a path may end in a star')
    else t.match(found, [reason], text)
  }
  t.end()
})
