import type { AppId } from '../../core/index.js'
import type { ClaimAnswer, ClaimToken, Fence, State } from '../../state/index.js'
import type { NodeAudit } from '../audit/node-audit.js'
import type { DedupOfApp, LimitsOfApp, LocksOfApp } from './state-service.js'

/** Locks, and a record of who has got, prolonged and released which. */
export function auditedLocks({ locks }: State, audit: NodeAudit, app: AppId | undefined): LocksOfApp {
  const about = ({ lock, fence }: Fence): string => JSON.stringify({ lock, fence: String(fence) })
  return {
    acquire: (request, waitMs, signal) => {
      const { name: lock, mode, owner, ttlMs } = request
      const operation = { action: 'state.lock.acquire', app, detail: JSON.stringify({ lock, mode, owner, ttlMs }) }
      return audit.act(
        operation,
        () => locks.acquire(request, waitMs, signal),
        ({ fence }) => ({ fence: String(fence) }),
      )
    },
    extend: (fence, ttlMs) =>
      audit.act(
        { action: 'state.lock.extend', app, detail: about(fence) },
        () => locks.extend(fence, ttlMs),
        () => ({ ttlMs }),
      ),
    release: (fence) =>
      audit.act(
        { action: 'state.lock.release', app, detail: about(fence) },
        () => locks.release(fence),
        (released) => ({ released }),
      ),
    // Nobody asks for it, and nothing may stand in its way.
    takeBack: (grant) => locks.takeBack(grant),
    whileHeld: (grant, signal) => locks.whileHeld(grant, signal),
    find: (name) => locks.find(name),
    list: (prefix, after, limit) => locks.list(prefix, after, limit),
  }
}

/** Things that are done once, and a record of who claimed them and what came of it. */
export function auditedDedup({ dedup }: State, audit: NodeAudit, app: AppId | undefined): DedupOfApp {
  const about = ({ key, claim }: ClaimToken): string => JSON.stringify({ key, claim: String(claim) })
  return {
    claim: (request) => {
      const operation = { action: 'state.dedup.claim', app, detail: JSON.stringify({ key: request.key }) }
      return audit.act(operation, () => dedup.claim(request), claimOutcome)
    },
    done: (token, result) => {
      const detail = `${about(token).slice(0, -1)},"value":${result}}`
      return audit.act(
        { action: 'state.dedup.done', app, detail },
        () => dedup.done(token, result),
        () => ({}),
      )
    },
    abandon: (token) =>
      audit.act(
        { action: 'state.dedup.abandon', app, detail: about(token) },
        () => dedup.abandon(token),
        (abandoned) => ({ abandoned }),
      ),
  }
}

/** Limits, and a record of who has taken and given back how much. */
export function auditedLimits({ limits }: State, audit: NodeAudit, app: AppId | undefined): LimitsOfApp {
  return {
    take: (request) => {
      const { parts, requestId } = request
      const operation = { action: 'state.limits.take', app, detail: JSON.stringify({ limits: parts, requestId }) }
      return audit.act(
        operation,
        () => limits.take(request),
        ({ ok }) => ({ ok }),
      )
    },
    refund: (owner, requestId) =>
      audit.act(
        { action: 'state.limits.refund', app, detail: JSON.stringify({ requestId }) },
        () => limits.refund(owner, requestId),
        (refunded) => ({ refunded }),
      ),
  }
}

function claimOutcome(answer: ClaimAnswer): Readonly<Record<string, string>> {
  return answer.kind === 'new' ? { claim: String(answer.token.claim) } : { found: answer.kind }
}
