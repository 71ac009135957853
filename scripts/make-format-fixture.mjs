// Makes test/fixtures/format-v1: a data directory of format version 1 and what must be read from it. Run once, when the
// format is decided (`npm run build && node scripts/make-format-fixture.mjs`); later versions must open what is there.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DataDirectory, KEEP_EVERYTHING, openStore } from '../dist/storage/index.js'

const target = join(dirname(dirname(fileURLToPath(import.meta.url))), 'test/fixtures/format-v1')
const data = join(target, 'data')
rmSync(target, { recursive: true, force: true })
mkdirSync(data, { recursive: true })
writeFileSync(join(data, 'identity.key'), `${'5e'.repeat(32)}\n`, { mode: 0o600 })

const clock = { nowMicros: () => 1_795_226_400_000_000, monotonicMs: () => 0 }
const logger = { info: () => undefined, warn: console.warn, error: console.error }

async function open() {
  const directory = await DataDirectory.open(data)
  const store = await openStore({
    directory,
    topic: 'default-topic',
    clock,
    logger,
    sync: 'always',
    block: { maxEvents: 32, maxBytes: 16_384 },
    pruneIntervalMs: 3_600_000,
    cacheBytes: 1024 * 1024,
    maxInFlightBytes: 1024 * 1024,
    maxUnsealedBytes: 1024 * 1024,
    reserveBytes: 4096,
  })
  return { directory, store }
}

async function close({ directory, store }) {
  await store.close()
  await directory.close()
}

const texts = ['plain', 'ünïcödé 🛫', '"quoted" \\ back', '']
const payloads = (at) => [
  `{"number":${at},"text":${JSON.stringify(texts[at % texts.length])}}`,
  `5.0`,
  `18446744073709551615`,
  `[${at},[],{}]`,
]

const opened = await open()
await opened.store.registerStreams(['default', 'flights', 'short-lived'])
opened.store.setRetention(new Map([['short-lived', { ...KEEP_EVERYTHING, maxEvents: 40 }]]))
for (let request = 0; request < 90; request++) {
  const count = request % 9 === 0 ? 12 : 1 + (request % 3)
  await opened.store.append({
    appId: request % 2 === 0 ? 'com.example.app' : 'com.example.other-app',
    timestamp: 1_795_226_000_000_000 + request * 1_000_003,
    events: Array.from({ length: count }, (_, at) => ({
      tags: ['all', `request:${request}`, ...(at % 5 === 0 ? ['täg'] : [])].sort(),
      payload: Buffer.from(payloads(at)[(request + at) % 4]),
      streamNumber: (request + at) % 3,
    })),
  })
}
while ((await opened.store.streams()).some(({ tailEvents }) => tailEvents >= 32)) {
  await new Promise((resolve) => setTimeout(resolve, 10))
}
opened.store.setRetention(new Map([['short-lived', { ...KEEP_EVERYTHING, maxEvents: 40 }]]))
await opened.store.blobs.put('com.example.app', ['folder', 'blob'], 'text/plain', Buffer.from('a blob'))
await new Promise((resolve) => setTimeout(resolve, 500))

const { store } = opened
const lines = []
const request = { selection: { kind: 'all' }, order: 'asc', lowerBound: new Map(), upperBound: store.offsets() }
for await (const batch of store.read(request)) lines.push(...batch.slices())
writeFileSync(join(target, 'events.ndjson'), Buffer.concat(lines))
const streams = (await store.streams()).map(({ stream, name, number, firstOffset, nextOffset, blocks, tailEvents }) => {
  return { stream, name, number, firstOffset, nextOffset, blocks, tailEvents }
})
writeFileSync(join(target, 'streams.json'), `${JSON.stringify(streams, null, 2)}\n`)
await close(opened)
// Opening again moves everything from LevelDB's logs into tables; the logs are then empty and not needed.
await close(await open())
for (const file of readdirSync(data, { recursive: true })) {
  if (/(\.log|LOG|LOG\.old|LOCK|reserve)$/.test(file)) rmSync(join(data, file))
}
