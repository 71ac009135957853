import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { Collector } from '../support/collector.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const hasTools = ['bash', 'curl', 'sed'].every((tool) => spawnSync(tool, ['--version']).status === 0)

t.test('npm start prints commands that work as they stand, and ends with the node', async (t) => {
  const data = temporaryDirectory(t)
  const args = ['scripts/start.mjs', '--api', '127.0.0.1:0', '--data', join(data, 'data')]
  const start = spawn(process.execPath, args, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => start.kill())
  const output = new Collector<string>()
  start.stdout.setEncoding('utf8').on('data', output.push)
  await output.until((parts) => /main\.js streams/.test(parts.join('')))
  const text = output.items.join('')
  t.match(text, `data      ${join(data, 'data')}`, 'it says where the data are')
  t.match(text, /app API +http:\/\/127\.0\.0\.1:\d+\n/, 'and where it listens')

  const commands = text.split('\n').filter((line) => /^ {4}(JSON=|TOKEN=|curl|node \S*main\.js)/.test(line))
  t.equal(commands.length, 8)
  if (hasTools) {
    // The subscription goes on for ever; the other commands end by themselves.
    const script = commands.filter((line) => !/curl -sN/.test(line)).join('\n')
    const { stdout } = await promisify(execFile)('bash', ['-euc', script], { cwd: root, timeout: 60_000 })
    t.match(stdout, /"offset":0.*\n?.*"payload":\{"hello":"world"\}/, 'published and queried by curl')
    t.match(stdout, /\{"hello":"again"\}/, 'published and queried by the command')
    t.match(stdout, /default/, 'streams are shown')
  }

  const exited = once(start, 'exit')
  start.kill('SIGTERM')
  t.equal((await exited)[0], 0)
})
