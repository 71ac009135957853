import type { JSX } from 'preact'
import { useEffect, useMemo, useRef } from 'preact/hooks'
import type { Client } from '../../client/index.js'
import { shortNode } from '../figures/names.js'
import { useCell } from '../live/cell.js'
import { linkState } from '../live/link-state.js'
import { Poller } from '../live/poller.js'
import { useNow } from '../live/use-now.js'
import { POLL_MS, useLink } from '../live/use-polled.js'
import { address } from './address.js'
import { Guarded } from './guarded.js'
import { Header } from './header.js'
import { alarmsText, FactsProvider, type NodeFacts } from './node-facts.js'
import { PAGES, type Page } from './pages.js'
import { StateBar } from './state-bar.js'
import { Tabs } from './tabs.js'

/** The whole page: frame and the page that the address names. */
export function App(): JSX.Element {
  const link = useLink()
  const poller = useMemo(() => new Poller<NodeFacts>(link, loadFacts, POLL_MS), [link])
  useEffect(() => {
    void poller.run()
    return () => {
      poller.end()
    }
  }, [poller])
  const polled = useCell(poller.polled)
  const facts = useCell(link.facts)
  const nextTryMs = useCell(poller.nextTryMs)
  const nowMs = useNow()
  const state = linkState(facts, nowMs)
  const page = pageOf(useCell(address).page)
  const main = useMainOf(page)
  // The frame is drawn every second; what it holds only when there is something new.
  const watched = useMemo(() => ({ ...polled, askNow: poller.askNow }), [polled, poller])
  const content = useMemo(
    () => (
      <Guarded key={page.key}>
        <page.content />
      </Guarded>
    ),
    [page],
  )
  useEffect(() => {
    document.title = titleOf(page, polled.value)
  }, [page, polled])
  return (
    <div data-link={state}>
      <a class="skip" href={`#${page.key}`} onClick={main.focus}>
        Skip to content
      </a>
      <Header facts={polled.value} state={state} answeredMs={facts.answeredMs} nowMs={nowMs} />
      <Tabs current={page} />
      <StateBar state={state} answeredMs={facts.answeredMs} nextTryMs={nextTryMs} nowMs={nowMs} onTry={poller.askNow} />
      <main ref={main.ref} id="main" tabIndex={-1}>
        <h1 class="vh">{page.name}</h1>
        <FactsProvider value={watched}>{content}</FactsProvider>
      </main>
    </div>
  )
}

async function loadFacts(client: Client, signal: AbortSignal): Promise<NodeFacts> {
  const [swarm, alarms] = await Promise.all([client.swarm(signal), client.alarms(signal)])
  return { swarm, alarms }
}

function pageOf(key: string): Page {
  const page = PAGES.find((candidate) => candidate.key === key) ?? PAGES[0]
  if (page === undefined) throw new TypeError('there are no pages')
  return page
}

/** `(2 alarms) Streams · uMb7oS0d · millrace`. */
function titleOf(page: Page, facts: NodeFacts | undefined): string {
  const alarms = facts?.alarms ?? []
  const bell = alarms.length === 0 ? '' : `(${alarmsText(alarms)}) `
  const node = facts === undefined ? '' : ` · ${shortNode(facts.swarm.nodeId)}`
  return `${bell}${page.name}${node} · millrace`
}

/** The part that holds the page; a new page begins at its top. */
function useMainOf(page: Page): {
  readonly ref: { current: HTMLElement | null }
  readonly focus: (event: Event) => void
} {
  const ref = useRef<HTMLElement>(null)
  useEffect(() => {
    scrollTo(0, 0)
  }, [page])
  const focus = (event: Event): void => {
    event.preventDefault()
    ref.current?.focus()
  }
  return { ref, focus }
}
