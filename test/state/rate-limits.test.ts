import fc from 'fast-check'
import t from 'tap'
import type { LimitAlign, LimitPart, State, TakeAnswer } from '../../state/index.js'
import { APP, startState } from '../support/state.js'

const WINDOW_MS = 60_000

function limit(changed: Partial<LimitPart> = {}): LimitPart {
  return { name: 'n/limit/a', n: 1, max: 10, windowMs: WINDOW_MS, align: 'sliding', ...changed }
}

function take(state: State, parts: readonly LimitPart[] = [limit()], requestId?: string): Promise<TakeAnswer> {
  return state.limits.take({ app: APP, parts, requestId })
}

for (const backend of ['embedded', 'memory'] as const) {
  t.test(`${backend}: however many take at once, no more is taken than there is`, async (t) => {
    const { state } = await startState(t, { backend })
    for (const align of ['epoch', 'sliding'] as const) {
      const race = await Promise.all(Array.from({ length: 40 }, () => take(state, [limit({ align, n: 3 })])))
      t.equal(race.filter(({ ok }) => ok).length, 3)
      t.match(await take(state, [limit({ align })]), { ok: true, parts: [{ used: 10 }] })
      t.match(await take(state, [limit({ align })]), { ok: false, parts: [{ used: 10 }] })
      t.equal((await take(state, [limit({ align, n: 0 })])).ok, true, 'nothing is always there')
    }
  })
}

t.test('of several limits all are taken or none', async (t) => {
  const { state } = await startState(t)
  const small = limit({ name: 'n/limit/b', max: 1 })
  t.equal((await take(state, [limit(), small])).ok, true)
  const refused = await take(state, [limit(), small])
  t.match(refused, { ok: false, parts: [{ used: 1, retryAfterMs: 0 }, { used: 1 }] })
  t.ok(refused.retryAfterMs > 0)
  t.equal(refused.retryAfterMs, refused.parts[1]?.retryAfterMs)
  t.match(await take(state), { parts: [{ used: 2 }] })
})

t.test('windows of epoch follow each other, and it is said when the next one begins', async (t) => {
  const { state, clock } = await startState(t)
  const part = limit({ align: 'epoch', n: 10 })
  clock.pass(WINDOW_MS - (clock.wallMs % WINDOW_MS) + 20_000)
  t.equal((await take(state, [part])).ok, true)
  t.match(await take(state, [part]), { ok: false, retryAfterMs: 40_000 })
  clock.pass(39_999)
  t.match(await take(state, [part]), { ok: false, retryAfterMs: 1 })
  clock.pass(1)
  t.equal((await take(state, [part])).ok, true)
  t.equal((await take(state)).ok, true)
  clock.pass(2 * WINDOW_MS)
  await state.sweep()
  t.match(await state.info(), { bytes: 0 }, 'limits that nobody uses take no room')
})

t.test('what was taken is given back once, and a take that is asked for again is one', async (t) => {
  const node = await startState(t)
  const parts = [limit({ n: 4 }), limit({ name: 'n/limit/b', n: 2 })]
  const first = await take(node.state, parts, 'r')
  t.same(await take(node.state, parts, 'r'), first)
  t.match(first, { ok: true, parts: [{ used: 4 }, { used: 2 }] })
  await node.restart(true)
  t.equal(await node.state.limits.refund('com.example.other', 'r'), false, 'by the app that has taken it')
  t.same(await Promise.all([node.state.limits.refund(APP, 'r'), node.state.limits.refund(APP, 'r')]), [true, false])
  t.match(await take(node.state, [limit({ n: 0 }), limit({ name: 'n/limit/b', n: 0 })]), {
    parts: [{ used: 0 }, { used: 0 }],
  })
  t.same(await take(node.state, parts, 'r'), first, 'asked for again it is still the one that was given back')
  t.equal(await node.state.limits.refund(APP, 'none'), false)
  await take(node.state, [limit({ n: 10 })])
  t.equal((await take(node.state, [limit()], 'refused')).ok, false)
  t.equal(await node.state.limits.refund(APP, 'refused'), false, 'nothing was taken')
})

t.test('a clock that was set neither lets through more nor closes a limit for long', async (t) => {
  const node = await startState(t)
  const hour = 3_600_000
  for (const align of ['epoch', 'sliding'] as const) {
    const part = limit({ name: `n/limit/${align}`, align, n: 10, windowMs: 24 * hour })
    t.equal((await take(node.state, [part])).ok, true)
    for (const jumpMs of [-10 * 365 * 24 * hour, hour]) {
      node.clock.wallMs += jumpMs
      await node.restart(true)
      t.equal((await take(node.state, [part])).ok, false)
    }
    node.clock.pass(25 * hour)
    t.equal((await take(node.state, [part])).ok, true)
  }
})

const steps = fc.array(
  fc.record({
    passMs: fc.constantFrom(0, 1, 999, 1000, 7000, 30_000, 59_999, 60_000),
    n: fc.integer({ min: 0, max: 6 }),
  }),
  { maxLength: 40 },
)

t.test('no window ever holds more than its limit, and who waits as told is let through', async (t) => {
  const { state, clock } = await startState(t)
  let runs = 0
  await fc.assert(
    fc.asyncProperty(steps, fc.constantFrom<LimitAlign>('epoch', 'sliding'), async (list, align) => {
      const part = limit({ name: `n/limit/${String(runs++)}`, align })
      const taken: { at: number; n: number }[] = []
      const within = (from: number, to: number): number =>
        taken.filter(({ at }) => at >= from && at < to).reduce((sum, { n }) => sum + n, 0)
      for (const { passMs, n } of list) {
        clock.pass(passMs)
        let answer = await take(state, [{ ...part, n }])
        if (!answer.ok) {
          clock.pass(answer.retryAfterMs)
          answer = await take(state, [{ ...part, n }])
          if (!answer.ok) throw new Error('told too early')
        }
        taken.push({ at: clock.wallMs, n })
        const from = align === 'epoch' ? clock.wallMs - (clock.wallMs % WINDOW_MS) : clock.wallMs - WINDOW_MS + 1
        if (within(from, clock.wallMs + 1) > part.max) throw new Error('more was taken than there is')
      }
    }),
    { numRuns: 20 },
  )
})
