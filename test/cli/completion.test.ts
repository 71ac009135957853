import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runMillrace } from '../support/run-millrace.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const millrace = (...argv: readonly string[]) => runMillrace(argv)

const isMissing = (shell: string): string | false =>
  spawnSync(shell, ['--version']).status === 0 ? false : `${shell} is not installed`

const folder = temporaryDirectory(t)
writeFileSync(join(folder, 'events one.ndjson'), '')
mkdirSync(join(folder, 'evening'))

/** What a shell offers for a line, sorted. */
type Offer = (line: string) => string[]

/** The same questions to every shell. */
function ask(t: Test, offer: Offer): void {
  t.same(offer('millrace top'), ['top', 'topics'])
  t.ok(offer('millrace ').includes('publish'))
  t.same(offer('millrace topics '), ['delete', 'ls'])
  t.same(offer('millrace identity re'), ['renew'])
  t.same(offer('millrace publish --enve'), ['--envelope'])
  t.same(offer('millrace publish --file eve'), ['evening', 'events one.ndjson'])
  t.same(offer('millrace restore ev'), ['evening', 'events one.ndjson'])
  t.same(offer('millrace query --order x'), [], 'nobody can guess a value')
}

const lines = (text: string): string[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .sort()

t.test('bash completes commands, flags, what stands behind them, and files', { skip: isMissing('bash') }, async (t) => {
  const { out } = await millrace('completion', 'bash')
  ask(t, (line) => {
    const words = line.split(' ').map((word) => `'${word}'`)
    const question = `COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${String(words.length - 1)}; _millrace; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout, stderr } = spawnSync('bash', ['--norc', '-uc', `${out}\n${question}`], {
      cwd: folder,
      encoding: 'utf8',
    })
    t.equal(stderr, '')
    return lines(stdout)
  })
})

t.test('fish completes the same', { skip: isMissing('fish') }, async (t) => {
  const { out } = await millrace('completion', 'fish')
  const script = join(folder, 'script.fish')
  writeFileSync(script, out)
  ask(t, (line) => {
    const env = { ...process.env, HOME: join(folder, 'evening') }
    const question = `source ${script}; complete -C '${line}'`
    const { stdout } = spawnSync('fish', ['--no-config', '-c', question], { cwd: folder, encoding: 'utf8', env })
    return lines(stdout)
      .map((offer) => offer.split('\t')[0]!.replaceAll('\\ ', ' ').replace(/\/$/, ''))
      .filter((offer) => offer !== 'script.fish')
  })
})

t.test('zsh takes the script', { skip: isMissing('zsh') }, async (t) => {
  const { out } = await millrace('completion', 'zsh')
  const question = `autoload -Uz compinit; compinit -D -u\n${out}\nprint -r -- $_comps[millrace]`
  const { stdout, stderr } = spawnSync('zsh', ['-fc', question], { cwd: folder, encoding: 'utf8' })
  t.same({ stdout, stderr }, { stdout: '_millrace\n', stderr: '' })
})

t.test('every command and flag stands in every script', async (t) => {
  const names = [...(await millrace('help')).out.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name!)
  t.ok(names.length > 10)
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { out } = await millrace('completion', shell)
    for (const name of names) {
      const flags = [...(await millrace(name, '--help')).out.matchAll(/--([a-z-]+)(?: [A-Z]+)? {2}/g)].map(
        ([, flag]) => flag!,
      )
      for (const word of [name, ...flags]) t.match(out, word, `${shell}: ${name} ${word}`)
    }
  }
  t.match(await millrace('completion', 'tcsh'), { code: 2, err: /bash, zsh or fish/ })
})
