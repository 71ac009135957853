import type { RetentionChange } from './event-store.js'
import { KEEP_EVERYTHING, type Retention } from './retention.js'
import { outlookOf, surveyStream, type SurveyRequest } from './stream-survey.js'

/** An own stream, looked at under the limits that it has. */
export interface NamedStream {
  readonly name: string
  readonly request: SurveyRequest
}

/** What would go at once of streams under other limits, beyond what goes anyway. */
export async function previewRetention(
  own: readonly NamedStream[],
  limits: ReadonlyMap<string, Retention>,
): Promise<readonly RetentionChange[]> {
  const changes: RetentionChange[] = []
  for (const { name, request } of own) {
    const after = await dropped({ ...request, retention: limits.get(name) ?? KEEP_EVERYTHING })
    if (after.length === 0) continue
    const before = await dropped(request)
    const more = after.slice(before.length)
    if (more.length === 0) continue
    changes.push({
      name,
      blocks: more.length,
      events: more.reduce((sum, { count }) => sum + count, 0),
      storedBytes: more.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
    })
  }
  return changes
}

async function dropped(request: SurveyRequest) {
  return outlookOf(await surveyStream(request), request.nowMicros).dropped
}
