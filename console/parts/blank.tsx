import type { ComponentChildren, JSX } from 'preact'
import { CopyButton } from './copy-button.js'

/** Nothing is there: what would make it appear, and a command for that. */
export function Blank(props: { title: string; children: ComponentChildren; command?: string }): JSX.Element {
  const { title, children, command } = props
  return (
    <div class="blank">
      <h2>{title}</h2>
      <p class="q">{children}</p>
      {command === undefined ? null : (
        <>
          <code>{command}</code>
          <CopyButton text={command} label="Copy command" />
        </>
      )}
    </div>
  )
}
