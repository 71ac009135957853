import { goTo } from './address.js'
import { PAGES } from './pages.js'

/** The digits change the page, except where one writes. */
export function listenToKeys(): void {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || isWriting(event.composedPath()[0])) return
    const page = /^[1-9]$/.test(event.key) ? PAGES[Number(event.key) - 1] : undefined
    if (page !== undefined) goTo(page.key)
  })
}

function isWriting(target: EventTarget | undefined): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches('input, textarea, select'))
}
