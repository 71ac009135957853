import { Cell, useCell } from '../live/cell.js'

/** What the address of the browser says: the page, and everything chosen on it. */
export interface Address {
  readonly page: string
  readonly fields: Readonly<Record<string, string>>
}

/** `#events?filter=…`: a link shows the same picture. */
export function parseAddress(hash: string): Address {
  const text = hash.replace(/^#/, '')
  const mark = text.indexOf('?')
  const page = mark < 0 ? text : text.slice(0, mark)
  return { page, fields: Object.fromEntries(new URLSearchParams(mark < 0 ? '' : text.slice(mark + 1))) }
}

export function renderAddress({ page, fields }: Address): string {
  const text = new URLSearchParams(Object.entries(fields).filter(([, value]) => value !== '')).toString()
  return text === '' ? `#${page}` : `#${page}?${text}`
}

/** The address as it is. */
export const address = new Cell<Address>(parseAddress(location.hash))

addEventListener('hashchange', () => {
  address.value = parseAddress(location.hash)
})

/** Goes to a page; what is not given is not chosen. */
export function goTo(page: string, fields: Readonly<Record<string, string>> = {}): void {
  location.hash = renderAddress({ page, fields })
}

/** Changes what is chosen on the page; an empty text is no choice. The button "back" of the browser skips it. */
export function choose(changes: Readonly<Record<string, string>>): void {
  const { page, fields } = address.value
  const next = { page, fields: { ...fields, ...changes } }
  history.replaceState(history.state, '', renderAddress(next))
  address.value = next
}

/** What is chosen; an empty text for nothing. */
export function useChoice(name: string): string {
  return useCell(address).fields[name] ?? ''
}
