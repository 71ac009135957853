import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ClassicLevel } from 'classic-level'
import { WebSocket } from 'ws'
import { HttpConnection } from '../test/support/http-connection.js'
import type { Bench, BenchContext } from './context.js'
import { benchEvent } from './events.js'
import { repeat } from './measure.js'
import { freePort, ServerProcess } from './server-process.js'

/** The floor: what the disk, the store below and the transports cost by themselves on this machine. */
export const bench: Bench = {
  name: 'raw',
  async run(context) {
    await measureDisk(context)
    await measureLevel(context)
    await measureTransports(context)
  },
}

async function measureDisk(context: BenchContext): Promise<void> {
  const record = Buffer.from(benchEvent(1).payload)
  const file = openSync(join(context.directory, 'raw'), 'w')
  const rates = await repeat(context.runs, () =>
    ratePerSecond(context.seconds, () => {
      writeSync(file, record)
      fdatasyncSync(file)
      return Promise.resolve()
    }),
  )
  closeSync(file)
  context.report({
    work: 'append 200 bytes and sync',
    system: 'write + fdatasync',
    unit: 'ev/s',
    better: 'higher',
    values: rates,
  })
}

async function measureLevel(context: BenchContext): Promise<void> {
  const db = new ClassicLevel<string, string>(join(context.directory, 'level'))
  await db.open()
  let key = 0
  for (const [size, sync] of [
    [1, true],
    [100, true],
    [1000, true],
    [100, false],
  ] as const) {
    const rates = await repeat(context.runs, async () => {
      const requests = await ratePerSecond(context.seconds, () => {
        const batch = db.batch()
        for (let index = 0; index < size; index++) batch.put(String(key++).padStart(12, '0'), benchEvent(key).payload)
        return batch.write({ sync })
      })
      return requests * size
    })
    const work = `batch of ${String(size)}, ${sync ? 'synced' : 'not synced'}, one key per event`
    context.report({ work, system: 'classic-level', unit: 'ev/s', better: 'higher', values: rates })
  }
  await db.close()
}

async function measureTransports(context: BenchContext): Promise<void> {
  const port = await freePort()
  const program = fileURLToPath(new URL('./echo-server.js', import.meta.url))
  const server = await ServerProcess.start(process.execPath, [program, String(port)], port)
  const body = Buffer.from(`{"data":[{"tags":["machine"],"payload":${benchEvent(1).payload}}]}`)
  const head = 'POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n'
  try {
    for (const clients of [1, 8, 64]) {
      const connections = await Promise.all(
        Array.from({ length: clients }, () => HttpConnection.open({ port, host: '127.0.0.1' })),
      )
      const rates = await repeat(context.runs, () =>
        sumOf(connections.map((connection) => ratePerSecond(context.seconds, () => connection.request(head, body)))),
      )
      for (const connection of connections) connection.destroy()
      const work = `round trip, ${String(clients)} client${clients === 1 ? '' : 's'}`
      context.report({ work, system: 'bare HTTP', unit: 'requests/s', better: 'higher', values: rates })
    }
    const rates = await measureWebSocket(context, port, body)
    context.report({
      work: 'round trip, 1 client',
      system: 'bare WebSocket',
      unit: 'requests/s',
      better: 'higher',
      values: rates,
    })
  } finally {
    await server.stop()
  }
}

async function measureWebSocket(context: BenchContext, port: number, body: Buffer): Promise<readonly number[]> {
  const socket = new WebSocket(`ws://127.0.0.1:${String(port)}`, { perMessageDeflate: false })
  await new Promise((resolve) => socket.once('open', resolve))
  const rates = await repeat(context.runs, () =>
    ratePerSecond(context.seconds, async () => {
      const answer = new Promise((resolve) => socket.once('message', resolve))
      socket.send(body)
      await answer
    }),
  )
  socket.close()
  return rates
}

/** How often `work` is done per second, one after the other. */
async function ratePerSecond(seconds: number, work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  const end = begin + seconds * 1000
  let done = 0
  let now = begin
  while (now < end) {
    await work()
    done++
    now = performance.now()
  }
  return (done / (now - begin)) * 1000
}

async function sumOf(rates: readonly Promise<number>[]): Promise<number> {
  return (await Promise.all(rates)).reduce((sum, rate) => sum + rate, 0)
}
