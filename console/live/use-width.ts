import { useEffect, useRef, useState } from 'preact/hooks'

/** The width of an element as it changes, and at least so much; pixels. */
export function useWidth(least: number): { readonly ref: { current: HTMLDivElement | null }; readonly width: number } {
  const ref = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(2 * least)
  useEffect(() => {
    if (ref.current === null) return undefined
    const watcher = new ResizeObserver(([entry]) => {
      if (entry !== undefined) setWidth(Math.max(least, Math.floor(entry.contentRect.width)))
    })
    watcher.observe(ref.current)
    return () => {
      watcher.disconnect()
    }
  }, [least])
  return { ref, width }
}
