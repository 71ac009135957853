import t from 'tap'
import type { ClaimAnswer, ClaimRequest, ClaimToken, State } from '../../state/index.js'
import { APP, startState } from '../support/state.js'

const KEY = 'n/once/1'
const STALE_MS = 1000
const WINDOW_MS = 60_000

function claim(state: State, changed: Partial<ClaimRequest> = {}): Promise<ClaimAnswer> {
  const wish = { app: APP, key: KEY, windowMs: WINDOW_MS, staleMs: STALE_MS, requestId: undefined }
  return state.dedup.claim({ ...wish, ...changed })
}

/** A claim that must be new. */
async function newClaim(state: State, changed: Partial<ClaimRequest> = {}): Promise<ClaimToken & { attempt: number }> {
  const answer = await claim(state, changed)
  if (answer.kind !== 'new') throw new Error(`expected a new claim, not ${JSON.stringify(answer)}`)
  return { ...answer.token, attempt: answer.attempt }
}

for (const backend of ['embedded', 'memory'] as const) {
  t.test(
    `${backend}: of many who claim at once one is to do it, and the others are told what came of it`,
    async (t) => {
      const { state } = await startState(t, { backend })
      const race = await Promise.all(Array.from({ length: 32 }, () => claim(state)))
      const won = race.filter((answer) => answer.kind === 'new')
      t.equal(won.length, 1)
      t.equal(race.filter(({ kind }) => kind === 'inProgress').length, 31)
      const atMs = await state.dedup.done(won[0]!.token, '{"n":5.0}')
      t.same(await claim(state), { kind: 'done', result: '{"n":5.0}', atMs }, 'digit for digit')
      t.equal(await state.dedup.done(won[0]!.token, '6'), atMs, 'told again, the first result stays')
      t.match(await claim(state), { result: '{"n":5.0}' })
      t.equal(state.counters.dedupClaims, 1)
    },
  )
}

t.test('the window counts from when it was done', async (t) => {
  const { state, clock } = await startState(t)
  const token = await newClaim(state)
  clock.pass(STALE_MS - 1)
  await state.dedup.done(token, '1')
  clock.pass(WINDOW_MS - 1)
  t.match(await claim(state), { kind: 'done' })
  clock.pass(1)
  t.equal((await newClaim(state)).attempt, 1)
  await t.rejects(state.dedup.done(token, '2'), { code: 'ERR_FENCED' })
})

t.test('a claim that is stale is taken over, and the late one changes nothing', async (t) => {
  const { state, clock } = await startState(t)
  const late = await newClaim(state)
  clock.pass(STALE_MS)
  const next = await newClaim(state)
  t.equal(next.attempt, 2)
  await t.rejects(state.dedup.done(late, '"late"'), { code: 'ERR_FENCED' })
  t.equal(await state.dedup.abandon(late), false)
  t.match(await claim(state), { kind: 'inProgress', attempt: 2 })
  await state.dedup.done(next, '"next"')
  await t.rejects(state.dedup.done(late, '"late"'), { code: 'ERR_FENCED' })
  t.match(await claim(state), { kind: 'done', result: '"next"' })
})

t.test('what is abandoned is for somebody else at once', async (t) => {
  const { state } = await startState(t)
  const failed = await newClaim(state)
  t.equal(await state.dedup.abandon(failed), true)
  t.match(await state.info(), { bytes: 0 }, 'and takes no room')
  const next = await newClaim(state)
  t.equal(await state.dedup.abandon(failed), false)
  await t.rejects(state.dedup.done(failed, '1'), { code: 'ERR_FENCED' })
  await state.dedup.done(next, '2')
  t.equal(await state.dedup.abandon(next), false, 'what is done stays done')
})

t.test('the same request made again gets the same claim, another app does not', async (t) => {
  const { state, clock } = await startState(t)
  const first = await newClaim(state, { requestId: 'r' })
  t.same(await newClaim(state, { requestId: 'r' }), first)
  t.match(await claim(state, { requestId: 'r', app: 'com.example.other' }), { kind: 'inProgress' })
  clock.pass(STALE_MS)
  t.equal((await newClaim(state, { requestId: 'r' })).attempt, 2, 'a stale one is not told again')
})

t.test('claims and results outlive restarts, and end in time behind them', async (t) => {
  const node = await startState(t)
  const open = await newClaim(node.state)
  const other = await newClaim(node.state, { key: 'n/once/2' })
  await node.state.dedup.done(other, '1')
  await node.restart(true)
  t.match(await claim(node.state), { kind: 'inProgress' })
  t.match(await claim(node.state, { key: 'n/once/2' }), { kind: 'done', result: '1' })
  node.clock.wallMs += STALE_MS
  await node.restart()
  await t.rejects(node.state.dedup.done(open, '1'), { code: 'ERR_FENCED' })
  node.clock.wallMs -= STALE_MS
  await node.restart(true)
  await t.rejects(node.state.dedup.done(open, '1'), { code: 'ERR_FENCED' }, 'whatever the wall clock says then')
  t.equal((await newClaim(node.state)).attempt, 2)
  node.clock.pass(WINDOW_MS + STALE_MS)
  await node.state.sweep()
  t.match(await node.state.info(), { bytes: 0 })
})

t.test('behind a restored backup no claim from before can be settled', async (t) => {
  const node = await startState(t)
  const token = await newClaim(node.state)
  await node.store.replicas.beginEpoch(1)
  await node.restart()
  await t.rejects(node.state.dedup.done(token, '1'), { code: 'ERR_FENCED' })
  t.match(await claim(node.state), { kind: 'inProgress' })
  node.clock.pass(STALE_MS)
  t.ok((await newClaim(node.state)).claim > token.claim + 2 ** 32 - 1)
})
