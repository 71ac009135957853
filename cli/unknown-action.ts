import { nearestWord } from '../core/index.js'
import { UsageError } from './usage-error.js'

/** What to say to a word that should have been one of some actions, or is missing. */
export function unknownAction(given: string | undefined, actions: readonly string[]): UsageError {
  const last = actions.at(-1) ?? ''
  const choice = actions.length > 1 ? `${actions.slice(0, -1).join(', ')} or ${last}` : last
  if (given === undefined) return new UsageError(`expected ${choice}`)
  const nearest = nearestWord(given, actions)
  const hint = nearest === undefined ? '' : `; did you mean '${nearest}'?`
  return new UsageError(`expected ${choice}, not '${given}'${hint}`)
}
