// The unmodified npm packages on a node that gets events of others late: what they show is what the order of all events says.
import { createMachineRunner, MachineEvent, SwarmProtocol } from '@actyx/machine-runner'
import { FishId, Pond, Tags as PondTags, type Fish } from '@actyx/pond'
import { Actyx, EventKey, Tags, type EventsOrTimetravel } from '@actyx/sdk'
import t from 'tap'
import { Collector } from '../support/collector.js'
import { openReplica, pull } from '../support/replica.js'
import { serveStore, type ServedStore } from '../support/served-store.js'
import { event, publish } from '../support/store.js'

const manifest = { appId: 'com.example.late', displayName: 'Late events', version: '1.0.0' }

const placeOf = ({ url }: ServedStore) => ({ actyxHost: '127.0.0.1', actyxPort: Number(new URL(url).port) })

t.test('a fish of Pond folds late events where they belong', async (t) => {
  const [other, node] = [await openReplica(t), await serveStore(t)]
  const log: Fish<string, string> = {
    fishId: FishId.of('log', 'all', 1),
    initialState: '',
    where: PondTags<string>('log'),
    onEvent: (state, text) => state + text,
  }
  for (const text of ['a', 'b']) await publish(other.store, [event(text, ['log'])])
  await node.publish(['other'], 1)
  await node.publish(['log'], 'X')
  await node.publish(['log'], 'Y')
  const pond = await Pond.of(manifest, placeOf(node), {})
  t.teardown(() => {
    pond.dispose()
  })
  const states = new Collector<string>()
  const cancel = pond.observe(log, states.push, states.fail)
  await states.until((items) => items.at(-1) === 'XY')
  await pull(other.store, node.store)
  const order = (await node.query("FROM 'log'")).map(({ payload }) => payload).join('')
  t.not(order, 'XYab', 'they belong before what was there')
  await states.until((items) => items.at(-1) === order)
  await pull(node.store, other.store)
  await publish(other.store, [event('z', ['log'])])
  await pull(other.store, node.store)
  await states.until((items) => items.at(-1) === `${order}z`)
  t.equal(await pond.currentState(log), `${order}z`)
  cancel()
})

t.test('the SDK asks its node for time travel, and is told of it once', async (t) => {
  const [other, node] = [await openReplica(t), await serveStore(t)]
  for (const text of ['a', 'b']) await publish(other.store, [event(text, ['log'])])
  await node.publish(['other'], 1)
  await node.publish(['log'], 'X', 'Y')
  const actyx = await Actyx.of(manifest, placeOf(node))
  t.teardown(() => {
    actyx.dispose()
  })
  const states = new Collector<string>()
  const cancel = actyx.observeLatest({ query: Tags('log') }, (text) => {
    states.push(String(text))
  })
  await states.until((items) => items.at(-1) === 'Y')
  const messages = new Collector<EventsOrTimetravel<unknown>>()
  const stop = actyx.subscribeMonotonic(
    { sessionId: 's', query: Tags('log'), attemptStartFrom: { from: {}, latestEventKey: EventKey.zero } },
    messages.push,
    messages.fail,
  )
  await messages.count(1)
  await pull(other.store, node.store)
  const travel = await messages.until((items) => items.some((message) => 'trigger' in message))
  t.match(travel.at(-1), { trigger: { lamport: 0, offset: 0, stream: `${other.store.nodeId}-0` } })
  stop()
  cancel()
})

const asked = MachineEvent.design('asked').withPayload<{ by: string }>()
const granted = MachineEvent.design('granted').withPayload<{ to: string }>()
const lock = SwarmProtocol.make('lock', [asked, granted])
const machine = lock.makeMachine('holder')
const Free = machine
  .designEmpty('Free')
  .command('ask', [asked], (_context, by: string) => [{ by }])
  .finish()
const Wanted = machine.designState('Wanted').withPayload<{ by: string }>().finish()
Free.react([asked], Wanted, (_context, { payload }) => ({ by: payload.by }))

t.test('a machine changes its mind when an earlier event arrives', async (t) => {
  const [first, second] = [await serveStore(t), await serveStore(t)]
  const connect = async (node: ServedStore): Promise<Actyx> => {
    const actyx = await Actyx.of(manifest, placeOf(node))
    t.teardown(() => {
      actyx.dispose()
    })
    return actyx
  }
  const tags = lock.tagWithEntityId('door')
  // The second node is ahead in time, so what it publishes comes after what the first one does.
  await second.publish(['other'], 1)
  await second.publish(['other'], 1)
  const winners = new Collector<string>()
  const runners = [
    [await connect(first), 'first'],
    [await connect(second), 'second'],
  ] as const
  for (const [actyx, name] of runners) {
    const runner = createMachineRunner(actyx, tags, Free, undefined)
    t.teardown(() => {
      runner.destroy()
    })
    void (async () => {
      for await (const state of runner) {
        const wanted = state.as(Wanted)
        if (wanted !== undefined) winners.push(`${name}: ${wanted.payload.by}`)
        else await state.as(Free)?.commands()?.ask(name)
      }
    })().catch(winners.fail)
  }
  await winners.until((all) => all.includes('first: first') && all.includes('second: second'))
  await pull(first.store, second.store)
  await pull(second.store, first.store)
  await winners.until((all) => all.includes('second: first'))
  t.notOk(winners.items.includes('first: second'), 'who was first stays so')
})
