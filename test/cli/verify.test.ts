import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import t from 'tap'
import { ApiClient } from '../support/api-client.js'
import { DaemonProcess } from '../support/daemon.js'
import { runMillrace } from '../support/run-millrace.js'

t.setTimeout(120_000)

const config = `
eventRouting:
  routes: [{ from: "'short'", into: brief }]
  streams: { brief: { maxEvents: 40 } }
storage: { block: { maxEvents: 10 } }
`

async function millrace(argv: readonly string[]) {
  const result = await runMillrace(argv)
  const lines = result.out.startsWith('{')
    ? result.out
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, any>)
    : []
  return { ...result, lines }
}

async function fill(daemon: DaemonProcess, requests: number): Promise<void> {
  const api = await ApiClient.open(daemon.port)
  for (let at = 0; at < requests; at++) {
    const tags = at % 3 === 0 ? ['short', `n:${String(at)}`] : ['long']
    await api.publish([1, 2, 3].map((value) => ({ tags, payload: `{"at":${String(at)},"value":${String(value)}}` })))
  }
  api.close()
}

/** The databases of the topic of a stopped node. */
function databases(data: string) {
  const [topic = ''] = readdirSync(join(data, 'topics'))
  const open = async (name: string) => {
    const level = new ClassicLevel<Buffer, Buffer>(join(data, 'topics', topic, name), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
      compression: name === 'meta',
    })
    await level.open()
    return level
  }
  return { meta: () => open('meta'), blocks: () => open('blocks') }
}

t.test('a store is whole while events are published, after a kill, and stopped', async (t) => {
  const daemon = await DaemonProcess.start({ config })
  t.teardown(() => daemon.close())
  await fill(daemon, 100)
  const done = new AbortController()
  const publishing = (async () => {
    while (!done.signal.aborted) await fill(daemon, 5)
  })()
  for (let round = 0; round < 5; round++) {
    const { code, lines, err } = await millrace(['verify', '-j', '-s', daemon.socket])
    t.equal(code, 0, err)
    t.match(lines.at(-1), { type: 'topic', damages: 0, streams: 2 })
    t.same(
      lines.filter(({ type }) => type === 'damage'),
      [],
    )
  }
  done.abort()
  await publishing
  await daemon.kill()
  const killed = await millrace(['verify', '-j', '-d', daemon.data])
  t.match(killed, { code: 0 }, killed.out)
  await daemon.startAgain()
  await daemon.stop()
  const stopped = await millrace(['verify', '-d', daemon.data])
  t.match(stopped.out, /^topic 'default-topic': 2 streams, \d+ blocks, [\d,]+ events checked: all is whole\n$/)
  await daemon.startAgain()
  t.match(await millrace(['verify', '-d', daemon.data]), { code: 73, err: /in use/ }, 'a running node elsewhere')
})

t.test('damage is named with stream, offsets, what is lost and what to do', async (t) => {
  const daemon = await DaemonProcess.start({ config })
  t.teardown(() => daemon.close())
  await fill(daemon, 62)
  await daemon.stop()
  const stream = `${daemon.ready.nodeId}-0`
  const { meta, blocks } = databases(daemon.data)
  const damages = async () =>
    (await millrace(['verify', '-j', '-d', daemon.data])).lines.filter((line) => line['type'] === 'damage')
  /** Changes one entry, checks, and puts it back. */
  const withChange = async (
    open: () => Promise<ClassicLevel<Buffer, Buffer>>,
    pick: (key: Buffer) => boolean,
    change: (value: Buffer) => Buffer | undefined,
  ) => {
    const level = await open()
    const [key] = (await level.keys().all()).filter(pick)
    const value = (await level.get(key!))!
    const changed = change(Buffer.from(value))
    await (changed === undefined ? level.del(key!) : level.put(key!, changed))
    await level.close()
    const found = await damages()
    const again = await open()
    await again.put(key!, value)
    await again.close()
    return found
  }
  const flip = (value: Buffer) => {
    value[value.length - 1]! ^= 1
    return value
  }
  const gone = () => undefined
  const part = (wanted: number) => (key: Buffer) => key.readUInt32BE(8) === wanted
  const ofStream = (kind: number) => (key: Buffer) => key[0] === kind && key.readBigUInt64BE(33) === 0n

  t.same(await damages(), [], 'whole at first')
  const frames = await withChange(blocks, part(2), flip)
  t.match(frames, [
    {
      stream: /-[01]$/,
      from: 0,
      to: 9,
      part: 'block frames 0',
      problem: /checksum/,
      lost: /10 events, from offset 0 to 9/,
      advice: /millrace restore/,
    },
  ])
  t.match(await withChange(blocks, part(0), flip), [{ from: 0, to: 9, part: 'block header' }])
  t.match(await withChange(blocks, part(0), gone), [{ from: 0, to: 9, problem: /missing/ }])
  t.match(await withChange(blocks, part(1), flip), [{ part: 'block positions', lost: /searches may miss/ }])
  t.match(await withChange(meta, ofStream(0x12), flip), [
    { stream, from: 0, to: 9, part: 'index entry', problem: /checksum/ },
  ])
  t.match(await withChange(meta, ofStream(0x12), gone), [
    { stream, from: 0, to: 9, part: 'index entry', problem: /missing/ },
  ])
  t.match(await withChange(meta, ofStream(0x10), flip), [{ stream, part: 'stream record' }])
  t.match(await withChange(meta, ofStream(0x11), flip), [
    { stream, part: 'tail record', lost: /cannot be read/, advice: /publishes nothing/ },
  ])
  t.match(await withChange(meta, ofStream(0x11), gone), [{ stream, part: 'tail record' }])
  const names = (key: Buffer) => key.toString('latin1') === '\x01stream-names'
  t.match(await withChange(meta, names, flip), [{ stream: null, part: "value 'stream-names'" }])
  t.same(await damages(), [], 'whole again')

  const orphan = await blocks()
  await orphan.put(Buffer.from('000000000000ffff00000000', 'hex'), Buffer.from('x'))
  await orphan.put(Buffer.from('000000000000000000000063', 'hex'), Buffer.from('x'))
  await orphan.close()
  t.match(await millrace(['verify', '-j', '-d', daemon.data]), { code: 0 }, 'left over blocks are no damage')

  // A table as the disk might spoil it.
  const [topic = ''] = readdirSync(join(daemon.data, 'topics'))
  const folder = join(daemon.data, 'topics', topic, 'blocks')
  const [table = ''] = readdirSync(folder).filter((name) => name.endsWith('.ldb'))
  const bytes = readFileSync(join(folder, table))
  writeFileSync(join(folder, table), bytes.fill(0, 100, 300))
  const spoilt = await millrace(['verify', '-d', daemon.data])
  t.equal(spoilt.code, 65)
  t.match(
    spoilt.out,
    new RegExp(`damage {2}stream ${daemon.ready.nodeId.replaceAll(/[+/]/g, '.')}-[01], block: .*\\.ldb`),
  )
  t.match(spoilt.out, /lost: \d+ events, from offset \d+ to \d+, cannot be read/)
  t.match(spoilt.out, /^damage {2}[^]*\.ldb[^]*lost: [^]*what to do: [^]*found\n$/)
})
