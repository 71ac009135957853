import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'

/** Milliseconds for which it says what it did. */
const SAID_MS = 3000

/** Puts a text on the clipboard. Beyond loopback browsers forbid that without TLS, and it says so. */
export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }): JSX.Element {
  const [said, setSaid] = useState<string | undefined>(undefined)
  useEffect(() => {
    if (said === undefined) return undefined
    const timer = setTimeout(() => {
      setSaid(undefined)
    }, SAID_MS)
    return () => {
      clearTimeout(timer)
    }
  }, [said])
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text)
      setSaid('Copied')
    } catch {
      setSaid('Not allowed here')
    }
  }
  return (
    <button class="btn" type="button" onClick={() => void copy()}>
      <span role="status">{said ?? label}</span>
    </button>
  )
}
