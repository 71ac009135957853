import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { event, openTestStore, publish, readAll, until } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

t.test('what was published is read back in all orders, from tail and blocks, before and after a restart', async (t) => {
  const path = temporaryDirectory(t)
  let opened = await openTestStore(path)
  await opened.store.registerStreams(['default', 'x', 'y'])
  const expected: unknown[] = []
  for (let round = 0; round < 50; round++) {
    const events = Array.from({ length: 1 + (round % 7) }, (_, at) =>
      event({ round, at }, [`round:${String(round % 5)}`, 'all'], at % 3),
    )
    const publications = await publish(opened.store, events, 1_000_000 + round)
    publications.forEach((publication, at) =>
      expected.push({
        ...publication,
        tags: ['all', `round:${String(round % 5)}`],
        appId: 'com.example.test',
        payload: { round, at },
      }),
    )
  }
  const check = async () => {
    const { store } = opened
    t.same(await readAll(store), expected, 'ascending')
    t.same(await readAll(store, 'desc'), expected.toReversed(), 'descending')
    t.equal((await readAll(store, 'stream-asc')).length, expected.length, 'stream by stream')
    const some = await readAll(store, 'asc', { kind: 'tags', anyOf: new Set(['round:3']) })
    t.same(
      some,
      expected.filter((each) => (each as { tags: string[] }).tags.includes('round:3')),
      'by tag',
    )
  }
  await check()
  await until(() => opened.store.metrics().sealedBlocks >= 3)
  await check()
  for (let restart = 0; restart < 2; restart++) {
    await opened.close()
    opened = await openTestStore(path)
    t.same(opened.store.health, { writable: true, problems: [] })
    await check()
  }
  const [next] = await publish(opened.store, [event(1)])
  t.equal(next?.lamport, expected.length, 'lamports go on')
  await opened.close()
})

t.test('requests that arrive together share a commit and keep their order', async (t) => {
  const opened = await openTestStore(temporaryDirectory(t))
  const { store } = opened
  const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => publish(store, [event(at), event(at)])))
  t.same(
    answers.flat().map(({ offset }) => offset),
    Array.from({ length: 40 }, (_, at) => at),
  )
  t.equal(store.metrics().commits, 1)
  await opened.close()
})

t.test('a data directory of format version 1 opens, is read exactly, and goes on', async (t) => {
  // Tests run from dist/test; fixtures are not copied there.
  const fixture = fileURLToPath(new URL('../../../test/fixtures/format-v1', import.meta.url))
  const path = join(temporaryDirectory(t), 'data')
  await cp(join(fixture, 'data'), path, { recursive: true })
  const { store, close } = await openTestStore(path, {
    topic: 'default-topic',
    block: { maxEvents: 32, maxBytes: 16_384 },
  })
  t.same(store.health, { writable: true, problems: [] })
  const lines: Buffer[] = []
  const request = {
    selection: { kind: 'all' },
    order: 'asc',
    lowerBound: new Map(),
    upperBound: store.offsets(),
  } as const
  for await (const batch of store.read(request)) lines.push(...batch.slices())
  const expected = await readFile(join(fixture, 'events.ndjson'), 'utf8')
  t.equal(Buffer.concat(lines).toString(), expected, 'byte for byte')
  const streams: unknown = JSON.parse(await readFile(join(fixture, 'streams.json'), 'utf8'))
  t.match(await store.streams(), streams)
  t.match(await store.blobs.get('com.example.app', ['folder', 'blob']), {
    mimeType: 'text/plain',
    bytes: Buffer.from('a blob'),
  })
  t.same(
    [...(await store.registerStreams(['short-lived', 'new']))],
    [
      ['short-lived', 2],
      ['new', 3],
    ],
  )
  const [next] = await publish(store, [event('next', ['a'], 2)])
  t.match(next, { offset: 100, lamport: 290 })
  await close()
})
