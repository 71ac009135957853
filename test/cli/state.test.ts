import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import {
  Client,
  fetchTransport,
  NodeUnreachableError,
  RequestRefusedError,
  type StateCommit,
  type Transport,
} from '../../client/index.js'
import { nodeTransport } from '../../client/node.js'
import { App } from '../support/app.js'
import { DaemonProcess } from '../support/daemon.js'
import type { HolderReport } from '../support/lock-holder-child.js'
import { plainNode } from '../support/plain-node.js'
import { runMillrace } from '../support/run-millrace.js'
import { until } from '../support/store.js'

const APP = { appId: 'com.example.test', displayName: 'test', version: '1' }

t.test('the client and the command line work on the entries of a node', async (t) => {
  await using daemon = await DaemonProcess.start()
  const run = (...argv: string[]) => runMillrace(['state', ...argv, '--socket', daemon.socket])
  const key = 'com.example.test/order/1'

  await t.test('millrace state', async (t) => {
    t.match(await run('ls'), { code: 0, out: 'no entries\n' })
    t.match(await run('get', key), { code: 1, out: '', err: /there is no entry/ })
    t.match(await run('set', key, '{"state":"new"}', '--if-version', '0'), { code: 0, out: /^version \d+\n$/ })
    t.match(await run('set', key, '1', '--if-version', '0'), { code: 1, err: /has version \d+: nothing was changed/ })
    t.match(await run('set', key, '1', '--if-version', '0', '-j'), { code: 1, out: /ERR_STATE_CONFLICT/ })
    t.match(await run('get', key), { code: 0, out: '{"state":"new"}\n' })
    t.match(await run('set', 'other/k/1', '"x"', '--ttl', '3600000'), { code: 0 })
    t.match(
      (await run('ls')).out,
      /^KEY +VERSION +EXPIRES +VALUE\ncom\.example\.test\/order\/1 +\d+ +- +\{"state":"new"\}\nother/,
    )
    const listed = JSON.parse((await run('ls', 'other/', '-j')).out) as { result: { entries: unknown[] } }
    t.match(listed.result.entries, [{ key: 'other/k/1', value: 'x', version: /^\d+$/, expiresAt: Number }])
    t.match(await run('delete', key, '--if-version', '999'), { code: 1, err: /nothing was deleted/ })
    t.match(await run('delete', key), { code: 0, out: `deleted ${key}\n` })
    t.match(await run('delete', key), { code: 1 })
    t.match(await run('locks'), { code: 0, out: 'no locks\n' })
    t.match(
      (await run('info')).out,
      /^backend {3}embedded\nevents {4}in the commit of their transaction\nrevision {2}\d+\nentries {3}1\nsize/,
    )
    t.match(await run('set', key), { code: 2, err: /needs KEY and VALUE/ })
    t.match(await run('set', key, 'new'), { code: 2, err: /no JSON/ })
    t.match(await run('get', key, '--ttl', '5'), { code: 2, err: /--ttl is for set/ })
    t.match(await run('lst'), { code: 2, err: /did you mean 'ls'/ })
    t.match(await run('set', 'mr/x/y', '1'), { code: 1, err: /daemon's own/ })
    t.match(await run('ls', '--app', 'com.example.test'), { code: 0, out: 'no entries\n' }, 'an app sees its own')
  })

  await t.test('the client', async (t) => {
    const client = new Client(fetchTransport(daemon.url), APP)
    t.teardown(() => {
      client.close()
    })
    const { state } = client
    const created = await state.create('a/1', { n: 1 })
    t.equal(created.created, true)
    const again = await state.create('a/1', 2)
    t.match(again, { created: false, entry: { key: 'com.example.test/a/1', value: { n: 1 } } })
    const version = created.created ? created.version : 0n
    t.match(await state.cas('a/1', version + 1n, 3), { ok: false, current: { version } })
    const next = await state.cas('a/1', version, 3)
    t.ok(next.ok && next.version > version)
    t.equal(await state.increment('c/1', 2n ** 60n), 2n ** 60n)
    t.equal(await state.increment('c/1', 1), 2n ** 60n + 1n, 'exact beyond 2^53')
    await t.rejects(state.increment('c/1', 1, { max: 5n }), {
      code: 'ERR_REQUEST_REFUSED',
      wireCode: 'ERR_COUNTER_RANGE',
    })
    t.equal(await state.delete('a/1', { expected: version }), false)
    t.equal(await state.delete('a/1'), true)
    t.equal(await state.get('a/1'), undefined)
    const same = { requestId: 'once' }
    t.equal(await state.set('a/2', 1, same), await state.set('a/2', 1, same))
    const { appended } = await state.txn({
      if: [{ key: 'a/2', exists: true }],
      then: [{ op: 'delete', key: 'a/2' }],
      append: [{ tags: ['x'], payload: { some: 'thing' }, expectedOffset: -1, idempotencyKey: 'e' }],
    })
    t.match(appended, [{ offset: 0, duplicate: false }])
    for (let at = 0; at < 12; at++) await state.set(`s/${String(at).padStart(2, '0')}`, at)
    const found = []
    for await (const { value } of state.scan('s/')) found.push(value)
    t.same(found, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    t.match(await state.info(), { backend: 'embedded', revision: BigInt })
  })

  await t.test('locks of the client', async (t) => {
    const client = new Client(fetchTransport(daemon.url), APP)
    const other = new Client(nodeTransport({ url: daemon.url }), APP)
    t.teardown(() => {
      client.close()
      other.close()
    })
    const { state } = client
    const guard = await state.lock.acquire('jobs', { ttlMs: 60_000, owner: 'first' })
    t.equal(await other.state.lock.tryAcquire('jobs', { ttlMs: 60_000 }), undefined)
    await t.rejects(other.state.lock.acquire('jobs', { ttlMs: 100, waitMs: 1 }), {
      code: 'ERR_REQUEST_REFUSED',
      wireCode: 'ERR_LOCK_TIMEOUT',
    })
    t.match((await run('locks')).out, /^LOCK .*\ncom\.example\.test\/jobs +\d+ +write +first +until /)
    const { fencedBy } = guard
    await state.set('f/1', 1, { fencedBy })
    t.equal(await guard.isHeld(), true)
    const waiting = other.state.lock.acquire('jobs', { ttlMs: 60_000, bound: 'connection' })
    t.equal(await guard.release(), true)
    const next = await waiting
    t.ok(next.fence > guard.fence)
    await t.rejects(state.set('f/1', 2, { fencedBy }), { code: 'ERR_REQUEST_REFUSED', wireCode: 'ERR_FENCED' })
    t.equal((await state.txn({ if: [fencedBy] })).succeeded, false)
    t.equal(guard.lost.aborted, false, 'a lock that was released is not lost')
    const told = new Promise((resolve) => {
      next.lost.addEventListener('abort', resolve)
    })
    // As somebody would who clears up by hand.
    const [holder] = (await client.state.lock.list('jobs').next()).value?.holders ?? []
    t.equal(holder?.fence, next.fence)
    const { text } = await releaseByHand(daemon.url, next.fence)
    t.match(text, /true/)
    await told
    t.match(next.lost.reason, { code: 'ERR_LOCK_LOST' })
    const long = await state.lock.acquire('long', { ttlMs: 60_000 })
    const { expiresAt } = long
    const isProlonged = async (): Promise<boolean> => {
      const [holder] = (await other.state.lock.list('long').next()).value?.holders ?? []
      return holder !== undefined && holder.expiresAt < expiresAt - 30_000
    }
    // To three seconds from then, which tells it from the first lease.
    await long.run(() => until(isProlonged), 3000)
    t.equal(await long.isHeld(), false)
    const idle = await state.lock.acquire('idle', { ttlMs: 2000 })
    await new Promise((resolve) => {
      idle.lost.addEventListener('abort', resolve)
    })
    await t.rejects(idle.extend(2000), { code: 'ERR_LOCK_LOST' })
  })

  await t.test('a holder that was paused beyond its lease changes nothing when it goes on', async (t) => {
    const client = new Client(nodeTransport({ url: daemon.url }), APP)
    const path = fileURLToPath(new URL('../support/lock-holder-child.js', import.meta.url))
    const holder = spawn(...plainNode([path, daemon.url]), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    t.teardown(() => {
      holder.kill('SIGKILL')
      client.close()
    })
    const told = async () => ((await once(holder, 'message')) as [HolderReport])[0]
    t.match(await told(), { kind: 'granted', fence: /^[0-9]+$/ })
    holder.kill('SIGSTOP')
    const guard = await client.state.lock.acquire('paused', { ttlMs: 600_000 })
    await client.state.set('paused/by', 'other', { fencedBy: guard.fencedBy })
    const answer = told()
    holder.kill('SIGCONT')
    holder.send('write')
    t.match(await answer, { kind: 'written', code: 'ERR_FENCED' })
    t.match(await client.state.get('paused/by'), { value: 'other' })
    t.equal(await guard.release(), true)
  })

  await t.test('things that are done once', async (t) => {
    const clients = Array.from({ length: 8 }, () => new Client(nodeTransport({ url: daemon.url }), APP))
    t.teardown(() => {
      for (const client of clients) client.close()
    })
    const [client] = clients as [Client, ...Client[]]
    const attempts: number[] = []
    const work = async (attempt: number): Promise<{ n: number }> => {
      attempts.push(attempt)
      if (attempts.length === 1) throw new Error('the first one fails')
      return Promise.resolve({ n: attempts.length })
    }
    const results = await Promise.allSettled(clients.map(({ state }) => state.dedup.run('once/1', {}, work)))
    const failed = results.filter(({ status }) => status === 'rejected')
    t.equal(failed.length, 1, 'who fails is told, and somebody else tries')
    for (const each of results) if (each.status === 'fulfilled') t.same(each.value, { n: 2 })
    t.same(attempts, [1, 1])
    t.match(await client.state.dedup.claim('once/1'), { done: true, result: { n: 2 }, at: Number })
    const { token = '' } = await client.state.dedup.claim('once/2', { staleMs: 1 })
    await until(async () => {
      const claim = await client.state.dedup.claim('once/2')
      return claim.done === undefined && claim.attempt === 2
    })
    await t.rejects(client.state.dedup.done(token), { code: 'ERR_REQUEST_REFUSED', wireCode: 'ERR_FENCED' })
    t.equal(await client.state.dedup.abandon(token), false)
  })

  await t.test('rate limits of the client', async (t) => {
    const client = new Client(nodeTransport({ url: daemon.url }), APP)
    t.teardown(() => {
      client.close()
    })
    const { limits } = client.state
    const limit = { max: 5, windowMs: 86_400_000 }
    const { token = '', ...first } = await limits.take('mail/a', 3, limit)
    t.same(first, { ok: true, used: 3, retryAfterMs: 0 })
    t.match(await limits.take('mail/a', 3, limit), { ok: false, used: 3, token: undefined })
    t.equal(await limits.refund(token), true)
    const both = await limits.takeAll([
      { name: 'mail/a', n: 3, ...limit },
      { name: 'mail/b', ...limit, align: 'epoch' },
    ])
    t.match(both, { ok: true, limits: [{ used: 3 }, { used: 1 }] })
  })

  await t.test(
    'a watch goes on over a restart of the node, and a write whose answer is lost is done once',
    async (t) => {
      const client = new Client(nodeTransport({ url: daemon.url }), APP)
      t.teardown(() => {
        client.close()
      })
      const { revision } = await client.state.info()
      const watch = client.state.watch('w/', revision)
      const one = client.state.set('w/1', 1)
      const next = async () => ((await watch.next()).value as StateCommit).changes[0]
      t.match(await next(), { key: 'com.example.test/w/1', value: 1 })
      await one
      await daemon.kill()
      const second = client.state.get('w/1').catch((error: unknown) => error)
      t.type(await second, NodeUnreachableError)
      await daemon.startAgain()
      await client.state.set('w/2', 2)
      t.match(await next(), { key: 'com.example.test/w/2', value: 2 })
      await watch.return()

      const direct = fetchTransport(daemon.url)
      const faults: Error[] = []
      const flaky: Transport = {
        ...direct,
        request: async (request) => {
          const response = await direct.request(request)
          const fault = request.path.endsWith('/txn') ? faults.shift() : undefined
          if (fault !== undefined) throw fault
          return response
        },
      }
      const { state } = new Client(flaky, APP)
      const unknown = new RequestRefusedError(504, 'ERR_OUTCOME_UNKNOWN', 'the server did not say')
      const away = new RequestRefusedError(503, 'ERR_STATE_UNREACHABLE', 'the server is away')
      const lost = new NodeUnreachableError('the answer got lost', { neverSent: false })
      faults.push(lost, lost)
      t.equal(await state.increment('once/1'), 1n)
      faults.push(unknown, away)
      t.equal(await state.increment('once/1'), 2n)
      t.same(faults, [])
      faults.push(away)
      await t.rejects(state.increment('once/2'), { code: 'ERR_REQUEST_REFUSED' }, 'nothing came before it')
    },
  )
})

t.test('the state of a node goes to another one, also in two goes, and is checked there', async (t) => {
  await using old = await DaemonProcess.start()
  await using next = await DaemonProcess.start()
  const on = (daemon: DaemonProcess, argv: string[], input = '') =>
    runMillrace(['state', ...argv, '--socket', daemon.socket], { input })
  const operator = new Client(nodeTransport({ socketPath: old.socket }))
  await Promise.all([...Array(520).keys()].map((at) => operator.state.set(`shop/order/${String(at)}`, { price: 1.5 })))
  operator.close()
  await on(old, ['set', 'shop/offer/1', '"cheap"', '--ttl', '3600000'])
  await on(old, ['set', 'shop/odd', 'null'])
  const { code, out, err } = await on(old, ['export'])
  t.equal(code, 0)
  t.match(err, /not in it: answers to request ids/)
  const lines = out.trimEnd().split('\n')
  t.match(JSON.parse(lines[0] ?? ''), { type: 'state', format: 1, node: old.ready.nodeId, kinds: ['kv', 'dedup'] })
  t.match(lines.at(-1), '{"type":"end","kv":522,"dedup":0}')
  t.equal((await on(old, ['export', 'shop/offer/', '--kinds', 'kv'])).out.split('\n').length, 4)
  t.match(await on(old, ['export', '--kinds', 'locks']), { code: 1, err: /`kinds` has kv, dedup/ })

  const rehearsal = await on(next, ['import', '-', '--dry-run'], out)
  t.match(rehearsal, { code: 0, out: 'would import 522, 0 there already\n' })
  t.match(await on(next, ['ls']), { out: 'no entries\n' })
  const half = lines.slice(0, 511).join('\n')
  t.match(await on(next, ['import', '-'], half), { code: 1, out: /^imported 510,/, err: /only a part of an export/ })
  await on(next, ['set', 'shop/order/519', '"sold here"'])
  const whole = await on(next, ['import', '-'], out)
  t.match(whole, { code: 0, out: 'imported 12, 509 there already, 1 kept as they are here\n' })
  t.match(whole.err, /^kept +shop\/order\/519: it has another value here/)
  t.match(await on(next, ['get', 'shop/order/519']), { out: '"sold here"\n' })
  t.match(await on(next, ['get', 'shop/odd']), { out: 'null\n' })
  const listed = JSON.parse((await on(next, ['ls', 'shop/offer/', '-j'])).out)
  t.ok(listed.result.entries[0].expiresAt > Date.now(), 'what is left of its time')
  t.ok(Number(listed.result.entries[0].version) > JSON.parse(lines[0] ?? '').revision)
  const over = await on(next, ['import', '-', '--overwrite', '-j'], out)
  t.match(JSON.parse(over.out), {
    code: 'OK',
    result: { imported: 1, same: 521, overwritten: 1, complete: true, remarks: [{ key: 'shop/order/519' }] },
  })
  t.match(await on(next, ['verify']), { code: 0, out: /^\d+ records checked, 522 of them entries.*: all is whole\n$/ })
  t.match(await on(next, ['compact']), { code: 0, out: 'compacted\n' })
  t.match(JSON.parse((await on(next, ['verify', '--repair', '-j'])).out), { result: { faults: [], repaired: false } })

  const header = lines[0] ?? ''
  for (const [text, reason] of [
    ['', /it is empty/],
    ['{"type":"kv","key":"a/b","value":1}', /no export of a state/],
    [`${header}\n{"type":"kv","key":"a/b"}`, /`key` and `value`/],
    [`${header}\n{"type":"kv","key":"mr/x/y","value":1}`, /daemon's own/],
    [`${header}\n{"type":"dedup","app":"a","key":"b","ttlMs":1,"expiresAt":1,"value":[1]}`, /where the events are/],
    [`${header}\n{"type":"kv","key":"a/b","ttlMs":5,"value":1}`, /go together/],
    [header.replace('"format":1', '"format":2'), /format 1/],
    [header.replace(/"revision":"\d+"/, '"revision":"9007199254740991"'), /has got to this revision/],
  ] as const) {
    t.match(await on(next, ['import', '-'], text), { code: 1, err: reason })
  }
  t.match(await on(next, ['import', '/nowhere/at-all']), { code: 1, err: /cannot read/ })
  t.match(await on(next, ['import']), { code: 2, err: /needs FILE/ })
  t.match(await on(next, ['ls', '--dry-run']), { code: 2, err: /--dry-run is for import/ })
})
async function releaseByHand(url: string, fence: bigint) {
  const app = await App.at(url)
  return app.post('/api/millrace/v1/state/locks/jobs/release', { fence: String(fence) })
}
