import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { Publication } from '../../core/index.js'
import { event, openTestStore, publish, readAll, until } from '../support/store.js'
import { testLevel } from '../support/level.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const CHILD = fileURLToPath(new URL('../support/kill-child.js', import.meta.url))

/** Cycles of start, publish, kill; more find nothing new. */
const KILLS = Number(process.env['MILLRACE_KILLS'] ?? 6)

interface Acknowledged {
  readonly request: number
  readonly publications: readonly Publication[]
}

/** Runs a publisher for a while and kills it. Returns what it was told. */
async function publishAndKill(path: string, first: number, afterMs: number): Promise<Acknowledged[]> {
  const child = spawn(process.execPath, [CHILD, path, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output === '') setTimeout(() => child.kill('SIGKILL'), afterMs)
    output += text
  })
  await once(child, 'close')
  // The last line may be torn: its request was acknowledged inside the child only.
  const lines = output.split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as Acknowledged)
}

t.test('nothing that was acknowledged is lost, and no offset used twice, when the process is killed', async (t) => {
  const path = temporaryDirectory(t)
  const acknowledged = new Map<string, { request: number; at: number; lamport: number }>()
  let first = 0
  for (let cycle = 0; cycle < KILLS; cycle++) {
    for (const { request, publications } of await publishAndKill(path, first, 20 + 37 * cycle)) {
      first = Math.max(first, request + 100)
      publications.forEach(({ stream, offset, lamport }, at) => {
        const key = `${stream}/${String(offset)}`
        if (acknowledged.has(key)) t.fail(`${key} was acknowledged twice`)
        acknowledged.set(key, { request, at, lamport })
      })
    }
    const { store, close } = await openTestStore(path)
    t.same(store.health, { writable: true, problems: [] })
    const events = await readAll(store)
    const found = new Map(events.map((each) => [`${each.stream}/${String(each.offset)}`, each]))
    t.equal(found.size, events.length, 'no offset twice')
    let lamport = -1
    for (const each of events) {
      if (each.lamport <= lamport) t.fail(`lamport ${String(each.lamport)} follows ${String(lamport)}`)
      lamport = each.lamport
    }
    const oldest = new Map((await store.streams()).map(({ stream, firstOffset }) => [stream, firstOffset]))
    for (const [key, { request, at, lamport: stamped }] of acknowledged) {
      const [stream, offset] = splitKey(key)
      if (Number(offset) < (oldest.get(stream) ?? 0)) continue
      const each = found.get(key)
      if (each === undefined) t.fail(`${key} was acknowledged and is not there`)
      else if (each.lamport !== stamped || JSON.stringify(each.payload) !== JSON.stringify({ request, at })) {
        t.fail(`${key} is another event`)
      }
    }
    for (const [stream, newest] of store.offsets()) {
      const offsets = events.filter((each) => each.stream === stream).map(({ offset }) => offset)
      t.same(
        offsets,
        Array.from({ length: offsets.length }, (_, at) => newest - offsets.length + 1 + at),
        'no holes',
      )
    }
    await close()
  }
  t.ok(acknowledged.size > 100, `${String(acknowledged.size)} events were acknowledged`)
})

/** Node ids may hold slashes. */
function splitKey(key: string): [string, string] {
  const at = key.lastIndexOf('/')
  return [key.slice(0, at), key.slice(at + 1)]
}

/** Why no small file system can be mounted, if so. */
const cannotMount =
  process.getuid?.() === 0 && testLevel() !== 'quick' ? false : 'needs root, and MILLRACE_TEST_LEVEL other than quick'

t.test(
  'a full disk refuses publishers, serves readers, and is left behind by itself',
  { skip: cannotMount },
  async (t) => {
    const path = join(temporaryDirectory(t), 'disk')
    mkdirSync(path)
    const mount = (...args: string[]) => spawnSync('mount', args).status
    if (mount('-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', path) !== 0) {
      t.pass('no file systems can be mounted here')
      return
    }
    t.teardown(() => spawnSync('umount', [path]))
    const settings = { reserveBytes: 16 * 1024 * 1024, block: { maxEvents: 64, maxBytes: 1_000_000 } }
    let { store, close } = await openTestStore(path, settings)
    let noise = 1
    const text = () =>
      Array.from({ length: 2000 }, () => ((noise = (noise * 48271) % 2147483647) % 65536).toString(36)).join('')
    let acknowledged = 0
    const publishNext = async (count: number): Promise<unknown> => {
      const events = Array.from({ length: count }, (_, at) => event({ number: acknowledged + at, text: text() }))
      try {
        await publish(store, events)
        acknowledged += count
        return undefined
      } catch (error) {
        t.match(store.health, { writable: false, problems: [/room/] })
        return error
      }
    }
    // Opening the databases anew makes a little room at times, and the store goes on by itself until there is none.
    let refused: unknown
    while (refused === undefined) {
      while (refused === undefined) refused = await publishNext(10)
      t.match(refused, { code: 'ERR_STORE_FULL' })
      refused = await publishNext(1)
    }
    t.match(refused, { code: 'ERR_STORE_FULL' })
    const numbers = async () => (await readAll(store)).map(({ payload }) => (payload as { number: number }).number)
    const expected = () => Array.from({ length: acknowledged }, (_, at) => at)
    t.same(await numbers(), expected(), 'reads go on')
    t.equal(mount('-o', 'remount,size=96m', path), 0)
    await until(() => store.health.writable)
    const [next] = await publish(store, [event({ number: acknowledged })])
    t.equal(next?.offset, acknowledged, 'no offset was used up')
    acknowledged++
    t.same(await numbers(), expected())
    await close()
    ;({ store, close } = await openTestStore(path, settings))
    t.same(await numbers(), expected(), 'so it is after a restart')
    t.same(store.health, { writable: true, problems: [] })
    await close()
  },
)
