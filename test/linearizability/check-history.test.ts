import fc from 'fast-check'
import t from 'tap'
import { testLevel } from '../support/level.js'
import { Random } from '../support/random.js'
import { checkHistory } from './check-history.js'
import { MODELS, type Kind, type Kinds, type Operation } from './kinds.js'
import { machineModel } from './models/machine.js'
import type { Verdict } from './search.js'
import { simulateHistory } from './simulated-history.js'
import { spoilHistory } from './spoil-history.js'

type Input<K extends Kind> = Kinds[K]['input']
type Output<K extends Kind> = Kinds[K]['output']

/** From when to when, ms; what was asked; what was answered. No end and no answer: nobody knows. */
type Row<K extends Kind> = readonly [invoked: number, returned: number | undefined, input: Input<K>, output?: Output<K>]

/** Operations of one object, each by a client of its own. */
function historyOf<K extends Kind>(kind: K, rows: readonly Row<K>[], key = 'k'): Operation[] {
  return rows.map(([invoked, returned, input, output], client) => {
    const call = { client, kind, key, input, invoked: invoked * 1000 }
    const ending = output === undefined ? { outcome: 'unknown' } : { outcome: 'ok', output, returned: returned! * 1000 }
    return { ...call, ...ending } as Operation
  })
}

const GOOD = 'linearizable'
const BAD = 'illegal'

interface Case<K extends Kind> {
  readonly name: string
  readonly verdict: Verdict
  readonly rows: readonly Row<K>[]
}

const entry = (value: unknown, version: string): Output<'register'> => ({ entry: { value, version } })

const REGISTER: readonly Case<'register'>[] = [
  {
    name: 'of two writes at the same time either may be the last',
    verdict: GOOD,
    rows: [
      [0, 9, { op: 'set', value: 'a' }, { version: '2' }],
      [1, 8, { op: 'set', value: 'b' }, { version: '1' }],
      [10, 11, { op: 'get' }, entry('a', '2')],
    ],
  },
  {
    name: 'a read that begins after a write sees it',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'set', value: 'a' }, { version: '1' }],
      [2, 3, { op: 'set', value: 'b' }, { version: '2' }],
      [4, 5, { op: 'get' }, entry('a', '1')],
    ],
  },
  {
    name: 'two reads of one write under way do not go back in time',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'set', value: 'a' }, { version: '1' }],
      [2, 9, { op: 'set', value: 'b' }, { version: '2' }],
      [3, 4, { op: 'get' }, entry('b', '2')],
      [5, 6, { op: 'get' }, entry('a', '1')],
    ],
  },
  {
    name: 'a version has one winner (lost update)',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'set', value: 1 }, { version: '1' }],
      [2, 9, { op: 'cas', expected: '1', value: 2 }, { version: '2' }],
      [2, 9, { op: 'cas', expected: '1', value: 2 }, { version: '3' }],
    ],
  },
  {
    name: 'the loser of a compare-and-swap sees the winner',
    verdict: GOOD,
    rows: [
      [0, 1, { op: 'set', value: 1 }, { version: '1' }],
      [2, 9, { op: 'cas', expected: '1', value: 2 }, { version: '2' }],
      [2, 9, { op: 'cas', expected: '1', value: 3 }, entry(2, '2')],
    ],
  },
  {
    name: 'a compare-and-swap is not refused for the version that it expects',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'set', value: 1 }, { version: '1' }],
      [2, 3, { op: 'cas', expected: '1', value: 2 }, entry(1, '1')],
    ],
  },
  {
    name: 'versions do not begin anew when the entry was deleted',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'set', value: 1 }, { version: '7' }],
      [2, 3, { op: 'delete', expected: '7' }, { deleted: true }],
      [4, 5, { op: 'create', value: 2 }, { version: '1' }],
    ],
  },
  {
    name: 'a write without answer may take effect after the client has gone on',
    verdict: GOOD,
    rows: [
      [0, undefined, { op: 'set', value: 'late' }],
      [1, 2, { op: 'set', value: 'a' }, { version: '1' }],
      [3, 4, { op: 'get' }, entry('a', '1')],
      [5, 6, { op: 'get' }, entry('late', '4')],
    ],
  },
  {
    name: 'a write without answer takes effect once',
    verdict: BAD,
    rows: [
      [0, undefined, { op: 'set', value: 'late' }],
      [1, 2, { op: 'get' }, entry('late', '1')],
      [3, 4, { op: 'set', value: 'a' }, { version: '2' }],
      [5, 6, { op: 'get' }, entry('late', '3')],
    ],
  },
  {
    name: 'a write without answer cannot take effect before it was sent',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'get' }, entry('early', '1')],
      [2, undefined, { op: 'set', value: 'early' }],
    ],
  },
  {
    name: 'the version of a write without answer is the same for all who see it',
    verdict: BAD,
    rows: [
      [0, undefined, { op: 'set', value: 'a' }],
      [1, 2, { op: 'get' }, entry('a', '3')],
      [3, 4, { op: 'get' }, entry('a', '4')],
    ],
  },
  {
    name: 'operations that touch in time may be in either order',
    verdict: GOOD,
    rows: [
      [0, 2, { op: 'get' }, entry('a', '1')],
      [2, 3, { op: 'set', value: 'a' }, { version: '1' }],
    ],
  },
]

