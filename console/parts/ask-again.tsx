import type { JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'

/** Milliseconds after which the question falls back. */
const OPEN_MS = 5000

/** A button that asks once more in its own place before it does what cannot be undone. */
export function AskAgain(props: { label: string; question: string; name: string; onSure: () => void }): JSX.Element {
  const { label, question, name, onSure } = props
  const [isAsking, setIsAsking] = useState(false)
  useEffect(() => {
    if (!isAsking) return undefined
    const timer = setTimeout(() => {
      setIsAsking(false)
    }, OPEN_MS)
    return () => {
      clearTimeout(timer)
    }
  }, [isAsking])
  const press = (): void => {
    setIsAsking(!isAsking)
    if (isAsking) onSure()
  }
  return (
    <button
      class={isAsking ? 'btn asks' : 'btn'}
      type="button"
      aria-label={`${isAsking ? question : label} ${name}`}
      onClick={press}
    >
      {isAsking ? question : label}
    </button>
  )
}
