import { createHash } from 'node:crypto'
import { streamIdOf, type StreamId } from '../../core/index.js'
import { Identity, type CommitRun, type SignedHead, type SignedStatement } from '../../storage/index.js'

/** What a stream's owner says of it when nothing else is asked for. */
type Statement = Omit<SignedHead, 'signature'>

/** Somebody with a key who signs whatever he likes, in the format of the wire, with nothing of the store's own code. */
export class Forger {
  readonly identity: Identity
  readonly #topic: string

  constructor(seed: Uint8Array, topic: string) {
    this.identity = Identity.fromSeed(seed)
    this.#topic = topic
  }

  stream(number = 0): StreamId {
    return streamIdOf(this.identity.nodeId, number)
  }

  async head(changes: Partial<Statement> & Pick<Statement, 'nextOffset'>): Promise<SignedHead> {
    const { nextOffset } = changes
    const statement = {
      stream: this.stream(),
      name: 'default',
      hash: createHash('sha256').update(String(nextOffset)).digest(),
      lamport: nextOffset,
      firstOffset: 0,
      blockOffset: Math.max(0, nextOffset - 1),
      timeMicros: 1,
      ...changes,
    }
    return { ...statement, signature: Buffer.from(await this.identity.sign(signingBytes(this.#topic, statement))) }
  }

  /** A head as the owner signed it, in the form in which forks are told. */
  statementOf({ signature, ...statement }: SignedHead): SignedStatement {
    return { bytes: signingBytes(this.#topic, statement), signature }
  }

  /** The first commit of a stream: one event for each payload. */
  async firstRun(payloads: readonly string[], changes: Partial<Statement> = {}): Promise<CommitRun> {
    const stream = changes.stream ?? this.stream()
    const lines = Buffer.from(payloads.map((payload, at) => lineOf(stream, at, payload)).join(''))
    return this.runOf(lines, payloads.length, { stream, ...changes })
  }

  /** Whatever the lines are, the head over them is right. */
  async runOf(lines: Buffer, count: number, changes: Partial<Statement> = {}): Promise<CommitRun> {
    const stream = changes.stream ?? this.stream()
    const previousHash = createHash('sha256').update(`millrace/genesis/1\n${stream}\n`).digest()
    const hash = createHash('sha256')
      .update(`millrace/commit/1\n${stream}\n0\n${String(count)}\n`)
      .update(previousHash)
      .update(lines)
      .digest()
    const head = await this.head({ stream, nextOffset: count, hash, lamport: count, blockOffset: 0, ...changes })
    return { from: 0, previousHash, counts: [count], lines, head }
  }
}

function lineOf(stream: StreamId, at: number, payload: string): string {
  const number = String(at)
  return `{"type":"event","lamport":${number},"stream":"${stream}","offset":${number},"timestamp":5,"tags":["a"],"appId":"com.x","payload":${payload}}\n`
}

function signingBytes(topic: string, statement: Statement): Buffer {
  const { stream, name, nextOffset, hash, lamport, firstOffset, blockOffset, timeMicros } = statement
  return Buffer.concat([
    ...['millrace/head/1', topic, stream, name].flatMap(text),
    varint(nextOffset),
    hash,
    ...[lamport, firstOffset, blockOffset, timeMicros].map(varint),
  ])
}

function text(value: string): Buffer[] {
  const bytes = Buffer.from(value)
  return [varint(bytes.length), bytes]
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128)
  return Buffer.from([...bytes, rest])
}