const LOCK: readonly Case<'lock'>[] = [
  {
    name: 'a lock passes from one to the next with a higher fence',
    verdict: GOOD,
    rows: [
      [0, 1, { op: 'acquire' }, { fence: '1' }],
      [2, 9, { op: 'acquire' }, { fence: '2' }],
      [3, 4, { op: 'write', fence: '1' }, { done: true }],
      [5, 6, { op: 'release', fence: '1' }, { done: true }],
      [10, 11, { op: 'write', fence: '1' }, { done: false }],
    ],
  },
  {
    name: 'a lock has one holder',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'acquire', ttlMs: 100 }, { fence: '1' }],
      [2, 3, { op: 'acquire', ttlMs: 100 }, { fence: '2' }],
    ],
  },
  {
    name: 'a lease that may be over makes room for the next holder',
    verdict: GOOD,
    rows: [
      [0, 1, { op: 'acquire', ttlMs: 100 }, { fence: '1' }],
      [2, 102, { op: 'acquire', ttlMs: 100 }, { fence: '2' }],
    ],
  },
  {
    name: 'what was answered before a lease could end is not ordered behind its end',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'acquire', ttlMs: 100 }, { fence: '1' }],
      [2, 150, { op: 'acquire' }, { fence: '2' }],
      [3, 50, { op: 'write', fence: '1' }, { done: false }],
    ],
  },
  {
    name: 'an acquire without answer takes no lease away before its end',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'acquire', ttlMs: 100 }, { fence: '1' }],
      [2, undefined, { op: 'acquire', ttlMs: 100 }],
      [3, 4, { op: 'acquire', ttlMs: 100 }, { fence: '3' }],
    ],
  },
  {
    name: 'an acquire without answer keeps others out, until the node takes it back',
    verdict: GOOD,
    rows: [
      [0, undefined, { op: 'acquire', ttlMs: 100 }],
      [1, 2, { op: 'acquire', ttlMs: 100 }, { fence: null }],
      [3, 4, { op: 'acquire', ttlMs: 100 }, { fence: '2' }],
    ],
  },
  {
    name: 'an extended lease lasts',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'acquire', ttlMs: 100 }, { fence: '1' }],
      [90, 91, { op: 'extend', fence: '1', ttlMs: 100 }, { done: true }],
      [150, 151, { op: 'acquire', ttlMs: 100 }, { fence: '2' }],
    ],
  },
  {
    name: 'fences do not shrink',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'acquire' }, { fence: '7' }],
      [2, 3, { op: 'release', fence: '7' }, { done: true }],
      [4, 5, { op: 'acquire' }, { fence: '6' }],
    ],
  },
  {
    name: 'a stale guard does not release the lock of the next holder',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'acquire' }, { fence: '1' }],
      [2, 3, { op: 'release', fence: '1' }, { done: true }],
      [4, 5, { op: 'acquire' }, { fence: '2' }],
      [6, 7, { op: 'release', fence: '1' }, { done: true }],
    ],
  },
  {
    name: 'a write with an old fence is refused',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'acquire', ttlMs: 10 }, { fence: '1' }],
      [20, 21, { op: 'acquire', ttlMs: 10 }, { fence: '2' }],
      [22, 23, { op: 'write', fence: '1' }, { done: true }],
    ],
  },
  {
    name: 'nobody is refused a lock that is free',
    verdict: BAD,
    rows: [[0, 1, { op: 'acquire' }, { fence: null }]],
  },
]

