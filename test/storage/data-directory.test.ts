import { mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { streamIdOf } from '../../core/index.js'
import { DataDirectory, encodeTopic, readEpoch, renewIdentity } from '../../storage/index.js'
import { endRenewal, prepareRenewal } from '../../storage/identity-file.js'
import { writeTopicsFile } from '../../storage/topics-file.js'
import { BLOCK, converge, NAMES, openReplica, pull, settle } from '../support/replica.js'
import { event, openTestStore, publish, readAll } from '../support/store.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

/** A directory with one event in each of some topics. */
async function directoryWith(path: string, topics: readonly string[]): Promise<void> {
  for (const topic of topics) {
    const { store, close } = await openTestStore(path, { topic })
    await publish(store, [event(topic)])
    await close()
  }
}

async function eventsOf(path: string, topic: string): Promise<unknown[]> {
  const { store, close } = await openTestStore(path, { topic })
  const events = await readAll(store)
  await close()
  return events.map(({ payload }) => payload)
}

t.test('topics lie beside each other, and each can be deleted but the one in use', async (t) => {
  const path = temporaryDirectory(t)
  await directoryWith(path, ['a/b', 'a_b', '..'])
  const { directory, close } = await openTestStore(path, { topic: '..' })
  const listed = await directory.listTopics()
  t.same(
    listed.map(({ topic }) => topic),
    ['..', 'a/b', 'a_b'],
  )
  t.ok(listed.every(({ bytesOnDisk }) => bytesOnDisk > 64 * 1024))
  await t.rejects(directory.deleteTopic('..'), { code: 'ERR_TOPIC_IN_USE' })
  await t.rejects(directory.deleteTopic('a'), { code: 'ERR_TOPIC_UNKNOWN' })
  const [deleted, again] = await Promise.allSettled([directory.deleteTopic('a/b'), directory.deleteTopic('a/b')])
  t.match(deleted, { value: { topic: 'a/b', bytesOnDisk: listed[1]?.bytesOnDisk } })
  t.match(again, { reason: { code: 'ERR_TOPIC_UNKNOWN' } })
  t.same(directory.topics, ['a_b', '..'])
  await close()
  t.same(readdirSync(join(path, 'topics')).sort(), ['%2E%2E', 'a_b'])
  t.same(await eventsOf(path, 'a_b'), ['a_b'])
  t.same(await eventsOf(path, 'a/b'), [], 'a topic of that name begins anew')
})

t.test('a deletion that a crash cut off is finished at the next start', async (t) => {
  const path = temporaryDirectory(t)
  await directoryWith(path, ['one', 'two'])
  const folder = join(path, 'topics', encodeTopic('one'))
  renameSync(folder, `${folder}.deleted`)
  await (await DataDirectory.open(path)).close()
  t.same(readdirSync(join(path, 'topics')), ['two'])
  t.same(JSON.parse(readFileSync(join(path, 'topics.json'), 'utf8')).topics, ['two'])
  t.same(await eventsOf(path, 'two'), ['two'])

  mkdirSync(`${join(path, 'topics', 'two')}.deleted`)
  t.same(await eventsOf(path, 'two'), ['two'], 'what is left of an earlier deletion does not hurt a topic that is back')
  t.same(readdirSync(join(path, 'topics')), ['two'])
})

t.test('a topic whose folder is gone can be taken off the record', async (t) => {
  const path = temporaryDirectory(t)
  await directoryWith(path, ['one'])
  renameSync(join(path, 'topics', 'one'), join(path, 'elsewhere'))
  await t.rejects(openTestStore(path, { topic: 'one' }), { code: 'ERR_STORE_MISSING' })
  const directory = await DataDirectory.openExisting(path)
  t.match(await directory.deleteTopic('one'), { bytesOnDisk: 0 })
  await directory.close()
  t.same(await eventsOf(path, 'one'), [])
})

t.test('looking at a directory that no node has used creates nothing', async (t) => {
  const path = temporaryDirectory(t)
  await t.rejects(DataDirectory.openExisting(path), { code: 'ERR_DATA_DIRECTORY' })
  t.same(readdirSync(path), [])
})

t.test('after a renewal the old streams are those of another node, and the new ones begin anew', async (t) => {
  const path = temporaryDirectory(t)
  const settings = { block: BLOCK }
  let a = await openTestStore(path, settings)
  await a.store.registerStreams(NAMES)
  for (let at = 0; at < 21; at++) await publish(a.store, [event(at, ['a'], at % 2)])
  await a.store.replicas.beginEpoch()
  await publish(a.store, [event('later', ['a'], 1)])
  await settle(a)
  const expected = await readAll(a.store)
  const oldNode = a.store.nodeId
  await a.store.replicas.handOver()
  await a.close()

  const directory = await DataDirectory.open(path)
  t.equal(await readEpoch(directory, 'test'), 1)
  const { nodeId, oldNodeId, kept } = await renewIdentity(directory)
  await directory.close()
  t.equal(oldNodeId, oldNode)
  t.not(nodeId, oldNode)
  t.equal(statSync(kept).mode & 0o777, 0o600)
  t.notMatch(kept.slice(path.length + 1), '/')

  for (const life of ['first', 'second']) {
    a = await openTestStore(path, settings)
    t.equal(a.store.nodeId, nodeId)
    t.same(a.store.health, { writable: true, problems: [] }, life)
    t.same((await readAll(a.store)).slice(0, expected.length), expected, 'nothing is lost')
    t.equal(a.store.replicas.epoch, 0)
    t.match(a.store.replicas.status(streamIdOf(oldNode, 1)), { own: false, name: 'x', head: { name: 'x' } })
    const [own] = await publish(a.store, [event('new', ['a'], 1)])
    t.match(own, { stream: streamIdOf(nodeId, 1), offset: life === 'first' ? 0 : 1 })
    t.ok((own?.lamport ?? 0) >= expected.length)
    await a.close()
  }

  a = await openTestStore(path, settings)
  t.teardown(() => a.close())
  const b = await openReplica(t)
  await pull(a.store, b.store)
  t.same(await readAll(b.store), await readAll(a.store), 'others get all of it, the tails of the old node too')
  const c = await openReplica(t)
  await converge([a, b, c])
})

t.test('all topics go over to the new identity, and it can be renewed again', async (t) => {
  const path = temporaryDirectory(t)
  await directoryWith(path, ['one', 'two'])
  for (let round = 0; round < 2; round++) {
    const directory = await DataDirectory.open(path)
    await renewIdentity(directory)
    await directory.close()
  }
  t.same(await eventsOf(path, 'one'), ['one'])
  const directory = await DataDirectory.open(path)
  t.equal(directory.formerNodes.length, 2)
  await directory.close()
  t.equal(readdirSync(path).filter((name) => name.startsWith('identity-')).length, 2)
  t.same(await eventsOf(path, 'two'), ['two'])
})

t.test('a crash within a renewal leaves the old identity or the new one', async (t) => {
  const path = temporaryDirectory(t)
  await directoryWith(path, ['one'])
  const nodeOf = async () => {
    const directory = await DataDirectory.open(path)
    const { nodeId } = directory
    await directory.close()
    return nodeId
  }
  const old = await nodeOf()
  await prepareRenewal(path, old)
  t.equal(await nodeOf(), old, 'nothing is decided yet')
  t.notOk(readdirSync(path).includes('identity.key.next'))

  const { nodeId } = await prepareRenewal(path, old)
  await writeTopicsFile(path, { node: nodeId, former: [old], topics: ['one'] })
  t.equal(await nodeOf(), nodeId, 'it is decided, and finished')
  t.notOk(readdirSync(path).includes('identity.key.next'))
  t.same(await eventsOf(path, 'one'), ['one'])
  await endRenewal(path, nodeId)
  t.equal(await nodeOf(), nodeId)
})

t.test('the database of a node that is no former one is refused as before', async (t) => {
  const path = temporaryDirectory(t)
  await directoryWith(path, ['one'])
  const other = temporaryDirectory(t)
  await directoryWith(other, ['one'])
  renameSync(join(path, 'topics'), join(path, 'old'))
  renameSync(join(other, 'topics'), join(path, 'topics'))
  await t.rejects(openTestStore(path, { topic: 'one' }), { code: 'ERR_STORE_WRONG_NODE' })
  writeFileSync(join(path, 'topics.json'), '{"format":1,"node":"x","topics":[],"former":5}')
  await t.rejects(DataDirectory.open(path), { code: 'ERR_DATA_DIRECTORY' })
})
