import type { JSX } from 'preact'

/** A tag expression with its tags as tags; those that the event has stand out. */
export function TagExpression({ text, tags }: { text: string; tags: ReadonlySet<string> }): JSX.Element {
  return (
    <>
      {text.split(/('(?:[^']|'')*')/).map((part, index) => {
        if (!part.startsWith("'"))
          return (
            <span key={index} class="q">
              {wordsFor(part)}
            </span>
          )
        const tag = part.slice(1, -1).replaceAll("''", "'")
        const isHit = tags.has(tag)
        return (
          <span key={index} class={isHit ? 'tag hit' : 'tag'}>
            {isHit ? '✓ ' : ''}
            {tag}
          </span>
        )
      })}
    </>
  )
}

function wordsFor(text: string): string {
  return text.replaceAll('&', 'and').replaceAll('|', 'or')
}
