import {
  decodeRun,
  encodeRun,
  verifyRun,
  type ApplyOutcome,
  type ReplicaPiece,
  type Store,
  VerifiedRun,
} from '../../storage/index.js'

export const TOPIC = 'test'

/** Gives a store a piece of another one, through the bytes that would travel. */
export async function apply(to: Store, piece: ReplicaPiece): Promise<ApplyOutcome> {
  if (piece.kind === 'pruned') throw new Error(`nothing to apply before offset ${String(piece.firstOffset)}`)
  if (piece.kind === 'block') return to.replicas.applyBlock(piece.bytes)
  const run = await decodeRun(await encodeRun(piece.run))
  if (run === undefined) throw new Error('a run does not survive its bytes')
  const verified = await verifyRun(TOPIC, run, Date.now() * 1000)
  return verified instanceof VerifiedRun ? to.replicas.applyRun(verified) : verified
}

/** Brings one stream as far as the other store has it; returns what became of each piece. */
export async function pullStream(from: Store, to: Store, stream: string, maxBytes = 2000): Promise<ApplyOutcome[]> {
  const outcomes: ApplyOutcome[] = []
  const head = await from.replicas.signHead(stream)
  if (head !== undefined) await to.replicas.saveHead(head)
  let next = to.replicas.status(stream)?.nextOffset ?? 0
  for (;;) {
    let piece = await from.replicas.read(stream, next, maxBytes)
    if (piece?.kind === 'pruned') piece = await from.replicas.read(stream, piece.firstOffset, maxBytes)
    if (piece === undefined || piece.kind === 'pruned') return outcomes
    const outcome = await apply(to, piece)
    outcomes.push(outcome)
    if (outcome.kind === 'unsealed') {
      const seals = await from.replicas.readSeals(stream, outcome.from, 100)
      if (!(await to.replicas.applySeals(seals)).some(({ kind }) => kind === 'applied')) return outcomes
      continue
    }
    if (outcome.kind !== 'applied') return outcomes
    next = outcome.nextOffset
  }
}

/** Brings all streams as far as the other store has them, block signatures too. */
export async function pull(from: Store, to: Store, maxBytes = 2000): Promise<ApplyOutcome[]> {
  const outcomes: ApplyOutcome[] = []
  for (const { stream } of from.replicas.list()) {
    if (stream.startsWith(to.nodeId) && to.replicas.epoch === 0) continue
    const { head } = from.replicas.status(stream) ?? {}
    if (head !== undefined) await to.replicas.saveHead(head)
    outcomes.push(...(await pullStream(from, to, stream, maxBytes)))
    const unsigned = to.replicas.status(stream)?.unsignedFrom
    if (unsigned !== undefined) await to.replicas.applySeals(await from.replicas.readSeals(stream, unsigned, 1000))
  }
  return outcomes
}
