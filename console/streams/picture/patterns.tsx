import type { JSX } from 'preact'

/** Hatched: goes. Dotted: old but stays. */
export function Patterns({ id }: { id: string }): JSX.Element {
  return (
    <defs>
      <pattern id={`hatched-${id}`} width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
        <rect width="8" height="8" fill="var(--sheet)" />
        <rect width="3.4" height="8" fill="var(--data)" />
      </pattern>
      <pattern id={`dotted-${id}`} width="7" height="7" patternUnits="userSpaceOnUse">
        <rect width="7" height="7" fill="var(--soft)" />
        <circle cx="2" cy="2" r="1.3" fill="var(--data)" />
      </pattern>
    </defs>
  )
}