const COUNTER: readonly Case<'counter'>[] = [
  {
    name: 'increments add up, those without answer or not',
    verdict: GOOD,
    rows: [
      [0, 9, { op: 'increment', delta: '1' }, { value: '3' }],
      [0, undefined, { op: 'increment', delta: '2' }],
      [10, 11, { op: 'get' }, { value: '3' }],
    ],
  },
  {
    name: 'no increment is lost',
    verdict: BAD,
    rows: [
      [0, 9, { op: 'increment', delta: '1' }, { value: '1' }],
      [0, 9, { op: 'increment', delta: '1' }, { value: '1' }],
    ],
  },
  {
    name: 'a bound is kept, also by what has no answer',
    verdict: BAD,
    rows: [
      [0, undefined, { op: 'increment', delta: '5', max: '4' }],
      [1, 2, { op: 'get' }, { value: '5' }],
    ],
  },
  {
    name: 'an increment is refused only for its bounds',
    verdict: BAD,
    rows: [[0, 1, { op: 'increment', delta: '5', max: '5' }, { value: null }]],
  },
  {
    name: 'numbers are exact beyond 2^53',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'increment', delta: '9007199254740993' }, { value: '9007199254740993' }],
      [2, 3, { op: 'get' }, { value: '9007199254740992' }],
    ],
  },
]

const claim: Input<'dedup'> = { op: 'claim', staleMs: 100 }
const doneBy = (token: string, result: unknown): Input<'dedup'> => ({ op: 'done', token, result, windowMs: 1000 })

const DEDUP: readonly Case<'dedup'>[] = [
  {
    name: 'one does it, the others wait and then have the result',
    verdict: GOOD,
    rows: [
      [0, 1, claim, { claim: 'new', token: 'a' }],
      [2, 3, claim, { claim: 'inProgress' }],
      [4, 5, doneBy('a', 42), { done: true }],
      [6, 7, claim, { claim: 'done', result: 42 }],
    ],
  },
  {
    name: 'two do not do it at once',
    verdict: BAD,
    rows: [
      [0, 9, claim, { claim: 'new', token: 'a' }],
      [0, 9, claim, { claim: 'new', token: 'b' }],
    ],
  },
  {
    name: 'a window has one result',
    verdict: BAD,
    rows: [
      [0, 1, claim, { claim: 'new', token: 'a' }],
      [150, 151, claim, { claim: 'new', token: 'b' }],
      [152, 153, doneBy('b', 2), { done: true }],
      [154, 155, doneBy('a', 1), { done: true }],
    ],
  },
  {
    name: 'all are told the same result',
    verdict: BAD,
    rows: [
      [0, 1, claim, { claim: 'new', token: 'a' }],
      [2, undefined, doneBy('a', 1)],
      [3, 4, claim, { claim: 'done', result: 1 }],
      [5, 6, claim, { claim: 'done', result: 2 }],
    ],
  },
  {
    name: 'who comes late after a stale claim is refused',
    verdict: GOOD,
    rows: [
      [0, 1, claim, { claim: 'new', token: 'a' }],
      [150, 151, claim, { claim: 'new', token: 'b' }],
      [152, 153, doneBy('a', 1), { done: false }],
      [154, 155, doneBy('b', 2), { done: true }],
    ],
  },
  {
    name: 'what was given up is there for the next one',
    verdict: GOOD,
    rows: [
      [0, 1, claim, { claim: 'new', token: 'a' }],
      [2, 3, { op: 'abandon', token: 'a' }, { done: true }],
      [4, 5, claim, { claim: 'new', token: 'b' }],
    ],
  },
  {
    name: 'a result is forgotten when its window is over, and not before',
    verdict: BAD,
    rows: [
      [0, 1, claim, { claim: 'new', token: 'a' }],
      [2, 3, doneBy('a', 1), { done: true }],
      [900, 901, claim, { claim: 'new', token: 'b' }],
    ],
  },
]

