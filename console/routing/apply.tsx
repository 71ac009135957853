import type { JSX } from 'preact'
import { useState } from 'preact/hooks'
import type { AppliedRouting, DraftReport, RoutingInfo } from '../../client/index.js'
import { counted } from '../figures/numbers.js'
import { useLink } from '../live/use-polled.js'
import { AskAgain } from '../parts/ask-again.js'
import { OperatorField } from '../parts/operator-field.js'
import type { Draft } from './draft.js'

/** Applying rewrites and reloads; milliseconds. */
const APPLY_MS = 30_000

/** Applies a draft, or says why that cannot be. */
export function ApplyRow(props: {
  routing: RoutingInfo
  draft: Draft | undefined
  report: DraftReport | undefined
  onApplied: (applied: AppliedRouting) => void
}): JSX.Element {
  const { routing, draft, report, onApplied } = props
  const link = useLink()
  const [problem, setProblem] = useState<string | undefined>(undefined)
  const reason = whyNot(routing, draft, report)
  const dropped = report?.changes?.dropped ?? 0
  const apply = async (): Promise<void> => {
    if (draft === undefined) return
    setProblem(undefined)
    const change = { draft: draft.text, version: draft.version, mayDrop: dropped > 0 }
    try {
      onApplied(await link.ask((client, signal) => client.applyRouting(change, signal), AbortSignal.timeout(APPLY_MS)))
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error))
    }
  }
  return (
    <>
      <div class="row">
        {reason === undefined && dropped > 0 ? (
          <AskAgain
            label="Apply"
            question={`Really delete ${counted(dropped, 'event')}`}
            name="the draft"
            onSure={() => void apply()}
          />
        ) : (
          <button class="btn pri" type="button" disabled={reason !== undefined} onClick={() => void apply()}>
            Apply
          </button>
        )}
        <span class="q">{reason}</span>
      </div>
      {problem === undefined ? null : <p class="note a">{problem}</p>}
      {routing.mayApply || routing.fixed !== null ? null : <OperatorField what="applies drafts" />}
    </>
  )
}

function whyNot(
  { fixed, mayApply }: RoutingInfo,
  draft: Draft | undefined,
  report: DraftReport | undefined,
): string | undefined {
  if (fixed !== null) return fixed
  if (!mayApply) return 'Without the token of an operator you can only look.'
  if (draft === undefined) return 'Nothing is changed.'
  if (report === undefined) return 'It is being checked.'
  if (report.errors.length > 0)
    return `There ${report.errors.length === 1 ? 'is 1 error' : `are ${String(report.errors.length)} errors`}.`
  return undefined
}
