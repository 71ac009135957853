// The unmodified npm packages @actyx/pond and @actyx/machine-runner against a started daemon process.
import { createMachineRunner, MachineEvent, SwarmProtocol } from '@actyx/machine-runner'
import { FishId, Pond, Tag as PondTag, Tags as PondTags, type Fish } from '@actyx/pond'
import { Actyx } from '@actyx/sdk'
import t from 'tap'
import { Collector } from '../support/collector.js'
import { DaemonProcess } from '../support/daemon.js'

const daemon = await DaemonProcess.start()
t.teardown(() => daemon.close())

const manifest = { appId: 'com.example.apps', displayName: 'App test', version: '1.0.0' }

interface Move {
  readonly item: string
  readonly by: number
}

/** Stock of one item: the sum of all its moves. */
function stockFish(item: string): Fish<number, Move> {
  return {
    fishId: FishId.of('stock', item, 1),
    initialState: 0,
    where: PondTags<Move>('move', `item:${item}`),
    onEvent: (stock, move) => stock + move.by,
  }
}

async function openPond(): Promise<Pond> {
  const pond = await Pond.of(manifest, { actyxHost: '127.0.0.1', actyxPort: daemon.port }, {})
  t.teardown(() => {
    pond.dispose()
  })
  return pond
}

const move = (item: string, by: number): { tags: string[]; event: Move } => ({
  tags: ['move', `item:${item}`],
  event: { item, by },
})

t.test('Pond: fish follow the past and the live, from two ponds', async (t) => {
  const [pond, other] = await Promise.all([openPond(), openPond()])
  t.equal(pond.info().nodeId, daemon.ready.nodeId)
  await pond.publish([move('bolt', 5), move('nut', 1), move('bolt', 2)])
  const states = new Collector<number>()
  const cancel = pond.observe(stockFish('bolt'), states.push, states.fail)
  await states.until((items) => items.at(-1) === 7)
  await other.publish(move('bolt', -3))
  await states.until((items) => items.at(-1) === 4)
  await pond.emit(PondTags<Move>('move', 'item:bolt'), { item: 'bolt', by: 1 }).toPromise()
  await states.until((items) => items.at(-1) === 5)
  t.equal(await other.currentState(stockFish('bolt')), 5)
  t.equal(await other.currentState(stockFish('nut')), 1)
  cancel()
})

t.test('Pond: run and keepRunning see their own effects', async (t) => {
  const pond = await openPond()
  await Promise.all(
    Array.from({ length: 10 }, () =>
      pond
        .run(stockFish('screw'), (stock, enqueue) => {
          enqueue(PondTags<Move>('move', 'item:screw'), { item: 'screw', by: stock + 1 })
        })
        .toPromise(),
    ),
  )
  const screws = new Collector<number>()
  const cancelScrews = pond.observe(stockFish('screw'), screws.push, screws.fail)
  await screws.until((items) => items.at(-1) === 2 ** 10 - 1)
  t.pass('each run saw what the one before it wrote')
  cancelScrews()

  const states = new Collector<number>()
  const cancelObserve = pond.observe(stockFish('gear'), states.push, states.fail)
  const cancel = pond.keepRunning(stockFish('gear'), (stock, enqueue) => {
    if (stock < 5) enqueue(PondTags<Move>('move', 'item:gear'), { item: 'gear', by: 1 })
  })
  await states.until((items) => items.at(-1) === 5)
  cancel()
  cancelObserve()
})

t.test('Pond: observeAll makes a fish per seed event, observeOne follows one', async (t) => {
  const pond = await openPond()
  await pond.publish(['a', 'b', 'c'].map((item) => ({ tags: ['seed'], event: { item } })))
  const all = new Collector<number[]>()
  const cancelAll = pond.observeAll(
    PondTag<{ item: string }>('seed'),
    (seed) => stockFish(`seeded-${seed.item}`),
    {},
    all.push,
  )
  await all.until((items) => items.at(-1)?.length === 3)
  await pond.publish([move('seeded-b', 7), move('seeded-c', 1)])
  const reached = await all.until((items) => [...(items.at(-1) ?? [])].sort().join() === '0,1,7')
  t.equal(reached.at(-1)?.length, 3)
  cancelAll()

  const one = new Collector<number>()
  const cancelOne = pond.observeOne(PondTag<{ item: string }>('seed'), () => stockFish('seeded-b'), one.push, one.fail)
  await one.until((items) => items.at(-1) === 7)
  cancelOne()
})

