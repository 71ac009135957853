import { NodeUnreachableError, OutcomeUnknownError, type RequestRefusedError } from './errors.js'
import type { Requests } from './requests.js'
import { DEFAULT_PAUSES, retryPauseMs } from './retry.js'
import { pause } from './unless-aborted.js'
import { mayPass } from './wire-errors.js'

/** How long a write whose answer got lost is asked for again, milliseconds. */
const PATIENCE_MS = 30_000

/** Asks for a write until there is an answer. It is done once, however often it is asked for: its body says which it is. */
export async function askAgain(
  requests: Requests,
  path: string,
  body: string,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const deadline = performance.now() + PATIENCE_MS
  let mayBeDone = false
  for (let failures = 1; ; failures++) {
    try {
      return await requests.askJson('POST', path, body, signal)
    } catch (error) {
      if (!mayPass(error) || signal?.aborted) throw error
      mayBeDone ||= isUnknown(error)
      // What is refused later says nothing about what came before.
      if (!mayBeDone) throw error
      if (performance.now() > deadline) throw new OutcomeUnknownError(error, 'whether the write was done is not known')
      await pause(retryPauseMs(failures, DEFAULT_PAUSES, Math.random()), signal ?? new AbortController().signal)
    }
  }
}

/** Whether it may have been done though nobody said so. */
function isUnknown(error: NodeUnreachableError | RequestRefusedError): boolean {
  return error instanceof NodeUnreachableError ? !error.neverSent : error.wireCode === 'ERR_OUTCOME_UNKNOWN'
}

/** 128 random bits; also where `crypto.randomUUID` is only for pages that came encrypted. */
export function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
