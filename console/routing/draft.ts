import { useEffect, useState } from 'preact/hooks'
import type { DraftReport } from '../../client/index.js'
import { Cell } from '../live/cell.js'
import { isRefusal } from '../live/link.js'
import { pause } from '../live/pause.js'
import { useLink } from '../live/use-polled.js'

/** After so long without a key the daemon is asked; milliseconds. */
const REST_MS = 300

/** Routes and limits that somebody writes, and the file that they were made from. */
export interface Draft {
  readonly text: string
  /** What stood there when it was begun. */
  readonly base: string
  readonly version: string
}

/** Kept while one looks at other pages; `undefined` while nobody has changed anything. */
export const draft = new Cell<Draft | undefined>(undefined)

/** What the daemon says about a draft. */
export interface Checked {
  /** The text that this is about. */
  readonly text: string
  readonly report: DraftReport | undefined
  /** Why it did not say anything. */
  readonly refusal: string | undefined
}

/** Has a draft checked when its writer rests. */
export function useChecked(text: string | undefined): Checked | undefined {
  const link = useLink()
  const [checked, setChecked] = useState<Checked | undefined>(undefined)
  useEffect(() => {
    const ending = new AbortController()
    const check = async (wanted: string): Promise<void> => {
      await pause(REST_MS, ending.signal)
      try {
        const report = await link.ask((client, signal) => client.checkDraft(wanted, signal), ending.signal)
        setChecked({ text: wanted, report, refusal: undefined })
      } catch (error) {
        if (!ending.signal.aborted && isRefusal(error))
          setChecked({ text: wanted, report: undefined, refusal: error.message })
      }
    }
    if (text === undefined) setChecked(undefined)
    else void check(text)
    return () => {
      ending.abort()
    }
  }, [link, text])
  return checked
}