const MACHINE: readonly Case<'machine'>[] = [
  {
    name: 'of two transitions at once the second starts where the first went',
    verdict: GOOD,
    rows: [
      [0, 9, { op: 'transition', to: 'resolved' }, { from: 'acknowledged', done: true }],
      [0, 9, { op: 'transition', to: 'acknowledged' }, { from: 'firing', done: true }],
    ],
  },
  {
    name: 'no transition is skipped',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'transition', to: 'stale' }, { from: 'firing', done: true }],
      [2, 3, { op: 'transition', to: 'resolved' }, { from: 'stale', done: true }],
    ],
  },
  {
    name: 'a transition is refused only when the machine has none',
    verdict: BAD,
    rows: [[0, 1, { op: 'transition', to: 'resolved' }, { from: 'firing', done: false }]],
  },
  {
    name: 'a timeout is an operation without answer',
    verdict: GOOD,
    rows: [
      [5, undefined, { op: 'transition', from: 'firing', to: 'stale' }],
      [1, 2, { op: 'get' }, { from: 'firing' }],
      [6, 7, { op: 'get' }, { from: 'stale' }],
    ],
  },
  {
    name: 'a timeout does not fire in a state that is not its own',
    verdict: BAD,
    rows: [
      [0, 1, { op: 'transition', to: 'acknowledged' }, { from: 'firing', done: true }],
      [2, undefined, { op: 'transition', from: 'firing', to: 'stale' }],
      [6, 7, { op: 'get' }, { from: 'stale' }],
    ],
  },
]

const CASES: { readonly [K in Kind]: readonly Case<K>[] } = {
  register: REGISTER,
  lock: LOCK,
  counter: COUNTER,
  dedup: DEDUP,
  machine: MACHINE,
}
const KINDS = Object.keys(CASES) as Kind[]

for (const kind of KINDS) {
  t.test(`histories of a ${kind} are told good from bad`, async (t) => {
    for (const { name, verdict, rows } of CASES[kind]) {
      const found = checkHistory(historyOf(kind, rows))
      t.equal(found.verdict, verdict, `${verdict}: ${name}`, { problems: found.problems })
    }
  })
}

t.test('operations that failed are as if never asked', async (t) => {
  const failed: Operation = {
    client: 1,
    kind: 'counter',
    key: 'k',
    input: { op: 'increment', delta: '1' },
    outcome: 'fail',
    invoked: 0,
    returned: 1,
  }
  const history = (value: string): Operation[] => [failed, ...historyOf('counter', [[2, 3, { op: 'get' }, { value }]])]
  t.equal(checkHistory(history('0')).verdict, GOOD)
  t.equal(checkHistory(history('1')).verdict, BAD)
  t.equal(checkHistory([]).verdict, GOOD, 'nothing that happened is a history too')
})

t.test('objects are judged one by one, and one that is wrong makes the history wrong', async (t) => {
  const good = historyOf('counter', [[0, 1, { op: 'get' }, { value: '0' }]], 'a')
  const bad = historyOf('counter', [[0, 1, { op: 'get' }, { value: '1' }]], 'b')
  const { verdict, objects, problems } = checkHistory([...good, ...bad])
  t.equal(verdict, BAD)
  t.same(
    objects.map((found) => [found.key, found.verdict]),
    [
      ['a', GOOD],
      ['b', BAD],
    ],
  )
  t.equal(problems.length, 1)
  t.match(
    problems[0],
    /counter b: no order explains.*state "0".*"value":"1"/s,
    'the problem names object, state and answer',
  )
})

