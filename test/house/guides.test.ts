// The commands of the guides, run as a reader runs them, and what the guides say will be seen.
import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { GuideShell, readGuide, whatDiffers } from '../support/guide.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const missing = ['bash', 'curl', 'sed'].find((tool) => spawnSync(tool, ['--version']).status !== 0)
const skip = missing === undefined ? false : `${missing} is not installed`

// They wait for processes most of the time.
t.jobs = 4

const stepsOf = async (name: string) => readGuide(await readFile(join(root, 'docs', name), 'utf8'))

t.test('what a guide shows is compared line by line', (t) => {
  t.equal(whatDiffers('a  …\nb\n', ' b\n\na 1 2\n'), undefined)
  t.equal(whatDiffers('http://127.0.0.1:4454', 'http://127.0.0.1:38555'), undefined)
  t.match(whatDiffers('a\nb', 'a\nb\nc'), /"c" too/)
  t.equal(whatDiffers('a\n…', 'c\na\nb'), undefined)
  t.match(whatDiffers('a\na', 'a'), /no line "a"/)
  t.match(whatDiffers('a.c', 'abc'), /no line/)
  t.end()
})

t.test('first five minutes', { skip, buffered: true }, async (t) => {
  const home = temporaryDirectory(t)
  await using shell = new GuideShell(root, home, join(home, 'outputs'))
  await shell.set('MILLRACE_API_LISTEN', '127.0.0.1:0')
  await shell.set('MILLRACE_DATA', join(home, 'data'))
  for (const step of await stepsOf('quick-start.md')) {
    const seen = await shell.follow(step)
    t.pass(`line ${String(step.line)}`)
    const [, url] = /^ +app API +(\S+)$/m.exec(seen) ?? []
    // As the guide has a reader do whose port is taken.
    if (url !== undefined) await shell.set('MILLRACE_NODE', url)
  }
})

for (const name of ['swarm-of-three.md', 'retention.md', 'upgrade.md']) {
  t.test(name, { skip, buffered: true }, async (t) => {
    const { home, work } = await readersHome(t)
    await using shell = new GuideShell(work, home, join(home, 'outputs'))
    for (const step of await stepsOf(name)) {
      await shell.follow(step)
      t.pass(`line ${String(step.line)}`)
    }
  })
}

const FOLDERS = 'core aql storage config replication node client cli'.split(' ')

/** All texts of the product, those that stand on several lines joined. */
async function sources(): Promise<string> {
  const texts: string[] = []
  for (const folder of FOLDERS) {
    const names = await readdir(join(root, folder), { recursive: true })
    for (const name of names.filter((file) => file.endsWith('.ts'))) {
      texts.push(await readFile(join(root, folder, name), 'utf8'))
    }
  }
  return texts
    .join('\n')
    .replaceAll(/['`"] \+\s*['`"]/g, '')
    .replaceAll("\\'", "'")
}

t.test('what troubleshooting quotes is what the program says', async (t) => {
  const page = await readFile(join(root, 'docs/troubleshooting.md'), 'utf8')
  const said = await sources()
  const seen = [...page.matchAll(/^\| (.*?) +\|/gm)].map(([, cell = '']) => cell)
  const quotes = seen.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, quote = '']) => quote))
  const parts = quotes.flatMap((quote) => quote.split('…')).map((part) => part.trim())
  const sentences = parts.filter((part) => part.length > 8 && part.includes(' '))
  t.ok(sentences.length > 40)
  for (const sentence of sentences) t.ok(said.includes(sentence), sentence)

  const metrics = await readFile(join(root, 'docs/metrics.md'), 'utf8')
  for (const [name] of page.matchAll(/\b(?:millrace|process|nodejs)_[a-z_]+/g))
    t.ok(metrics.includes(`\`${name}\``), name)
  const [, alarms = ''] = /^\| `millrace_swarm_alarms`.*look after: (.*?) +\|/m.exec(metrics) ?? []
  for (const [alarm] of alarms.matchAll(/`[a-z-]+`/g)) t.ok(page.includes(`alarm ${alarm}`), alarm)
  t.end()
})

/** The home of somebody who has the command. */
async function readersHome(t: Test): Promise<{ readonly home: string; readonly work: string }> {
  const home = temporaryDirectory(t)
  const work = join(home, 'work')
  await mkdir(join(home, '.local/bin'), { recursive: true })
  await mkdir(work)
  await symlink(join(root, 'dist/cli/main.js'), join(home, '.local/bin/millrace'))
  return { home, work }
}
