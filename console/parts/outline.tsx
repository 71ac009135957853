import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'

/** What answers faster than this shows no outline; milliseconds. */
const QUIET_MS = 200

/** Stands for what is not there yet. */
export function Outline({ what }: { what: string }): JSX.Element {
  const [isSlow, setIsSlow] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => {
      setIsSlow(true)
    }, QUIET_MS)
    return () => {
      clearTimeout(timer)
    }
  }, [])
  return (
    <div class="stack" aria-busy="true">
      {isSlow ? <Lines what={what} /> : null}
    </div>
  )
}

function Lines({ what }: { what: string }): JSX.Element {
  return (
    <>
      <p class="q" role="status">
        Reading {what} from the daemon …
      </p>
      <div class="skel" />
      <div class="skel" />
    </>
  )
}
