import { parseStreamId, type StreamId } from '../core/index.js'
import { ArrivalSet } from './arrival-set.js'
import { verifyBlob } from './blobs.js'
import { blockKey, parseBlockKey } from './block.js'
import { decodeSummary, type BlockSummary } from './block-summary.js'
import type { CheckContext } from './check-context.js'
import type { CheckFinding, CheckLine, CheckNote, Damage } from './check-report.js'
import { CorruptRecordError } from './corrupt-record.js'
import type { Database } from './database.js'
import { decodeFork, type SignedStatement } from './fork-proof.js'
import { decodeGroup, encodeGroup, mergeSummaries } from './group-summary.js'
import { verifySignature } from './identity.js'
import {
  arrivalOfFreedKey,
  freedKey,
  KIND,
  kindRange,
  offsetOfKey,
  singleKey,
  STREAM_LENGTH,
  streamOfKey,
  StreamKeys,
} from './keys.js'
import { nameOfFreed } from './reclaimer.js'
import { SealedCheck, reasonOf } from './sealed-check.js'
import { NEXT_ARRIVAL } from './sealer.js'
import { faultOfHead, type SignedHead } from './signed-head.js'
import { decodeSingle } from './single-value.js'
import { verifyStateRecord } from './state-space.js'
import { StoreCorruptError } from './store-errors.js'
import { decodeStoredHead } from './stored-head.js'
import { StreamFindings } from './stream-findings.js'
import { decodeStreamRecord, emptyStreamRecord, type StreamRecord } from './stream-record.js'
import { checkTail } from './tail-check.js'

/** Entries read at once of what is small; of what is not, fewer. */
const PAGE = 256
const GROUP_PAGE = 16
const BLOB_PAGE = 4

/** Blocks between two reports of progress. */
const PROGRESS_BLOCKS = 16

/**
 * Checks all that is stored of a topic: each checksum, hash, signature, summary and index entry, and that nothing is
 * missing or left over. Changes nothing; may run beside a store in use.
 */
export async function* checkDatabases(context: Omit<CheckContext, 'named'>): AsyncGenerator<CheckLine> {
  const check = new StoreCheck(context)
  yield* check.run()
}

class StoreCheck {
  readonly #context: Omit<CheckContext, 'named'>
  #streams = 0
  #blocks = 0
  #events = 0
  #damages = 0
  #notes = 0

  constructor(context: Omit<CheckContext, 'named'>) {
    this.#context = context
  }