t.test('a search that takes too long is inconclusive, which is a problem', async (t) => {
  // Each of 18 increments by another number may have been done or not: there are 2^18 sums, and none is the one that was read.
  const lost = Array.from({ length: 18 }, (_, bit): Row<'counter'> => {
    return [0, undefined, { op: 'increment', delta: String(2 ** bit) }]
  })
  const history = historyOf('counter', [...lost, [1, 2, { op: 'get' }, { value: '-1' }]])
  const { verdict, problems } = checkHistory(history, { maxSteps: 1000 })
  t.equal(verdict, 'inconclusive')
  t.match(problems[0], /gave up after 1000 steps/)
})

t.test('many equal operations without answer are no work', async (t) => {
  const lost = Array.from({ length: 200 }, (): Row<'counter'> => [0, undefined, { op: 'increment', delta: '1' }])
  const found = checkHistory(historyOf('counter', [...lost, [1, 2, { op: 'get' }, { value: '150' }]]))
  t.equal(found.verdict, GOOD)
  t.ok(found.objects[0]!.steps < 1000, `${found.objects[0]!.steps} steps`)
})

t.test('the order that is found has all answers, each as the model gives it', async (t) => {
  const history = simulateHistory({ kind: 'register', clients: 8, operations: 200, keys: 1, lost: 0.05 }, new Random(1))
  const { order, verdict } = checkHistory(history).objects[0]!
  t.equal(verdict, GOOD)
  const { register } = MODELS
  let state: unknown = register.initial
  for (const call of order as Operation<'register'>[]) {
    state = call.outcome === 'ok' ? register.step(state, call) : register.guess(state, call)
    if (state === undefined) break
  }
  t.not(state, undefined)
  const answered = history.filter(({ outcome }) => outcome === 'ok')
  t.same(new Set(order.filter((call) => (call as Operation).outcome === 'ok')), new Set(answered))
})

t.test('machines may have other states', async (t) => {
  const door = machineModel({ initial: 'shut', transitions: { shut: ['open'], open: ['shut'] } })
  const history = historyOf('machine', [
    [0, 1, { op: 'transition', to: 'open' }, { from: 'shut', done: true }],
    [2, 3, { op: 'transition', to: 'shut' }, { from: 'open', done: true }],
  ])
  t.equal(checkHistory(history, { models: { ...MODELS, machine: door } }).verdict, GOOD)
  t.equal(checkHistory(history).verdict, BAD)
})

const numRuns = { quick: 15, ci: 40, nightly: 400 }[testLevel()]
const plan = (kind: Kind) =>
  fc.record({
    kind: fc.constant(kind),
    clients: fc.integer({ min: 1, max: 8 }),
    operations: fc.integer({ min: 1, max: 60 }),
    keys: fc.integer({ min: 1, max: 2 }),
    lost: fc.constantFrom(0, 0.1, 0.3),
  })

for (const kind of KINDS) {
  t.test(`what clients see of a ${kind} that is linearizable is accepted`, async (t) => {
    fc.assert(
      fc.property(plan(kind), fc.nat(), (simulated, seed) => {
        const { verdict, problems } = checkHistory(simulateHistory(simulated, new Random(seed)))
        if (verdict !== GOOD) throw new Error(problems.join('\n'))
      }),
      { numRuns },
    )
    t.pass()
  })

  t.test(`one answer of a ${kind} that cannot be makes the history illegal`, async (t) => {
    let spoiltHistories = 0
    fc.assert(
      fc.property(plan(kind), fc.nat(), (simulated, seed) => {
        const random = new Random(seed)
        const history = simulateHistory(simulated, random)
        const spoilt = spoilHistory(history, random)
        if (spoilt === undefined) return
        spoiltHistories++
        const { verdict } = checkHistory(spoilt)
        const at = spoilt.findIndex((operation, place) => operation !== history[place])
        if (verdict !== BAD)
          throw new Error(`${verdict} with ${JSON.stringify(spoilt[at])}, which was ${JSON.stringify(history[at])}`)
      }),
      { numRuns },
    )
    t.ok(spoiltHistories > numRuns / 3, `${spoiltHistories} histories could be spoilt`)
  })
}
