import { useEffect, useState } from 'preact/hooks'

/** Whether a media query holds now. */
export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const list = matchMedia(query)
    const follow = (): void => {
      setMatches(list.matches)
    }
    follow()
    list.addEventListener('change', follow)
    return () => {
      list.removeEventListener('change', follow)
    }
  }, [query])
  return matches
}

/** Where pages stand in one column: tablets and smaller. */
export const NARROW = '(max-width: 1000px)'
