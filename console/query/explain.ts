import { useEffect, useState } from 'preact/hooks'
import type { RequestRefusedError } from '../../client/index.js'
import { isRefusal } from '../live/link.js'
import { pause } from '../live/pause.js'
import { useLink } from '../live/use-polled.js'
import type { Fault } from './fault.js'

/** After so long without a key the daemon is asked; milliseconds. */
const REST_MS = 300

/** What the daemon says about a text. */
export interface Explained {
  /** The text that this is about. */
  readonly text: string
  readonly explanation: Readonly<Record<string, unknown>> | undefined
  readonly fault: Fault | undefined
  /** What is wrong with the query as a whole. */
  readonly refusal: string | undefined
}

const NOTHING: Explained = { text: '', explanation: undefined, fault: undefined, refusal: undefined }

/** Has a text explained when its writer rests. */
export function useExplained(text: string): Explained {
  const link = useLink()
  const [explained, setExplained] = useState<Explained>(NOTHING)
  useEffect(() => {
    const ending = new AbortController()
    const explain = async (): Promise<void> => {
      await pause(REST_MS, ending.signal)
      try {
        const explanation = await link.ask((client, signal) => client.explain(text, { signal }), ending.signal)
        setExplained({ text, explanation, fault: undefined, refusal: undefined })
      } catch (error) {
        if (!ending.signal.aborted && isRefusal(error)) setExplained(refused(text, error))
      }
    }
    if (text.trim() === '') setExplained(NOTHING)
    else void explain()
    return () => {
      ending.abort()
    }
  }, [link, text])
  return explained
}

function refused(text: string, { message, details }: RequestRefusedError): Explained {
  const fault = faultOf(details)
  return { text, explanation: undefined, fault, refusal: fault === undefined ? message : undefined }
}

function faultOf({ offset, line, column, reason }: Readonly<Record<string, unknown>>): Fault | undefined {
  if (typeof offset !== 'number' || typeof line !== 'number' || typeof column !== 'number') return undefined
  return { offset, line, column, reason: typeof reason === 'string' ? reason : 'this is not AQL' }
}