t.test('Pond: fish go on after the node was killed and started again', async (t) => {
  const pond = await openPond()
  await pond.publish(move('chain', 1))
  const states = new Collector<number>()
  const cancel = pond.observe(stockFish('chain'), states.push, () => undefined)
  await states.until((items) => items.at(-1) === 1)
  await daemon.kill()
  await daemon.startAgain()
  const fresh = await openPond()
  await fresh.publish(move('chain', 1))
  t.equal(await fresh.currentState(stockFish('chain')), 2)
  cancel()
})

const requested = MachineEvent.design('requested').withPayload<{ id: string }>()
const bid = MachineEvent.design('bid').withPayload<{ robot: string; delay: number }>()
const selected = MachineEvent.design('selected').withPayload<{ winner: string }>()
const transport = SwarmProtocol.make('transportOrder', [requested, bid, selected])

const warehouse = transport.makeMachine('warehouse')
const Asking = warehouse
  .designState('Asking')
  .withPayload<{ id: string }>()
  .command('request', [requested], (context) => [{ id: context.self.id }])
  .finish()
const Asked = warehouse.designEmpty('Asked').finish()
Asking.react([requested], Asked, () => ({}))

const robot = transport.makeMachine('robot')
const Waiting = robot.designState('Waiting').withPayload<{ robot: string }>().finish()
const Auction = robot
  .designState('Auction')
  .withPayload<{ robot: string; bids: readonly string[] }>()
  .command('bid', [bid], (context, delay: number) => [{ robot: context.self.robot, delay }])
  .command('select', [selected], (_context, winner: string) => [{ winner }])
  .finish()
const Done = robot.designState('Done').withPayload<{ winner: string }>().finish()
Waiting.react([requested], Auction, (context) => ({ robot: context.self.robot, bids: [] }))
Auction.react([bid], Auction, (context, event) => ({
  robot: context.self.robot,
  bids: [...context.self.bids, event.payload.robot],
}))
Auction.react([selected], Done, (_context, event) => ({ winner: event.payload.winner }))

t.test('machine-runner: a warehouse and two robots agree on who carries', async (t) => {
  const connect = (): Promise<Actyx> => Actyx.of(manifest, { actyxHost: '127.0.0.1', actyxPort: daemon.port })
  const [first, second] = await Promise.all([connect(), connect()])
  t.teardown(() => {
    first.dispose()
    second.dispose()
  })
  const tags = transport.tagWithEntityId('4711')

  const runRobot = async (actyx: Actyx, name: string, decides: boolean): Promise<string> => {
    for await (const state of createMachineRunner(actyx, tags, Waiting, { robot: name })) {
      const done = state.as(Done)
      if (done !== undefined) return done.payload.winner
      const auction = state.as(Auction)
      if (auction === undefined) continue
      const { bids } = auction.payload
      if (!bids.includes(name)) await auction.commands()?.bid(1)
      else if (decides && bids.length === 2) await auction.commands()?.select([...bids].sort()[0] ?? '')
    }
    throw new Error('the machine ended early')
  }
  const runWarehouse = async (actyx: Actyx): Promise<void> => {
    for await (const state of createMachineRunner(actyx, tags, Asking, { id: '4711' })) {
      const asking = state.as(Asking)
      if (asking === undefined) return
      await asking.commands()?.request()
    }
  }
  const winners = await Promise.all([
    runRobot(first, 'agv1', true),
    runRobot(second, 'agv2', false),
    runWarehouse(first),
  ])
  t.same(winners.slice(0, 2), ['agv1', 'agv1'])
})

t.test('machine-runner: a machine started later replays the same history', async (t) => {
  const actyx = await Actyx.of(manifest, { actyxHost: '127.0.0.1', actyxPort: daemon.port })
  t.teardown(() => {
    actyx.dispose()
  })
  const runner = createMachineRunner(actyx, transport.tagWithEntityId('4711'), Waiting, { robot: 'agv3' })
  const { value } = await runner.peek()
  t.equal(value?.as(Done)?.payload.winner, 'agv1')
  runner.destroy()
})
