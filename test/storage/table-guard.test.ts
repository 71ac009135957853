import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import fc from 'fast-check'
import t from 'tap'
import { crc32c } from '../../storage/crc32c.js'
import { readLayout, readManifest } from '../../storage/leveldb-files.js'
import { TableGuard } from '../../storage/table-guard.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** A generator that gives the same numbers from 0 to 1 each time. */
function numbersFrom(seed: number): () => number {
  let state = seed
  return () => (state = (state * 48271) % 2147483647) / 2147483647
}

const keyOf = (number: number) => Buffer.from(String(number).padStart(8, '0'))

/** A database of several tables and levels, half of its values compressible. */
async function makeDatabase(path: string, compression: boolean): Promise<void> {
  const random = numbersFrom(compression ? 1 : 2)
  const level = new ClassicLevel<Buffer, Buffer>(path, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression,
    writeBufferSize: 256 * 1024,
  })
  await level.open()
  for (let batch = 0; batch < 30; batch++) {
    await level.batch(
      Array.from({ length: 20 }, (_, at) => ({
        type: 'put' as const,
        key: keyOf(batch * 20 + at),
        value: Buffer.from(Array.from({ length: 3000 }, () => (at % 2 === 0 ? random() * 256 : 65))),
      })),
    )
  }
  await level.close()
}

t.test('CRC-32C is the one of the standard', (t) => {
  t.equal(crc32c(Buffer.from('123456789'), 0, 9), 0xe3069283)
  const bytes = Buffer.from('a text that is longer than one step')
  for (let from = 0; from < 9; from++) {
    t.equal(crc32c(bytes, from, bytes.length), crc32c(Buffer.from(bytes.subarray(from)), 0, bytes.length - from))
  }
  t.end()
})

t.test('every damage to a live table is found before LevelDB sees it', async (t) => {
  for (const compression of [true, false]) {
    const path = join(temporaryDirectory(t), 'database')
    await makeDatabase(path, compression)
    const guard = await TableGuard.load(path)
    await guard.checkAll()
    t.equal(guard.isClear, true, 'a healthy one passes')
    const manifest = (await readdir(path)).find((name) => name.startsWith('MANIFEST')) ?? ''
    const tables = readManifest(await readFile(join(path, manifest)))
    t.ok(tables.length > 3, 'several tables')
    const random = numbersFrom(3)
    for (let trial = 0; trial < 60; trial++) {
      const table = tables[trial % tables.length]
      const file = join(path, `${String(table?.number).padStart(6, '0')}.ldb`)
      const healthy = await readFile(file)
      const damaged = Buffer.from(healthy)
      const at = Math.floor(random() * damaged.length)
      if (trial % 3 === 0) damaged.fill(0, at, Math.min(at + 4096, damaged.length))
      else damaged[at] = (damaged[at] ?? 0) ^ (1 << (trial % 8))
      await writeFile(file, trial % 7 === 0 ? healthy.subarray(0, at) : damaged)
      // The last eight bytes of the footer's padding mean nothing, and zeros may have been there before.
      const harmless = trial % 7 !== 0 && (damaged.equals(healthy) || isPadding(healthy, damaged))
      const check = (await TableGuard.load(path)).checkAll()
      if (harmless) await check
      else await t.rejects(check, { code: 'ERR_STORE_CORRUPT' }, `trial ${String(trial)} at ${String(at)}`)
      await writeFile(file, healthy)
    }
  }
})

/** The footer has room for longer numbers than it holds. */
function isPadding(healthy: Buffer, damaged: Buffer): boolean {
  const from = healthy.length - 48
  const same = healthy.subarray(0, from).equals(damaged.subarray(0, from)) && readLayout(damaged) !== undefined
  return same
}

t.test('damage in one block leaves the keys of the others readable', async (t) => {
  const path = join(temporaryDirectory(t), 'database')
  await makeDatabase(path, false)
  const manifest = (await readdir(path)).find((name) => name.startsWith('MANIFEST')) ?? ''
  const [table] = readManifest(await readFile(join(path, manifest)))
  const file = join(path, `${String(table?.number).padStart(6, '0')}.ldb`)
  const bytes = await readFile(file)
  const blocks = readLayout(bytes)?.data ?? []
  const block = blocks[1]
  bytes[(block?.offset ?? 0) + 5] = (bytes[(block?.offset ?? 0) + 5] ?? 0) ^ 1
  await writeFile(file, bytes)
  const guard = await TableGuard.load(path)
  const span = (key: Buffer | undefined) => ({ from: key, to: key })
  await guard.checkKeys(span(table?.smallest))
  t.equal(guard.isClear, false)
  await t.rejects(guard.checkKeys(span(block?.last)), { code: 'ERR_STORE_CORRUPT' })
  await t.rejects(
    guard.checkTables(span(table?.smallest)),
    { code: 'ERR_STORE_CORRUPT' },
    'but it must not be compacted',
  )
  await guard.checkKeys(span(table?.largest))
  await rm(join(path, 'CURRENT'))
  t.equal((await TableGuard.load(path)).isClear, true, 'without a manifest there is nothing to check')
})

t.test('any bytes are taken without harm', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      readManifest(Buffer.from(bytes))
      readLayout(Buffer.from(bytes))
    }),
  )
  t.end()
})
