import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { FaultProxy } from '../support/fault-proxy.js'

/** A server that sends back what it gets, a proxy before it, and a client of the proxy. */
async function connectThroughProxy(t: Test) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const proxy = await FaultProxy.open((server.address() as AddressInfo).port)
  const open = async (): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port: proxy.port, allowHalfOpen: true })
    t.teardown(() => socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  t.teardown(async () => {
    await proxy.close()
    await new Promise((resolve) => server.close(resolve))
  })
  return { proxy, open, client: await open() }
}

async function echo(socket: Socket, bytes: Buffer): Promise<{ received: Buffer; ms: number }> {
  const chunks: Buffer[] = []
  let missing = bytes.length
  const startMs = performance.now()
  socket.write(bytes)
  await new Promise<void>((resolve) => {
    const take = (chunk: Buffer): void => {
      chunks.push(chunk)
      missing -= chunk.length
      if (missing > 0) return
      socket.off('data', take)
      resolve()
    }
    socket.on('data', take)
  })
  return { received: Buffer.concat(chunks), ms: performance.now() - startMs }
}

t.test('everything arrives in order, whatever is lost, delayed or held back', async (t) => {
  const { proxy, client } = await connectThroughProxy(t)
  const bytes = Buffer.from(Uint32Array.from({ length: 100_000 }, (_, at) => at).buffer)
  t.ok((await echo(client, bytes)).received.equals(bytes))
  proxy.set({ delayMs: 5, jitterMs: 20, loss: 0.1 })
  t.ok((await echo(client, bytes)).received.equals(bytes))
  // Half a connection may end before the other.
  client.end()
  await once(client, 'end')
  client.destroy()
})

t.test('a delay counts in both directions, a narrow way takes its time', async (t) => {
  const { proxy, client } = await connectThroughProxy(t)
  proxy.set({ delayMs: 50 })
  t.ok((await echo(client, Buffer.from('x'))).ms >= 99)
  proxy.set({ delayMs: 0, bitsPerSecond: 1_000_000 })
  t.ok((await echo(client, Buffer.alloc(25_000))).ms >= 200)
})

t.test('what stalls goes on later, on connections old and new', async (t) => {
  const { proxy, client, open } = await connectThroughProxy(t)
  proxy.set({ stalled: true })
  const answers = Promise.all([echo(client, Buffer.from('old')), open().then((late) => echo(late, Buffer.from('new')))])
  const first = await Promise.race([answers, new Promise((resolve) => setTimeout(resolve, 200, 'nothing'))])
  t.equal(first, 'nothing')
  t.equal(proxy.connections, 2)
  proxy.set({ stalled: false })
  t.same(
    (await answers).map(({ received }) => received.toString()),
    ['old', 'new'],
  )
})

t.test('a reset ends connections on both sides, and new ones work', async (t) => {
  const { proxy, client, open } = await connectThroughProxy(t)
  await echo(client, Buffer.from('x'))
  const error = once(client, 'error')
  proxy.reset()
  t.match(await error, [{ code: 'ECONNRESET' }])
  t.equal((await echo(await open(), Buffer.from('again'))).received.toString(), 'again')
})
