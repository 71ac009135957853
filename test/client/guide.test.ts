// The programs that docs/client.md shows: each block is part of one of them, and they do what it says.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { Client } from '../../client/index.js'
import { nodeTransport } from '../../client/node.js'
import { Collector } from '../support/collector.js'
import { DaemonProcess } from '../support/daemon.js'
import { plainNode } from '../support/plain-node.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))

const daemon = await DaemonProcess.start()
t.teardown(() => daemon.close())

function start(name: string, ...args: readonly string[]): ChildProcess & { readonly stdout: NodeJS.ReadableStream } {
  const child = spawn(...plainNode([join(root, 'dist/examples', `${name}.js`), ...args]), {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.teardown(() => child.kill())
  return child
}

/** What a program has written so far. */
function outputOf(child: ReturnType<typeof start>): Collector<string> {
  const output = new Collector<string>()
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', output.push)
  return output
}

const has = (wanted: string) => (parts: readonly string[]) => parts.join('').includes(wanted)

t.test('every block of the guide stands in an example as it is', (t) => {
  const names = readdirSync(join(root, 'examples')).filter((name) => /^client-.*\.ts$/.test(name))
  const programs = names.map((name) => readFileSync(join(root, 'examples', name), 'utf8'))
  const guide = readFileSync(join(root, 'docs/client.md'), 'utf8')
  const blocks = [...guide.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block)
  t.ok(blocks.length >= 8)
  for (const block of blocks)
    t.ok(
      programs.some((program) => program.includes(block)),
      block.slice(0, 60),
    )
  t.equal([...guide.matchAll(/^```/gm)].length, 2 * blocks.length, 'there are no others')
  t.end()
})

t.test('the first example publishes, queries and subscribes', async (t) => {
  const child = start('client-basics', daemon.url)
  const exited = once(child, 'exit')
  const output = await text(child.stdout)
  t.same(await exited, [0, null], 'it ends by itself')
  t.match(output, /^stored as \S+-0\/0\nstored as \S+-0\/1\n/)
  t.match(output, 'warm: 240.5, reading reading:oven\nreading: 21.5\nreading: 240.5\n')
})

t.test('the follower goes on where it was, in the next run and after the node was away', async (t) => {
  const file = join(t.testdir(), 'progress')
  const first = start('client-follow', daemon.socket, file)
  const output = outputOf(first)
  await output.until(has('reading: 240.5\nlive\n'))
  await daemon.stop()
  await output.until(has('again in'))
  await daemon.startAgain()
  await output.until((parts) => parts.join('').split('live\n').length === 3)
  const exited = once(first, 'exit')
  first.kill('SIGINT')
  t.same(await exited, [0, null])
  const client = new Client(nodeTransport({ url: daemon.url }), {
    appId: 'com.example.guide',
    displayName: 'Guide',
    version: '1',
  })
  t.teardown(() => {
    client.close()
  })
  await client.publish([{ tags: ['reading'], payload: { celsius: -3 } }])
  const second = start('client-follow', daemon.socket, file)
  const more = outputOf(second)
  await more.until(has('live'))
  second.kill('SIGINT')
  t.equal(more.items.join(''), 'connecting\nreading: -3\nlive\n', 'only what is new')

  const latest = start('client-latest', daemon.url)
  const states = outputOf(latest)
  await states.until(has('{}\n'))
  await client.publish([{ tags: ['latest'], payload: { place: 'hall', celsius: 20 } }])
  await client.publish([{ tags: ['latest'], payload: { place: 'oven', celsius: 200 } }])
  await states.until(has('{"hall":20,"oven":200}\n'))
  const left = once(latest, 'exit')
  latest.kill('SIGINT')
  t.same(await left, [0, null])
})

t.test('an order is placed once, also when the node is away at first', async (t) => {
  await daemon.stop()
  const child = start('client-publish-once', daemon.url, '7')
  const output = outputOf(child)
  const exited = once(child, 'exit')
  await output.until(has('trying again'))
  await daemon.startAgain()
  t.same(await exited, [0, null])
  t.match(output.items.join(''), /ERR_NODE_UNREACHABLE: trying again\n[^]*ordered\n$/)
  const client = new Client(nodeTransport({ socketPath: daemon.socket }), {
    appId: 'com.example.guide',
    displayName: 'Guide',
    version: '1',
  })
  t.teardown(() => {
    client.close()
  })
  let orders = 0
  for await (const line of client.query("FROM 'order:7'")) if (line.type === 'event') orders += 1
  t.equal(orders, 1)
})
