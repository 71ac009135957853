import type { JSX } from 'preact'
import { PAGES, type Page } from './pages.js'

export function Tabs({ current }: { current: Page }): JSX.Element {
  return (
    <nav class="tabs" aria-label="Pages">
      {PAGES.map((page) => (
        <a key={page.key} href={`#${page.key}`} {...(page === current ? { 'aria-current': 'page' as const } : {})}>
          <svg viewBox="0 0 22 22" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">
            <path d={page.icon} />
          </svg>
          {page.name}
        </a>
      ))}
    </nav>
  )
}
