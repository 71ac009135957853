import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { parseQuery } from '../../aql/index.js'
import { checkConfigText } from '../../config/index.js'
import { DaemonProcess } from '../support/daemon.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))

async function documents(): Promise<Map<string, string>> {
  const folders = ['.', 'docs', 'docs/decisions', 'examples']
  const names = await Promise.all(
    folders.map(async (folder) => (await readdir(join(root, folder))).map((name) => join(root, folder, name))),
  )
  const files = names.flat().filter((file) => file.endsWith('.md'))
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')))
  return new Map(files.map((file, index) => [file, texts[index]!]))
}

/** Fenced blocks of one language; '' for those that name none. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, found, body]) =>
    found === language ? [body!] : [],
  )
}

t.test('every link between documents leads somewhere', async (t) => {
  for (const [file, text] of await documents()) {
    const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '')
    for (const [, target] of prose.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target!)) continue
      t.ok(existsSync(join(dirname(file), target!)), `${relative(root, file)} links to ${target!}`)
    }
  }
})

t.test('the AQL of the README is valid', async (t) => {
  const queries = blocks(await readFile(join(root, 'README.md'), 'utf8'), '').filter((text) => /FROM/.test(text))
  t.equal(queries.length, 2)
  for (const query of queries) t.doesNotThrow(() => parseQuery(query))
})

t.test('the configuration shown in the README is valid', async (t) => {
  const texts = blocks(await readFile(join(root, 'README.md'), 'utf8'), 'yaml')
  t.equal(texts.length, 1)
  for (const text of texts) t.same(checkConfigText(text, 'README.md').problems, [])
})

t.test('every file that ARCHITECTURE.md names exists', async (t) => {
  const text = await readFile(join(root, 'ARCHITECTURE.md'), 'utf8')
  for (const [, name] of text.matchAll(/`([a-z]+\/[a-z/-]+\.(?:ts|peggy))`/g)) {
    t.ok(existsSync(join(root, name!)), `${name!} exists`)
  }
})

const missing = ['bash', 'curl'].find((tool) => spawnSync(tool, ['--version']).status !== 0)

t.test(
  'the curl commands of the README work in the order in which they stand',
  { skip: missing === undefined ? false : `${missing} is not installed` },
  async (t) => {
    const daemon = await DaemonProcess.start()
    t.teardown(() => daemon.close())
    const script = blocks(await readFile(join(root, 'README.md'), 'utf8'), 'sh')
      .filter((block) => /^(API=|curl)/m.test(block))
      .join('\n')
      .replace('http://127.0.0.1:4454', daemon.url)
      // It follows until it is stopped.
      .replaceAll(/^curl -sN (?:.*\\\n)*.*$/gm, '')
    const { stdout } = await promisify(execFile)('bash', ['-euc', script])
    t.match(stdout, /"lamport":0,/, 'published')
    t.match(stdout, /21\.5/, 'queried')
    t.match(stdout, /\{"type":"offsets",/)
    t.notMatch(stdout, /"code":"ERR_/)
  },
)
