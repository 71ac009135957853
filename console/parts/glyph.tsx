import type { JSX } from 'preact'

/** A danger: octagon. Its form says so without colour. */
export function AlarmGlyph(): JSX.Element {
  return (
    <svg viewBox="0 0 40 40" aria-hidden="true">
      <path d="M13 3h14l10 10v14L27 37H13L3 27V13z" fill="var(--alarmfill)" />
      <path d="M20 10v13M20 27v4" stroke="var(--onalarm)" stroke-width="4" />
    </svg>
  )
}

/** A warning: triangle. */
export function WarningGlyph(): JSX.Element {
  return (
    <svg viewBox="0 0 40 40" aria-hidden="true">
      <path d="M20 4 38 36H2z" fill="var(--warnfill)" />
      <path d="M20 15v11M20 29v4" stroke="var(--onwarn)" stroke-width="4" />
    </svg>
  )
}
