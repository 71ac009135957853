import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { COMMANDS } from '../../cli/all-commands.js'
import { EXIT } from '../../cli/exit-codes.js'
import { parseCall } from '../../cli/parse-call.js'
import { hasColours } from '../../cli/terminal.js'
import { runMillrace } from '../support/run-millrace.js'

const millrace = (argv: readonly string[], env: Record<string, string> = {}) => runMillrace(argv, { env })

/** The words of a shell line from `millrace` to the end of that command. */
function wordsOf(example: string): string[] {
  const [, line = ''] = /(?:^|[\s(])millrace ([^]*)$/.exec(example) ?? []
  const words: string[] = []
  for (const [token, quoted, single] of line.matchAll(/"([^"]*)"|'([^']*)'|[|>)<]|[^\s|>)<'"]+/g)) {
    if (/^[|>)<]/.test(token)) break
    words.push(quoted ?? single ?? token)
  }
  return words
}

const docs = readFileSync(join(process.cwd(), 'docs', 'cli.md'), 'utf8')

t.test('every command has summary, usage, examples that parse, exit codes and an entry in the guide', async (t) => {
  const terminal = {} as Parameters<typeof parseCall>[2]
  for (const command of COMMANDS) {
    const { name, summary, examples, options } = command
    t.match(summary, /^[A-Z].*[^.]$/, `${name}: a summary`)
    t.ok(examples.length > 0, `${name}: examples`)
    for (const example of examples) {
      const [first, ...rest] = wordsOf(example)
      t.equal(first, name, example)
      t.doesNotThrow(() => parseCall(command, rest, terminal), example)
    }
    for (const [flag, { short, help }] of Object.entries(options)) {
      t.not(flag, 'json', `${name}: -j is that of all commands`)
      t.notOk(short === 'j' || short === 'h', `${name} --${flag}: -j and -h are taken`)
      t.ok(help, `${name} --${flag}: a help`)
    }
    const { code, out, err } = await millrace([name, '--help'])
    t.same({ code, err }, { code: 0, err: '' })
    t.match(out, /^usage: millrace /)
    t.match(out, /^exit codes:\n {3}0 {2}\S[^]*\n {3}2 {2}/m, `${name}: exit codes`)
    t.ok(docs.includes(`\n| \`${name}\` `), `${name} is in the table of docs/cli.md`)
    t.ok(new RegExp(`^## .*\\b${name}\\b`, 'm').test(docs), `docs/cli.md has a section on ${name}`)
  }
  const names = COMMANDS.map(({ name }) => name)
  t.same([...new Set(names)], names, 'no two are alike')
  for (const code of Object.values(EXIT)) t.ok(docs.includes(`\n| ${String(code)} `), `exit code ${String(code)}`)
})

t.test('every command refuses a misspelt flag with a suggestion, as JSON where that is wanted', async (t) => {
  for (const { name } of COMMANDS) {
    const { code, out, err } = await millrace([name, '--hlep'])
    t.same({ code, out }, { code: 2, out: '' }, name)
    t.match(err, /unknown flag --hlep; did you mean --help\? \(ERR_USAGE\)\n$/)
    const json = await millrace([name, '--hlep', '-j'])
    t.same({ code: json.code, err: json.err }, { code: 2, err: '' })
    t.match(JSON.parse(json.out), { code: 'ERR_USAGE', message: /--help/ })
  }
})

t.test('misspelt actions and choices get a suggestion', async (t) => {
  const cases: [string[], RegExp][] = [
    [['config', 'chekc'], /did you mean 'check'\?/],
    [['identity', 'renwe'], /did you mean 'renew'\?/],
    [['topics', 'delte', 'x'], /did you mean 'delete'\?/],
    [['swarm', 'keygne'], /did you mean 'keygen'\?/],
    [['query', '--order', 'acs', 'FROM allEvents'], /did you mean 'asc'\?/],
    [['--verison'], /unknown flag '--verison'; did you mean --version\?/],
    [['vresion'], /did you mean 'version'\?/],
  ]
  for (const [argv, message] of cases) t.match(await millrace(argv), { code: 2, out: '', err: message }, argv.join(' '))
})

t.test('colours are for terminals, unless NO_COLOR or FORCE_COLOR says otherwise', async (t) => {
  const cases: [boolean, Record<string, string>, boolean][] = [
    [true, {}, true],
    [false, {}, false],
    [true, { NO_COLOR: '' }, true],
    [true, { NO_COLOR: '1' }, false],
    [true, { TERM: 'dumb' }, false],
    [false, { FORCE_COLOR: '1' }, true],
    [true, { FORCE_COLOR: '0' }, false],
    [true, { FORCE_COLOR: '', NO_COLOR: '1' }, false],
    [false, { FORCE_COLOR: '3', NO_COLOR: '1' }, true],
  ]
  for (const [isTerminal, env, expected] of cases) {
    t.equal(hasColours(isTerminal, env), expected, `${String(isTerminal)} ${JSON.stringify(env)}`)
  }
  const wrong = ['config', 'x']
  t.equal((await millrace(wrong, { FORCE_COLOR: '1' })).err.slice(0, 14), '\u001b[31mmillrace:')
  t.match((await millrace(wrong)).err, /^millrace:/)
})

t.test('the version is told with the formats that go with it', async (t) => {
  const { code, out } = await millrace(['version', '-j'])
  t.equal(code, 0)
  t.match(JSON.parse(out), {
    code: 'OK',
    result: {
      version: /^\d+\.\d+\.\d+/,
      node: process.versions.node,
      platform: `${process.platform}-${process.arch}`,
      formats: { data: 1, api: /^2\./, protocols: ['/millrace/sync/1', '/millrace/peers/1', /meshsub/] },
    },
  })
  t.match((await millrace(['version'])).out, /^millrace +\d[^]*^data format +1$[^]*^protocols +\/millrace\/sync\/1, /m)
  t.match((await millrace(['--version'])).out, /^\d+\.\d+\.\d+\S*\n$/)
})
