import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { KEEP_EVERYTHING, type ReplicaPiece, type Store } from '../../storage/index.js'
import { apply, BLOCK, contentOf, converge, NAMES, pull, settle } from '../support/replica.js'
import { event, openTestStore, publish, type OpenedStore } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const CHILD = fileURLToPath(new URL('../support/replica-kill-child.js', import.meta.url))

/** Cycles of start, exchange, kill; more find nothing new. */
const KILLS = Number(process.env['MILLRACE_KILLS'] ?? 3)

t.test('two nodes that are killed while they exchange lose nothing acknowledged and become equal again', async (t) => {
  const paths = [temporaryDirectory(t), temporaryDirectory(t)]
  const newest = new Map<string, number>()
  for (let cycle = 0; cycle < KILLS; cycle++) {
    const child = spawn(process.execPath, [CHILD, ...paths], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (output === '') setTimeout(() => child.kill('SIGKILL'), 60 + 71 * cycle)
      output += text
    })
    await once(child, 'close')
    for (const line of output.split('\n').slice(0, -1)) {
      const { publications } = JSON.parse(line) as { publications: readonly { stream: string; offset: number }[] }
      for (const { stream, offset } of publications) newest.set(stream, Math.max(offset, newest.get(stream) ?? -1))
    }
    const opened = [await openTestStore(paths[0]!, { block: BLOCK }), await openTestStore(paths[1]!, { block: BLOCK })]
    for (const { store } of opened) {
      t.same(store.health, { writable: true, problems: [] })
      for (const [stream, offset] of newest) {
        if (stream.startsWith(store.nodeId))
          t.ok((store.offsets().get(stream) ?? -1) >= offset, 'what was acknowledged')
      }
    }
    const [one, other] = opened as [OpenedStore, OpenedStore]
    for (const { store } of opened) {
      for (const { stream, nextOffset, frozen } of store.replicas.list()) {
        const owner = stream.startsWith(one.store.nodeId) ? one : other
        const held = store.offsets().get(stream) ?? -1
        t.ok(held <= (owner.store.offsets().get(stream) ?? -1), 'a replica never has more than its owner')
        t.equal(frozen, undefined, `no fork before offset ${String(nextOffset)}`)
      }
    }
    await converge(opened)
    t.same(await contentOf(one), await contentOf(other))
    for (const each of opened) await each.close()
  }
  t.ok(newest.size >= 4)
})

interface Model {
  readonly pieces: ReplicaPiece[]
}

interface Real {
  readonly paths: readonly string[]
  readonly opened: OpenedStore[]
}

type Command = fc.AsyncCommand<Model, Real>

const command = (name: string, run: (model: Model, real: Real) => Promise<void>): Command => ({
  check: () => true,
  run,
  toString: () => name,
})

const store = ({ opened }: Real, at: number): Store => opened[at]!.store

const who = fc.nat(2)

const commands = [
  fc.tuple(who, fc.nat(2), fc.integer({ min: 1, max: 30 })).map(([at, stream, count]) =>
    command(`${String(at)} publishes ${String(count)} into ${String(stream)}`, async (_model, real) => {
      const events = Array.from({ length: count }, (_, index) =>
        event({ index }, ['all', `n:${String(index % 3)}`], stream),
      )
      await publish(store(real, at), events)
    }),
  ),
  fc.tuple(who, who, fc.integer({ min: 100, max: 3000 })).map(([from, to, bytes]) =>
    command(`${String(to)} pulls from ${String(from)}`, async (_model, real) => {
      if (from !== to) await pull(store(real, from), store(real, to), bytes)
    }),
  ),
  fc.tuple(who, fc.nat(60), fc.nat(2000)).map(([at, offset, bytes]) =>
    command(`a piece of ${String(at)} is kept for later`, async (model, real) => {
      for (const { stream } of store(real, at).replicas.list()) {
        const piece = await store(real, at).replicas.read(stream, offset, bytes)
        if (piece !== undefined && piece.kind !== 'pruned') model.pieces.push(piece)
      }
    }),
  ),
  fc.tuple(who, fc.nat(1000)).map(([at, which]) =>
    command(`${String(at)} gets an old piece`, async (model, real) => {
      const piece = model.pieces[which % Math.max(1, model.pieces.length)]
      if (piece === undefined) return
      const outcome = await apply(store(real, at), piece)
      if (outcome.kind === 'fork' || outcome.kind === 'malformed')
        throw new Error(`${outcome.kind}: ${JSON.stringify(outcome)}`)
    }),
  ),
  fc.tuple(who, fc.nat(1000), fc.nat(100_000)).map(([at, which, byte]) =>
    command(`${String(at)} gets a damaged piece`, async (model, real) => {
      const piece = model.pieces[which % Math.max(1, model.pieces.length)]
      if (piece?.kind !== 'block') return
      const bytes = Buffer.from(piece.bytes)
      bytes[byte % bytes.length]! ^= 1 << (byte % 8)
      const outcome = await store(real, at).replicas.applyBlock(bytes)
      if (outcome.kind === 'fork') throw new Error('damage is no fork')
    }),
  ),
  who.map((at) =>
    command(`${String(at)} restarts`, async (_model, { opened, paths }) => {
      await opened[at]!.close()
      opened[at] = await openTestStore(paths[at] ?? '', { block: BLOCK })
      if (!opened[at].store.health.writable) throw new Error(opened[at].store.health.problems.join())
    }),
  ),
  fc.tuple(who, fc.integer({ min: 5, max: 40 })).map(([at, maxEvents]) =>
    command(`${String(at)} keeps ${String(maxEvents)} events`, async (_model, real) => {
      store(real, at).setRetention(new Map([['y', { ...KEEP_EVERYTHING, maxEvents }]]))
      await settle(real.opened[at]!)
    }),
  ),
]

t.test('whatever comes in whatever order, all stores end up with the same streams', { timeout: 120_000 }, async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 30, size: 'max' }), async (sequence) => {
      const paths = [temporaryDirectory(t), temporaryDirectory(t), temporaryDirectory(t)]
      const opened: OpenedStore[] = []
      for (const path of paths) {
        const each = await openTestStore(path, { block: BLOCK })
        opened.push(each)
        await each.store.registerStreams(NAMES)
      }
      try {
        await fc.asyncModelRun(() => ({ model: { pieces: [] }, real: { paths, opened } }), sequence)
        await converge(opened)
        const [first, ...others] = await Promise.all(opened.map(contentOf))
        for (const other of others) {
          if (JSON.stringify(other) !== JSON.stringify(first)) throw new Error('stores differ')
        }
        if (opened.some(({ store }) => store.health.problems.length > 0)) throw new Error('there are problems')
      } finally {
        for (const each of opened) await each.close()
      }
    }),
    { numRuns: Number(process.env['MILLRACE_MODEL_RUNS'] ?? 12), interruptAfterTimeLimit: 15_000, endOnFailure: true },
  )
  t.pass()
})
