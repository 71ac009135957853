import { setImmediate as nextTurn } from 'node:timers/promises'
import { AbortedError, MillraceError, type Clock } from '../core/index.js'
import type { CheckLine } from './check-report.js'
import type { DataDirectory, TopicDirectory } from './data-directory.js'
import { bootId } from './directory-lock.js'
import { readHeads } from './head-file.js'
import { findLostEvents } from './lost-tables.js'
import { checkDatabases, storeDamage } from './store-check.js'
import { openDatabases, type Databases } from './store-opening.js'

/** As `Store.check`, for a topic whose store is not open. What keeps it from being opened is reported like other damage. */
export async function* checkTopic(
  directory: DataDirectory,
  topic: string,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<CheckLine> {
  let place: TopicDirectory | undefined
  let databases: Databases
  try {
    place = await directory.topicDirectory(topic)
    databases = await openDatabases({ directory, topic }, place)
  } catch (error) {
    if (!isDamage(error)) throw error
    let damages = 1
    yield storeDamage(topic, 'database', error.message)
    if (place !== undefined) {
      for await (const damage of findLostEvents(place.path, topic, directory.nodeId)) {
        damages++
        yield damage
      }
    }
    yield { type: 'topic', topic, streams: 0, blocks: 0, events: 0, damages, notes: 0 }
    return
  }
  try {
    const { heads, sameBoot } = await readHeads(place.path, await bootId())
    yield* checkDatabases({
      topic,
      nodeId: directory.nodeId,
      ...databases,
      nowMicros: clock.nowMicros(),
      knownEnd: (stream) => {
        const head = heads.get(stream)
        if (head === undefined) return undefined
        return { nextOffset: head.nextOffset, surelyOnDisk: sameBoot ? head.nextOffset : head.syncedOffset }
      },
      exclusively: (work) => work(),
      giveWay: async () => {
        await nextTurn()
        if (signal.aborted) throw new AbortedError('the check was given up', { cause: signal.reason })
      },
    })
  } finally {
    await databases.blocks.close()
    await databases.meta.close()
  }
}

function isDamage(error: unknown): error is MillraceError {
  if (!(error instanceof MillraceError)) return false
  return ['ERR_STORE_CORRUPT', 'ERR_STORE_MISSING', 'ERR_STORE_WRONG_NODE'].includes(error.code)
}
