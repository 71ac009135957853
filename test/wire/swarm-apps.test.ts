// The unmodified npm packages on two daemon processes: whatever happens to the way between them, apps on both agree afterwards.
import { createMachineRunner, MachineEvent, SwarmProtocol } from '@actyx/machine-runner'
import { FishId, Pond, Tag as PondTag, Tags as PondTags, type Fish } from '@actyx/pond'
import { Actyx, Tag, Tags, type ActyxEvent } from '@actyx/sdk'
import t, { type Test } from 'tap'
import { Collector } from '../support/collector.js'
import { openDaemonPair, type DaemonPair } from '../support/daemon-pair.js'
import type { DaemonProcess } from '../support/daemon.js'
import { testLevel } from '../support/level.js'
import { Random } from '../support/random.js'
import { until } from '../support/store.js'

// Leaving by itself Node 20 often spins for ever over a socket of a client that a killed daemon left in the middle of its
// connecting (seen in Environment::CleanupHandles); process.exit() takes another way.
t.teardown(() => {
  setTimeout(() => process.exit(), 500)
})

const manifest = { appId: 'com.example.swarm', displayName: 'Swarm test', version: '1.0.0' }

const placeOf = ({ port }: DaemonProcess) => ({ actyxHost: '127.0.0.1', actyxPort: port })

async function connect(t: Test, daemon: DaemonProcess): Promise<Actyx> {
  const actyx = await Actyx.of(manifest, placeOf(daemon))
  t.teardown(() => {
    actyx.dispose()
  })
  return actyx
}

async function openPond(t: Test, daemon: DaemonProcess): Promise<Pond> {
  const pond = await Pond.of(manifest, placeOf(daemon), {})
  t.teardown(() => {
    pond.dispose()
  })
  return pond
}

/** Does the same on both nodes. */
async function onBoth<T>(
  { daemons }: DaemonPair,
  work: (daemon: DaemonProcess, index: 0 | 1) => Promise<T>,
): Promise<[T, T]> {
  return Promise.all([work(daemons[0], 0), work(daemons[1], 1)])
}

const texts = (events: readonly ActyxEvent[]): string[] => events.map(({ payload }) => String(payload))

async function inOrder(actyx: Actyx, tag: string): Promise<string[]> {
  return texts((await actyx.queryAllKnown({ query: Tag(tag) })).events)
}

const connected = async (actyx: Actyx): Promise<boolean> => (await actyx.nodeInfo(-1)).connectedNodes() === 1

const pair = await openDaemonPair(t)

