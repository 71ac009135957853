import type { JSX } from 'preact'

/** One of a few things to choose, as buttons side by side. */
export function Choice<T extends string>(props: {
  label: string
  options: readonly (readonly [value: T, text: string])[]
  chosen: T
  onChoose: (value: T) => void
}): JSX.Element {
  const { label, options, chosen, onChoose } = props
  return (
    <span class="seg" role="group" aria-label={label}>
      {options.map(([value, text]) => (
        <button
          key={value}
          class="btn"
          type="button"
          aria-pressed={value === chosen}
          onClick={() => {
            onChoose(value)
          }}
        >
          {text}
        </button>
      ))}
    </span>
  )
}
