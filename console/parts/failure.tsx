import type { JSX } from 'preact'
import { RequestRefusedError } from '../../client/index.js'
import { operatorToken, resignAsOperator } from '../frame/operator.js'
import { WarningGlyph } from './glyph.js'

/** What to do about a refusal. */
function adviceFor({ status }: RequestRefusedError): string {
  if (status === 401) {
    return operatorToken() === undefined
      ? 'Load the page again: the daemon gives it a new token.'
      : 'The token of the operator has expired, or is of another node. Make a new one: millrace token --operator.'
  }
  if (status === 403) return 'Only an operator may. On the machine itself: millrace token --operator.'
  if (status === 404) return 'The daemon is of another version than this page. Load the page again.'
  if (status === 429 || status === 503)
    return 'The daemon has too much to do or is stopping. It is asked again by itself.'
  return 'The log of the daemon says more: see the page Node.'
}

/** In place of the one panel that the daemon refused; everything else goes on. */
export function Failure({ error }: { error: Error }): JSX.Element {
  return (
    <div class="blank" role="status">
      <WarningGlyph />
      <h2>The daemon did not do this</h2>
      <p>{error.message}</p>
      {error instanceof RequestRefusedError ? (
        <>
          <p class="q">
            <code>{error.wireCode}</code>, status {error.status}. <b>{adviceFor(error)}</b>
          </p>
          {error.status === 401 && operatorToken() !== undefined ? (
            <button class="btn" type="button" onClick={resignAsOperator}>
              Go on without the token
            </button>
          ) : null}
        </>
      ) : null}
    </div>
  )
}
