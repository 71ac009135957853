import { randomUUID } from 'node:crypto'
import type { StateCapabilities } from './backend.js'
import type { RecordTable, TableWrite } from './record-table.js'
import { StateProbeError } from './remote-errors.js'

/** Commits that follow the same one at once. */
const RIVALS = 64

/** Commits one behind the other. */
const CHAIN = 8

/** Without these no state is kept; the others say what it can do. */
const NEEDED: readonly (keyof StateCapabilities)[] = [
  'atomicCas',
  'readYourWrites',
  'durableAck',
  'monotonicRevision',
  'ttl',
  'fencing',
]

/**
 * Finds out whether a table does what it promises, in an empty one of its kind that nobody else uses. Leaves no record behind.
 *
 * @throws StateProbeError
 */
export async function probeTable(table: RecordTable): Promise<void> {
  const missing = NEEDED.find((capability) => !table.capabilities[capability])
  if (missing !== undefined) throw new StateProbeError(table.name, missing, 'the plug-in says that it has none')
  const probe = new Probe(table)
  await probe.onlyOneWins()
  await probe.commitsFollowEachOther()
  await probe.recordsComeInOrder()
  await probe.tidy()
}

class Probe {
  readonly #table: RecordTable
  /** Own keys, so that leftovers of a probe that was killed do no harm. */
  readonly #prefix = Buffer.from(`${randomUUID()}/`)
  readonly #keys: Buffer[] = []
  #mark = ''

  constructor(table: RecordTable) {
    this.#table = table
  }

  async onlyOneWins(): Promise<void> {
    const after = await this.#table.mark()
    const key = this.#key('cas')
    const rivals = Array.from({ length: RIVALS }, () => ({ after, mark: randomUUID() }))
    const done = await Promise.all(
      rivals.map(({ mark }) => this.#table.commit({ after, mark, writes: [{ key, content: Buffer.from(mark) }] })),
    )
    const winners = rivals.filter((_, at) => done[at])
    const [winner] = winners
    if (winner === undefined || winners.length > 1) {
      this.#fail(
        'atomicCas',
        `${String(winners.length)} of ${String(RIVALS)} commits at once were done, instead of one`,
      )
    }
    this.#mark = winner.mark
    const found = await Promise.all(Array.from({ length: CHAIN }, () => this.#read(key)))
    if (found.some((text) => text !== winner.mark)) {
      this.#fail('readYourWrites', 'a read behind a commit did not find what was written')
    }
    if (!(await this.#table.commit({ ...winner, writes: [] }))) {
      this.#fail('atomicCas', 'a commit that was done is refused when it is sent once more')
    }
    if ((await this.#read(key)) !== winner.mark) this.#fail('atomicCas', 'a commit that was sent twice was done twice')
  }

  async commitsFollowEachOther(): Promise<void> {
    const key = this.#key('chain')
    for (let at = 0; at < CHAIN; at++) {
      const old = this.#mark
      await this.#commit([{ key, content: Buffer.from(String(at)) }])
      const stale = { after: old, mark: randomUUID(), writes: [{ key, content: Buffer.from('stale') }] }
      if (await this.#table.commit(stale)) this.#fail('monotonicRevision', 'a commit behind an older one was done')
      if ((await this.#table.mark()) !== this.#mark) {
        this.#fail('monotonicRevision', 'the newest commit is not the one that was done last')
      }
      if ((await this.#read(key)) !== String(at)) this.#fail('readYourWrites', 'a read found an older value')
    }
  }

  async recordsComeInOrder(): Promise<void> {
    const keys = [[0x00], [0x00, 0x00], [0x01], [0x7f], [0x80], [0xc3, 0xa4], [0xff]].map((bytes) =>
      this.#key('order/', bytes),
    )
    await this.#commit(keys.toReversed().map((key) => ({ key, content: key })))
    const [first = NOTHING, , ...rest] = keys
    const found = await this.#table.page({ gt: first, lt: this.#key('order0'), limit: rest.length })
    const expected = keys.slice(1, 1 + rest.length)
    const isSame = found.length === expected.length && found.every(([key], at) => key.equals(expected[at] ?? NOTHING))
    if (!isSame) this.#fail('order', 'records do not come in the order of the bytes of their keys')
    const values = await this.#table.read(keys)
    if (!values.every((value, at) => value?.equals(keys[at] ?? NOTHING))) {
      this.#fail('multiKeyTxn', 'a commit of several records did not write all of them')
    }
  }

  async tidy(): Promise<void> {
    await this.#commit(this.#keys.map((key) => ({ key, content: undefined })))
    if ((await this.#table.read(this.#keys)).some((value) => value !== undefined)) {
      this.#fail('readYourWrites', 'deleted records are still there')
    }
  }

  async #commit(writes: readonly TableWrite[]): Promise<void> {
    const commit = { after: this.#mark, mark: randomUUID(), writes }
    if (!(await this.#table.commit(commit))) this.#fail('atomicCas', 'a commit behind the newest one was refused')
    this.#mark = commit.mark
  }

  async #read(key: Buffer): Promise<string | undefined> {
    return (await this.#table.read([key]))[0]?.toString()
  }

  #key(name: string, bytes: readonly number[] = []): Buffer {
    const key = Buffer.concat([this.#prefix, Buffer.from(name), Buffer.from(bytes)])
    if (!this.#keys.some((known) => known.equals(key))) this.#keys.push(key)
    return key
  }

  #fail(probe: string, found: string): never {
    throw new StateProbeError(this.#table.name, probe, found)
  }
}

const NOTHING = Buffer.alloc(0)