t.test('subscriptions on both nodes get every event once, before, during and after a partition', async (t) => {
  const nodes = await onBoth(pair, (daemon) => connect(t, daemon))
  const [first, second] = nodes
  const note = (text: string) => Tags<string>('note').apply(text)
  const follow = (actyx: Actyx): Collector<ActyxEvent> => {
    const events = new Collector<ActyxEvent>()
    t.teardown(actyx.subscribe({ query: Tag('note') }, events.push, events.fail))
    return events
  }
  const seen = nodes.map(follow)
  const sums = nodes.map((actyx) => {
    const lengths = new Collector<number>()
    const add = (sum: number, text: string): number => sum + text.length
    t.teardown(actyx.observeUnorderedReduce(Tag<string>('note'), add, 0, lengths.push, lengths.fail))
    return lengths
  })
  await first.publish(note('a1'))
  await second.publish(note('b1'))
  await Promise.all(seen.map((events) => events.count(2)))

  pair.cut()
  await until(async () => !(await connected(first)) && !(await connected(second)))
  await first.publish([note('a2'), note('a3')])
  await second.publish(['b2', 'b3', 'b4'].map(note))
  t.same(texts(await seen[0]!.count(4)).sort(), ['a1', 'a2', 'a3', 'b1'], 'each node goes on by itself')
  t.same(texts(await seen[1]!.count(5)).sort(), ['a1', 'b1', 'b2', 'b3', 'b4'])

  pair.heal()
  await Promise.all(seen.map((events) => events.count(7)))
  await second.publish(note('end'))
  await Promise.all(seen.map((events) => events.until((items) => texts(items).includes('end'))))
  const all = ['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'b4', 'end']
  for (const { items } of seen) t.same(texts(items).sort(), all)
  const order = await inOrder(first, 'note')
  t.same(order, await inOrder(second, 'note'), 'queries answer in one order')
  t.equal(order.at(-1), 'end', 'what was published after everything was seen comes last')
  for (const lengths of sums) await lengths.until((items) => items.at(-1) === all.join('').length)
})

/** Everything noted under a tag, in order. */
function logFish(tag: string): Fish<readonly string[], string> {
  return {
    fishId: FishId.of('log', tag, 1),
    initialState: [],
    where: PondTags<string>(tag),
    onEvent: (state, text) => [...state, text],
  }
}

t.test('fish on both nodes end in the state that the order of all events gives', async (t) => {
  const ponds = await onBoth(pair, (daemon) => openPond(t, daemon))
  const [first, second] = ponds
  const fish = logFish('fish')
  const states = ponds.map((pond) => {
    const collector = new Collector<readonly string[]>()
    t.teardown(pond.observe(fish, collector.push, collector.fail))
    return collector
  })
  const log = (pond: Pond, text: string) => pond.publish({ tags: ['fish'], event: text })
  for (let at = 0; at < 15; at++) await log(ponds[at % 2]!, `together ${String(at)}`)
  await Promise.all(states.map((each) => each.until((items) => items.at(-1)?.length === 15)))

  pair.cut()
  for (let at = 0; at < 15; at++) {
    await log(first, `first ${String(at)}`)
    if (at % 3 === 0) await log(second, `second ${String(at)}`)
  }
  await states[0]!.until((items) => items.at(-1)?.length === 30)
  await states[1]!.until((items) => items.at(-1)?.length === 20)
  t.notOk(states[0]!.items.at(-1)?.some((text) => text.startsWith('second')))

  pair.heal()
  await Promise.all(states.map((each) => each.until((items) => items.at(-1)?.length === 35)))
  const order = await inOrder(await connect(t, pair.daemons[0]), 'fish')
  t.ok(order.indexOf('second 0') < order.indexOf('first 14'), 'they lie between each other')
  for (const each of states) t.same(each.items.at(-1), order)
  for (const pond of ponds) t.same(await pond.currentState(fish), order)
})

t.test('effects on both nodes see what was done before them where they run, and none is lost', async (t) => {
  const ponds = await onBoth(pair, (daemon) => openPond(t, daemon))
  const fish = logFish('effect')
  const counts = ponds.map((pond) => {
    const collector = new Collector<number>()
    const push = ({ length }: readonly string[]): void => {
      collector.push(length)
    }
    t.teardown(pond.observe(fish, push, collector.fail))
    return collector
  })
  const run = (pond: Pond, side: string) =>
    pond
      .run(fish, (state, enqueue) => {
        enqueue(PondTags<string>('effect'), `${side} ${String(state.filter((text) => text.startsWith(side)).length)}`)
      })
      .toPromise()
  pair.stall()
  await Promise.all(ponds.flatMap((pond, side) => Array.from({ length: 10 }, () => run(pond, String(side)))))
  pair.heal()
  await Promise.all(counts.map((each) => each.until((items) => items.at(-1) === 20)))
  const expected = ['0', '1'].flatMap((side) => Array.from({ length: 10 }, (_, at) => `${side} ${String(at)}`))
  const [state, other] = await Promise.all(ponds.map((pond) => pond.currentState(fish)))
  t.same([...state!].sort(), expected)
  t.same(other, state)

  const keep = logFish('keep')
  const reached = ponds.map((pond) => {
    const collector = new Collector<readonly string[]>()
    t.teardown(pond.observe(keep, collector.push, collector.fail))
    return collector
  })
  pair.cut()
  for (const pond of ponds) {
    t.teardown(
      pond.keepRunning(keep, (state, enqueue) => {
        if (state.length < 5) enqueue(PondTags<string>('keep'), 'x')
      }),
    )
  }
  await Promise.all(reached.map((each) => each.until((items) => items.at(-1)?.length === 5)))
  pair.heal()
  await Promise.all(reached.map((each) => each.until((items) => items.at(-1)?.length === 10)))
  t.pass('each node did what was to be done as long as it was alone, and nothing more afterwards')
})

t.test('observeAll and observeOne of Pond find what began on the other node', async (t) => {
  const [first, second] = await onBoth(pair, (daemon) => openPond(t, daemon))
  const all = new Collector<(readonly string[])[]>()
  const makeFish = (name: string) => logFish(`seeded-${name}`)
  t.teardown(second.observeAll(PondTag<string>('seed'), makeFish, {}, all.push))
  const one = new Collector<readonly string[]>()
  t.teardown(second.observeOne(PondTag<string>('seed'), makeFish, one.push, one.fail))
  pair.cut()
  await first.publish({ tags: ['seed', 'seeded-a'], event: 'a' })
  await first.publish({ tags: ['seeded-a'], event: 'more' })
  pair.heal()
  await one.until((items) => items.at(-1)?.join() === 'a,more')
  await first.publish({ tags: ['seed', 'seeded-b'], event: 'b' })
  await all.until((items) => items.at(-1)?.length === 2 && items.at(-1)?.every((log) => log.length > 0) === true)
  // It never says that it is done, on whatever node: this release of the package loses the end of what it reports.
  const sources = new Collector<number>()
  second.waitForSwarmSync({
    waitForSwarmMs: 1_200,
    onSyncComplete: () => undefined,
    onProgress: ({ current }) => {
      sources.push(current.sources.both)
    },
  })
  await sources.until((items) => items.at(-1) === 2)
  t.pass('Pond counts the streams of both nodes as held')
})

const requested = MachineEvent.design('requested').withPayload<{ id: string }>()
const bid = MachineEvent.design('bid').withPayload<{ robot: string }>()
const selected = MachineEvent.design('selected').withPayload<{ winner: string }>()
const transport = SwarmProtocol.make('transportOrder', [requested, bid, selected])

const warehouse = transport.makeMachine('warehouse')
const Asking = warehouse
  .designState('Asking')
  .withPayload<{ id: string }>()
  .command('request', [requested], (context) => [{ id: context.self.id }])
  .finish()
const Asked = warehouse.designEmpty('Asked').finish()
const Carried = warehouse.designState('Carried').withPayload<{ winner: string }>().finish()
Asking.react([requested], Asked, () => ({}))
Asked.react([bid], Asked, () => ({}))
Asked.react([selected], Carried, (_context, { payload }) => ({ winner: payload.winner }))

const robot = transport.makeMachine('robot')
const Waiting = robot.designState('Waiting').withPayload<{ robot: string }>().finish()
const Auction = robot
  .designState('Auction')
  .withPayload<{ robot: string; bids: readonly string[] }>()
  .command('bid', [bid], (context) => [{ robot: context.self.robot }])
  .command('select', [selected], (_context, winner: string) => [{ winner }])
  .finish()
const Done = robot.designState('Done').withPayload<{ winner: string }>().finish()
Waiting.react([requested], Auction, (context) => ({ robot: context.self.robot, bids: [] }))
Auction.react([bid], Auction, (context, event) => ({
  robot: context.self.robot,
  bids: [...context.self.bids, event.payload.robot],
}))
Auction.react([selected], Done, (_context, event) => ({ winner: event.payload.winner }))

/** A robot that decides once it knows of so many bids. Says who carries whenever its mind changes. */
function runRobot(t: Test, actyx: Actyx, order: string, name: string, bidsToDecide: number): Collector<string> {
  const winners = new Collector<string>()
  const runner = createMachineRunner(actyx, transport.tagWithEntityId(order), Waiting, { robot: name })
  t.teardown(() => {
    runner.destroy()
  })
  const work = async (): Promise<void> => {
    for await (const state of runner) {
      const done = state.as(Done)
      if (done !== undefined) winners.push(done.payload.winner)
      const auction = state.as(Auction)
      if (auction === undefined) continue
      const { bids } = auction.payload
      if (!bids.includes(name)) await auction.commands()?.bid()
      else if (bids.length >= bidsToDecide) await auction.commands()?.select(name)
    }
  }
  void work().catch(winners.fail)
  return winners
}

/** Asks for a transport if nobody has; says who carries whenever that changes. */
function runWarehouse(t: Test, actyx: Actyx, order: string): Collector<string> {
  const winners = new Collector<string>()
  const runner = createMachineRunner(actyx, transport.tagWithEntityId(order), Asking, { id: order })
  t.teardown(() => {
    runner.destroy()
  })
  const work = async (): Promise<void> => {
    for await (const state of runner) {
      const carried = state.as(Carried)
      if (carried !== undefined) winners.push(carried.payload.winner)
      await state.as(Asking)?.commands()?.request()
    }
  }
  void work().catch(winners.fail)
  return winners
}

/** Whom the order of all events lets win. */
async function winnerOf(actyx: Actyx, order: string): Promise<string> {
  const { events } = await actyx.queryAllKnown({ query: transport.tagWithEntityId(order) })
  const decisions = events.flatMap(({ payload }) => {
    const { type, winner } = payload as { type: string; winner?: string }
    return type === 'selected' && winner !== undefined ? [winner] : []
  })
  return decisions[0] ?? 'nobody'
}

t.test('machines on both nodes bid for a transport and agree who carries', async (t) => {
  const [first, second] = await onBoth(pair, (daemon) => connect(t, daemon))
  const watchers = [
    runRobot(t, first, 'calm', 'agv1', 2),
    runRobot(t, second, 'calm', 'agv2', 2),
    runWarehouse(t, second, 'calm'),
  ]
  await Promise.all(watchers.map((winners) => winners.count(1)))
  await until(async () => {
    const winner = await winnerOf(first, 'calm')
    return winner === (await winnerOf(second, 'calm')) && watchers.every(({ items }) => items.at(-1) === winner)
  })
  t.pass('all name the same one')
})

t.test('after both nodes have decided alone, machines on both let the earlier decision stand', async (t) => {
  const [first, second] = await onBoth(pair, (daemon) => connect(t, daemon))
  const orders = ['4711', '4712', '4713', '4714']
  const warehouses = orders.map((order) => runWarehouse(t, first, order))
  for (const order of orders) {
    const query = transport.tagWithEntityId(order)
    await until(async () => (await second.queryAllKnown({ query })).events.length === 1)
  }
  pair.cut()
  // Who has seen more events is later in the order of all: the two nodes take turns at that.
  const robots = []
  for (const [at, order] of orders.entries()) {
    await [first, second][at % 2]?.publish(Array.from({ length: 50 * (at + 1) }, () => Tags('busy').apply(at)))
    robots.push(runRobot(t, first, order, 'agv1', 1), runRobot(t, second, order, 'agv2', 1))
    await Promise.all(robots.slice(-2).map((winners) => winners.count(1)))
  }
  t.same(
    robots.map(({ items }) => items.join()),
    orders.flatMap(() => ['agv1', 'agv2']),
    'alone each robot takes the transport itself',
  )

  pair.heal()
  const agreed: string[] = []
  for (const [at, order] of orders.entries()) {
    const query = transport.tagWithEntityId(order)
    for (const node of [first, second]) {
      await until(async () => (await node.queryAllKnown({ query })).events.length === 5)
    }
    const winner = await winnerOf(first, order)
    t.equal(await winnerOf(second, order), winner)
    const watchers = [warehouses[at]!, ...robots.slice(2 * at, 2 * at + 2)]
    for (const winners of watchers) await winners.until((items) => items.at(-1) === winner)
    agreed.push(winner)
  }
  t.same(agreed, ['agv2', 'agv1', 'agv2', 'agv1'], 'machines on either node had to change their mind')
})

/** A subscriber as an app writes it: it knows how far it has got, and goes on from there on a new connection. */
class Subscriber {
  readonly events = new Collector<ActyxEvent>()
  readonly #bound: Record<string, number> = {}
  #cancel = (): void => undefined

  open(actyx: Actyx): void {
    this.close()
    const take = (event: ActyxEvent): void => {
      this.#bound[event.meta.stream] = Math.max(this.#bound[event.meta.stream] ?? -1, event.meta.offset)
      this.events.push(event)
    }
    this.#cancel = actyx.subscribe({ query: Tag('round'), lowerBound: { ...this.#bound } }, take, () => undefined)
  }

  close(): void {
    this.#cancel()
  }

  get texts(): string[] {
    return texts(this.events.items)
  }
}

/** One of two nodes with an app that outlives it. */
class Side {
  readonly daemon: DaemonProcess
  readonly pond: Pond
  readonly subscriber = new Subscriber()
  readonly states = new Collector<readonly string[]>()
  actyx: Actyx

  constructor(daemon: DaemonProcess, pond: Pond, actyx: Actyx) {
    this.daemon = daemon
    this.pond = pond
    this.actyx = actyx
  }

  static async open(t: Test, daemon: DaemonProcess): Promise<Side> {
    const side = new Side(daemon, await openPond(t, daemon), await Actyx.of(manifest, placeOf(daemon)))
    side.subscriber.open(side.actyx)
    const stop = side.pond.observe(logFish('round'), side.states.push, side.states.fail)
    t.teardown(() => {
      stop()
      side.subscriber.close()
      side.actyx.dispose()
    })
    return side
  }

  async publish(notes: readonly string[]): Promise<void> {
    await this.actyx.publish(notes.map((text) => Tags<string>('round').apply(text)))
  }

  /**
   * SIGKILL, and a new start. Pond goes on by itself, but gives up what is asked of it while it is not connected for 3 s;
   * the SDK's calls end.
   */
  async killAndStart(): Promise<void> {
    await this.daemon.kill()
    this.actyx.dispose()
    await this.daemon.startAgain()
    this.actyx = await Actyx.of(manifest, placeOf(this.daemon))
    this.subscriber.open(this.actyx)
    const hears = (): Promise<boolean> =>
      this.pond.publish({ tags: ['hears'], event: '' }).then(
        () => true,
        () => false,
      )
    await until(hears)
  }
}

/** Everything that was published is everywhere, once, and all agree on the order. */
async function agree(t: Test, sides: readonly [Side, Side], published: readonly string[], name: string): Promise<void> {
  const expected = [...published].sort()
  const [one, other] = sides
  for (const side of sides) {
    await until(async () => (await inOrder(side.actyx, 'round')).length === published.length)
    await side.subscriber.events.until((items) => items.length >= published.length)
    t.same([...side.subscriber.texts].sort(), expected, `${name}: the subscription had each event once`)
  }
  const order = await inOrder(one.actyx, 'round')
  t.same(await inOrder(other.actyx, 'round'), order, `${name}: queries give the same order`)
  for (const side of sides) await side.states.until((items) => items.at(-1)?.join() === order.join())
}

t.test('apps go on when a node is killed in a partition and started again', async (t) => {
  const own = await openDaemonPair(t)
  const sides = await onBoth(own, (daemon) => Side.open(t, daemon))
  const [first, second] = sides
  const published: string[] = []
  const publish = async (side: Side, text: string): Promise<void> => {
    published.push(text)
    await side.publish([text])
  }
  await publish(first, 'a1')
  await publish(second, 'b1')
  await agree(t, sides, published, 'before')
  for (const victim of sides) {
    const name = `node ${String(sides.indexOf(victim))} killed`
    own.cut()
    await publish(first, `${name}, a, before`)
    await publish(second, `${name}, b, before`)
    await victim.killAndStart()
    await publish(first, `${name}, a, after`)
    await publish(second, `${name}, b, after`)
    own.heal()
    await agree(t, sides, published, name)
  }
})

t.test('waitForSync of the SDK waits until what others have is here', async (t) => {
  const streams = ['one', 'two', 'three']
  const routes = streams.map((name) => `    - { from: "'${name}'", into: ${name} }`)
  const own = await openDaemonPair(t, `eventRouting:\n  routes:\n${routes.join('\n')}\n`)
  own.cut()
  const [first, second] = await onBoth(own, (daemon) => connect(t, daemon))
  const random = new Random(1)
  for (const name of streams) {
    const notes = Array.from({ length: 40 }, () =>
      Tags<string>('large', name).apply(random.bytes(8_000).toString('base64')),
    )
    for (const event of notes) await first.publish(event)
  }
  own.proxy.set({ bitsPerSecond: 480_000 })
  own.heal()
  let waits = true
  const synced = second.waitForSync().then(() => {
    waits = false
  })
  await until(async () => Object.keys((await second.offsets()).toReplicate).length === streams.length)
  t.ok(waits)
  own.proxy.set({ bitsPerSecond: Infinity })
  await synced
  const { present, toReplicate } = await second.offsets()
  t.same(toReplicate, {})
  t.same(present, await first.present())
  t.equal((await inOrder(second, 'large')).length, 40 * streams.length)
})

const level = testLevel()
const rounds = level === 'nightly' ? 100 : 4
const seed = Number(process.env['MILLRACE_SEED'] ?? (level === 'nightly' ? Date.now() % 1_000_000 : 4))

t.test(`apps agree after each of ${String(rounds)} rounds of whatever happens, seed ${String(seed)}`, async (t) => {
  const own = await openDaemonPair(t)
  const sides = await onBoth(own, (daemon) => Side.open(t, daemon))
  const random = new Random(seed)
  const published: string[] = []
  const note = (): string => {
    const text = `note ${String(published.length)}`
    published.push(text)
    return text
  }
  const act = async (): Promise<void> => {
    const side = random.pick(sides)
    const dice = random.below(100)
    if (dice < 50) await side.publish(Array.from({ length: 1 + random.below(30) }, note))
    else if (dice < 70) {
      const text = note()
      const effect = side.pond.run(logFish('round'), (_state, enqueue) => {
        enqueue(PondTags<string>('round'), text)
      })
      await effect.toPromise()
    } else if (dice < 80) own.cut()
    else if (dice < 88) own.stall()
    else if (dice < 95) own.heal()
    else await side.killAndStart()
  }
  for (let round = 0; round < rounds; round++) {
    for (let count = 4 + random.below(12); count > 0; count--) await act()
    own.heal()
    await agree(t, sides, published, `round ${String(round)}`)
  }
})
