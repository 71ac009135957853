import type { JSX } from 'preact'

/** Members shown of one value, and characters of one text; the rest is counted. */
const MOST_MEMBERS = 200
const MOST_CHARACTERS = 2000
/** Levels that are open at first. */
const OPEN_LEVELS = 3

/** A JSON value as a tree; texts are shown as text, whatever they contain. */
export function JsonTree({ value }: { value: unknown }): JSX.Element {
  return (
    <div class="tree">
      <Value name={undefined} value={value} level={0} />
    </div>
  )
}

interface ValueProps {
  name: string | undefined
  value: unknown
  level: number
}

function Value({ name, value, level }: ValueProps): JSX.Element {
  const label = name === undefined ? null : <span class="q">{cut(name)}: </span>
  if (typeof value === 'string') {
    return (
      <>
        {label}
        <span class="str">{cut(JSON.stringify(value))}</span>
      </>
    )
  }
  if (typeof value === 'object' && value !== null) return <Members name={name} value={value} level={level} />
  return (
    <>
      {label}
      <span class="num">{String(value)}</span>
    </>
  )
}

function Members({ name, value, level }: ValueProps & { value: object }): JSX.Element {
  const entries = Object.entries(value as Readonly<Record<string, unknown>>)
  const shown = entries.slice(0, MOST_MEMBERS)
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}']
  return (
    <details open={level < OPEN_LEVELS && entries.length <= MOST_MEMBERS}>
      <summary>
        {name === undefined ? null : <span class="q">{cut(name)}: </span>}
        {`${open} ${String(entries.length)} ${close}`}
      </summary>
      <ul>
        {shown.map(([member, inner]) => (
          <li key={member}>
            <Value name={member} value={inner} level={level + 1} />
          </li>
        ))}
        {entries.length > shown.length ? <li class="q">… {entries.length - shown.length} more</li> : null}
      </ul>
    </details>
  )
}

function cut(text: string): string {
  return text.length <= MOST_CHARACTERS
    ? text
    : `${text.slice(0, MOST_CHARACTERS)} … (${String(text.length)} characters)`
}
