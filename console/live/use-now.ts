import { useEffect, useState } from 'preact/hooks'

/** The time, milliseconds since 1970; the part is drawn again so often. */
export function useNow(everyMs = 1000): number {
  const [nowMs, setNowMs] = useState(Date.now)
  useEffect(() => {
    const timer = setInterval(() => {
      setNowMs(Date.now())
    }, everyMs)
    return () => {
      clearInterval(timer)
    }
  }, [everyMs])
  return nowMs
}
