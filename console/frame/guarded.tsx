import { Component, type ComponentChildren } from 'preact'
import { WarningGlyph } from '../parts/glyph.js'

interface Caught {
  readonly error?: Error
}

/** What cannot be drawn says so: figures that stay as they were would be taken for those of now. */
export class Guarded extends Component<{ children: ComponentChildren }, Caught> {
  static override getDerivedStateFromError(error: unknown): Caught {
    return { error: error instanceof Error ? error : new Error(String(error)) }
  }

  render(): ComponentChildren {
    const { error } = this.state
    if (error === undefined) return this.props.children
    return (
      <section class="sheet">
        <div class="blank" role="alert">
          <WarningGlyph />
          <h2>This page cannot be shown</h2>
          <p>{error.message}</p>
          <p class="q">The other pages go on. Please report it with what the console of the browser says.</p>
          <button class="btn" type="button" onClick={reload}>
            Load the page again
          </button>
        </div>
      </section>
    )
  }
}

/** Answers that were kept go with it. */
function reload(): void {
  location.reload()
}