  async *run(): AsyncGenerator<CheckLine> {
    const { topic, meta } = this.#context
    try {
      // First of all: what is sealed from now on is not looked for among the orphans.
      const named = new ArrivalSet(await readNextArrival(meta))
      for await (const line of this.#parts({ ...this.#context, named })) {
        if (line.type === 'damage') this.#damages++
        if (line.type === 'note') this.#notes++
        yield line
      }
    } catch (error) {
      // A table that everything hangs on.
      this.#damages++
      yield storeDamage(topic, 'database', reasonOf(error))
    }
    const counts = { streams: this.#streams, blocks: this.#blocks, events: this.#events }
    yield { type: 'topic', topic, ...counts, damages: this.#damages, notes: this.#notes }
  }

  async *#parts(context: CheckContext): AsyncGenerator<CheckLine> {
    yield* checkSmall(context)
    const totalBlocks = await countBlocks(context.meta)
    yield this.#progress(totalBlocks)
    for await (const stream of streamsIn(context.meta)) {
      for await (const line of this.#stream(context, stream)) {
        if (line === 'block') {
          this.#blocks++
          if (this.#blocks % PROGRESS_BLOCKS === 0) yield this.#progress(totalBlocks)
        } else yield line
      }
      this.#streams++
    }
    yield* checkOrphans(context)
    yield this.#progress(this.#blocks)
  }

  #progress(totalBlocks: number): CheckLine {
    const { topic } = this.#context
    return { type: 'progress', topic, blocks: this.#blocks, totalBlocks: Math.max(totalBlocks, this.#blocks) }
  }

  async *#stream(context: CheckContext, stream: StreamId): AsyncGenerator<CheckFinding | 'block'> {
    const about = new StreamFindings(context.topic, stream, stream.startsWith(context.nodeId))
    const keys = new StreamKeys(stream)
    const heads = new Map<number, SignedHead>()
    const faults = await readHeads(context, about, keys, heads)
    yield* faults
    // Record and tail belong together as long as nothing is sealed.
    const tail = await context.exclusively(async () => {
      const record = await readRecord(context, about, keys)
      return 'type' in record ? record : { record, ...(await checkTail(context, record, about)) }
    })
    if ('type' in tail) {
      yield tail
      return
    }
    yield* tail.findings
    this.#events += tail.state.tailEvents
    const sealed = new SealedCheck(context, about, tail.record, new Set(heads.keys()))
    yield* sealed.run()
    this.#events += sealed.events
    yield* checkGroups(context, about, keys)
    const hashes = new Map(sealed.hashes)
    for (const block of tail.state.tail()) {
      for (const { lines, hash } of block.parts) hashes.set(lines.firstOffset + lines.payloads.length, hash)
    }
    yield* compareHeads(context, about, keys, heads, hashes)
  }
}

async function readNextArrival(meta: Database): Promise<number> {
  const value = await meta.get(singleKey(NEXT_ARRIVAL))
  return value === undefined ? 0 : Number(decodeSingle(NEXT_ARRIVAL, value))
}

/** All streams of which anything is stored, whether or not their records are there. */
async function* streamsIn(meta: Database): AsyncGenerator<StreamId> {
  const streams = new Set<StreamId>()
  for (const kind of [KIND.stream, KIND.tail, KIND.block]) {
    for (let from: Buffer = Buffer.of(kind); ;) {
      const [key] = await meta.keys({ gte: from, lt: Buffer.of(kind + 1), limit: 1 })
      if (key === undefined) break
      streams.add(streamOfKey(key))
      from = behind(key.subarray(0, 1 + STREAM_LENGTH))
    }
  }
  yield* streams
}

/** The first key that does not begin like this. */
function behind(prefix: Buffer): Buffer {
  const next = Buffer.from(prefix)
  for (let at = next.length - 1; at >= 0; at--) {
    next[at] = ((next[at] ?? 0) + 1) & 0xff
    if (next[at] !== 0) break
  }
  return next
}

async function countBlocks(meta: Database): Promise<number> {
  let blocks = 0
  for await (const [key, value] of meta.entries({ ...kindRange(KIND.stream), limit: PAGE })) {
    try {
      blocks += decodeStreamRecord(streamOfKey(key), value).blocks
    } catch (error) {
      // Told of when its stream has its turn.
      reasonOf(error)
    }
  }
  return blocks
}

async function readRecord(
  { meta }: CheckContext,
  about: StreamFindings,
  keys: StreamKeys,
): Promise<StreamRecord | Damage> {
  const value = await meta.get(keys.record)
  if (value === undefined) return emptyStreamRecord(about.stream)
  try {
    return decodeStreamRecord(about.stream, value)
  } catch (error) {
    const [newest] = await meta.keys({
      gte: keys.at('block', 0),
      lt: keys.at('block', Number.MAX_SAFE_INTEGER),
      reverse: true,
      limit: 1,
    })
    const to = newest === undefined ? 0 : offsetOfKey(newest)
    return about.lost({ from: 0, to, part: 'stream record' }, reasonOf(error))
  }
}

/** Collects signed heads by where they end. */
async function readHeads(
  { meta, topic, nowMicros }: CheckContext,
  about: StreamFindings,
  keys: StreamKeys,
  heads: Map<number, SignedHead>,
): Promise<Damage[]> {
  const damages: Damage[] = []
  const range = { gte: keys.at('head', 0), lt: keys.at('head', Number.MAX_SAFE_INTEGER), limit: PAGE }
  for await (const [key, value] of meta.entries(range)) {
    const offset = offsetOfKey(key)
    const place = { from: offset, to: offset, part: 'signed head' }
    try {
      const head = decodeStoredHead(about.stream, offset, value)
      const fault = faultOfHead(topic, head, nowMicros)
      if (fault === undefined) heads.set(head.nextOffset, head)
      else damages.push(about.harmless(place, fault))
    } catch (error) {
      damages.push(about.harmless(place, reasonOf(error)))
    }
  }
  return damages
}

/** What owners have signed has to be what is stored, unless two histories are known already. */
async function* compareHeads(
  { meta }: CheckContext,
  about: StreamFindings,
  keys: StreamKeys,
  heads: ReadonlyMap<number, SignedHead>,
  hashes: ReadonlyMap<number, Buffer>,
): AsyncGenerator<CheckFinding> {
  const fork = await meta.get(keys.fork)
  if (fork !== undefined) {
    yield* checkFork(about, fork)
    return
  }
  for (const [end, head] of heads) {
    const hash = hashes.get(end)
    if (hash === undefined || hash.equals(head.hash)) continue
    const place = { from: head.blockOffset, to: end - 1, part: 'signed head' }
    yield about.doubtful(place, 'its owner has signed another history')
  }
}

function* checkFork(about: StreamFindings, value: Buffer): Generator<CheckFinding> {
  const { nodeId } = parseStreamId(about.stream)
  const isSigned = ({ bytes, signature }: SignedStatement): boolean => verifySignature(nodeId, bytes, signature)
  try {
    const proof = decodeFork(about.stream, value)
    const place = { from: proof.offset, to: proof.offset, part: 'proof of a fork' }
    if (!proof.statements.every(isSigned)) yield about.harmless(place, 'its statements are not signed by the owner')
    else
      yield about.note(
        `its owner has written two histories, so it ends at offset ${String(proof.offset)}: ${proof.reason}`,
      )
  } catch (error) {
    yield about.harmless({ from: 0, to: 0, part: 'proof of a fork' }, reasonOf(error))
  }
}

/** Each group has to stand for exactly the blocks that it covers, as long as all of them are there. */
async function* checkGroups(
  { meta, giveWay }: CheckContext,
  about: StreamFindings,
  keys: StreamKeys,
): AsyncGenerator<CheckFinding> {
  const range = { gte: keys.at('group', 0), lt: keys.at('group', Number.MAX_SAFE_INTEGER), limit: GROUP_PAGE }
  for await (const [key, value] of meta.entries(range)) {
    const started = performance.now()
    const from = offsetOfKey(key)
    try {
      const { count, blocks } = decodeGroup(about.stream, from, value)
      const members = { gte: keys.at('block', from), lt: keys.at('block', from + count), limit: blocks + 1 }
      const summaries = openEntries(about.stream, await meta.page(members))
      const isWhole = summaries?.length === blocks
      if (isWhole && !encodeGroup(mergeSummaries(summaries)).equals(value)) {
        const place = { from, to: from + count - 1, part: 'index group' }
        yield about.doubtful(place, 'it does not stand for the blocks that it covers')
      }
    } catch (error) {
      yield about.harmless({ from, to: from, part: 'index group' }, reasonOf(error))
    }
    await giveWay(performance.now() - started)
  }
}

/** `undefined` when one is damaged, which is told of elsewhere. */
function openEntries(stream: StreamId, entries: readonly [Buffer, Buffer][]): BlockSummary[] | undefined {
  try {
    return entries.map(([key, value]) => decodeSummary(stream, offsetOfKey(key), value))
  } catch (error) {
    if (error instanceof CorruptRecordError) return undefined
    throw error
  }
}

/** What belongs to no stream: single values, the list of freed blocks, files of apps. */
async function* checkSmall({ topic, meta, giveWay }: CheckContext): AsyncGenerator<CheckFinding> {
  for await (const [key, value] of meta.entries({ ...kindRange(KIND.single), limit: PAGE })) {
    const name = key.toString('utf8', 1)
    const problem = await problemOf(() => decodeSingle(name, value))
    if (problem !== undefined) yield storeDamage(topic, `value '${name}'`, problem)
  }
  for await (const [key, value] of meta.entries({ ...kindRange(KIND.freed), limit: PAGE })) {
    const problem = await problemOf(() => decodeSingle(nameOfFreed(arrivalOfFreedKey(key)), value))
    if (problem !== undefined) yield storeDamage(topic, 'list of freed blocks', problem)
  }
  for await (const [key, value] of meta.entries({ ...kindRange(KIND.blob), limit: BLOB_PAGE })) {
    const started = performance.now()
    const problem = await problemOf(() => verifyBlob(key, value))
    if (problem !== undefined) yield fileDamage(topic, key, problem)
    await giveWay(performance.now() - started)
  }
  for await (const page of meta.pages({ ...kindRange(KIND.state), limit: PAGE })) {
    const started = performance.now()
    for (const [key, value] of page) {
      const problem = await problemOf(() => {
        verifyStateRecord(key, value)
      })
      if (problem !== undefined) yield storeDamage(topic, 'record of the state', problem)
    }
    await giveWay(performance.now() - started)
  }
}

async function problemOf(check: () => unknown): Promise<string | undefined> {
  try {
    await check()
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** Blocks that no index entry names: they take room, and nobody will ever read them. */
async function* checkOrphans({ topic, meta, blocks, named, giveWay }: CheckContext): AsyncGenerator<CheckFinding> {
  let orphans = 0
  try {
    for (let arrival = 0; ; arrival++) {
      const started = performance.now()
      const [key] = await blocks.keys({ gte: blockKey(arrival, 0), lt: blockKey(named.bound, 0), limit: 1 })
      const found = key === undefined ? undefined : parseBlockKey(key)
      if (found === undefined) break
      arrival = found.arrival
      if (!named.has(arrival) && (await isOrphan(meta, blocks, arrival))) orphans++
      await giveWay(performance.now() - started)
    }
  } catch (error) {
    if (!(error instanceof StoreCorruptError)) throw error
    yield note(topic, `a damaged table hides whether blocks are left over: ${error.message}`)
    return
  }
  if (orphans > 0) yield note(topic, `${String(orphans)} blocks that no index entry names take room`)
}

/** Looked at in this order, since a prune lists a block before it deletes it. */
async function isOrphan(meta: Database, blocks: Database, arrival: number): Promise<boolean> {
  if ((await meta.get(freedKey(arrival))) !== undefined) return false
  return (await blocks.keys({ gte: blockKey(arrival, 0), lt: blockKey(arrival + 1, 0), limit: 1 })).length > 0
}

function note(topic: string, text: string): CheckNote {
  return { type: 'note', topic, stream: null, text }
}

/** Damage of the store as a whole. */
export function storeDamage(topic: string, part: string, problem: string): Damage {
  return {
    type: 'damage',
    topic,
    stream: null,
    from: null,
    to: null,
    part,
    problem,
    lost: 'what it held; what hangs on it was not checked',
    advice: 'restore a backup that is whole into an empty directory (millrace restore)',
  }
}

function fileDamage(topic: string, key: Buffer, problem: string): Damage {
  const [app = '', path = ''] = key.toString('utf8', 1).split('\0')
  const lost = `the file ${decodeURIComponent(path.replace(/\/$/, ''))} of ${app}`
  return { ...storeDamage(topic, 'blob', problem), lost, advice: 'have the app store it again, or restore a backup' }
}
