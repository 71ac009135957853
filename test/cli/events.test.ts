import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startDaemon } from '../../node/index.js'
import { daemonSettings, silentLogger } from '../support/daemon-settings.js'
import { runMillrace } from '../support/run-millrace.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.setTimeout(60_000)

const millrace = (argv: readonly string[], input = '') => runMillrace(argv, { input })

const events = (ndjson: string): any[] =>
  ndjson
    .split('\n')
    .filter((line) => line.startsWith('{"type":"event"'))
    .map((line) => JSON.parse(line))

const folder = temporaryDirectory(t)
const [from, to] = [join(folder, 'from'), join(folder, 'to')]
const file = join(folder, 'dump.ndjson')

t.before(async () => {
  for (const data of [from, to]) {
    const daemon = await startDaemon({ settings: daemonSettings(data), logger: silentLogger, version: '0' })
    t.teardown(() => daemon.close())
  }
  const lines = Array.from(
    { length: 50 },
    (_, at) => `{"tags":["a","n:${String(at)}"],"payload":{"at":${String(at)},"exact":1.50}}`,
  )
  await millrace(['publish', '-d', from, '-e'], `${lines.join('\n')}\n`)
})

t.test('events are moved with tags and payloads as they are, and say where they came from', async (t) => {
  const dumped = await millrace(['events', 'dump', '-d', from])
  t.match(dumped, { code: 0, err: '' })
  t.match(dumped.out, /"exact":1\.50\}\}\n\{"type":"offsets",.*\}\n$/)
  writeFileSync(file, dumped.out)
  const restored = await millrace(['events', 'restore', '-j', '-d', to, file])
  t.match(JSON.parse(restored.out), { code: 'OK', result: { events: 50, complete: true } })
  const raw = (await millrace(['events', 'dump', '-d', to])).out
  t.match(raw, /"payload":\{"at":0,"exact":1\.50\}/, 'digit for digit')
  const [before, after] = [events(dumped.out), events(raw)]
  t.same(
    after.map(({ payload, tags }) => ({ payload, tags })),
    before.map(({ payload, tags, stream, offset }) => ({
      payload,
      tags: [...tags, `origin:${String(stream)}/${String(offset)}`].sort(),
    })),
  )
  t.not(after[0].stream, before[0].stream)
  const origin = `origin:${String(before[7].stream)}/7`
  t.same(events((await millrace(['query', '-j', '-d', to, `FROM '${origin}'`])).out)[0].payload.at, 7)

  const back = await millrace(['events', 'restore', '-d', from, '--origin', 'stream', '-'], raw)
  t.match(back, { code: 0, err: /^restored 50 events/ })
  const moved = events((await millrace(['events', 'dump', '-d', from, `FROM '${origin}'`])).out)
  t.equal(moved.length, 1, 'the first origin stays')
})

t.test('a part of a query is moved, and restoring goes on where it ended', async (t) => {
  const part = await millrace(['events', 'dump', '-d', to, "FROM 'n:1' | 'n:2' | 'n:3' | 'n:4'"])
  t.equal(events(part.out).length, 4)
  const lines = part.out.trim().split('\n')
  const [source, progress] = [join(folder, 'part.ndjson'), join(folder, 'part.progress')]
  writeFileSync(source, `${lines.slice(0, 2).join('\n')}\n`)
  const flags = ['-d', to, '--origin', 'none', '--resume', progress, source]
  const first = await millrace(['events', 'restore', ...flags])
  t.match(first, { code: 1, err: /restored 2 events[^]*only a part of one/ })
  writeFileSync(source, part.out)
  t.match(await millrace(['events', 'restore', ...flags]), { code: 0, err: /going on after line 2\nrestored 2 events/ })
  t.match(JSON.parse(readFileSync(progress, 'utf8')), { acknowledgedLines: 4 })
  for (const at of [1, 2, 3, 4]) {
    t.equal(events((await millrace(['query', '-j', '-d', to, `FROM 'n:${String(at)}'`])).out).length, 2)
  }
})

t.test('what is no dump is refused, with its line', async (t) => {
  const restore = (text: string) => millrace(['events', 'restore', '-d', to, '-'], text)
  t.match(await restore('{"type":"diagnostic","severity":"warning","message":"x"}\n'), {
    code: 1,
    err: /line 1: .*no line of a dump/,
  })
  t.match(await restore('{"tags":["a"],"payload":1}\n'), { code: 1, err: /line 1/ })
  t.match(await restore('x\n'), { code: 1, err: /line 1/ })
  t.match(await millrace(['events', 'restore', '--origin', 'x', '-']), { code: 2, err: /event, stream, none/ })
  t.match(await millrace(['events', 'dump', '-d', to, 'FROM']), { code: 1, out: '' })
  t.match(await millrace(['events', 'undo']), { code: 2, err: /dump or restore/ })
})
