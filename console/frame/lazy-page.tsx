import type { ComponentType, JSX } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Failure } from '../parts/failure.js'
import { Outline } from '../parts/outline.js'

/** A page whose program comes when it is first shown: the first picture needs not wait for it. */
export function lazyPage(what: string, load: () => Promise<ComponentType>): ComponentType {
  let loaded: ComponentType | undefined
  return function LazyPage(): JSX.Element {
    const [Content, setContent] = useState<ComponentType | undefined>(() => loaded)
    const [error, setError] = useState<Error | undefined>(undefined)
    useEffect(() => {
      if (loaded !== undefined) return
      const fetchContent = async (): Promise<void> => {
        try {
          loaded = await load()
          setContent(() => loaded)
        } catch (problem) {
          // The daemon is off, or was replaced by one with another page: loading this one again helps in both cases.
          setError(new Error(`${String(problem)}. Load the page again.`))
        }
      }
      void fetchContent()
    }, [])
    if (error !== undefined) return <Failure error={error} />
    return Content === undefined ? <Outline what={what} /> : <Content />
  }
}
