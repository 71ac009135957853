import type { Call } from '../command.js'
import { hasColours, inColour } from '../terminal.js'
import { keysIn } from './keys.js'
import type { TopPicture } from './picture.js'
import { renderTop, type Painter, type Scene } from './render.js'
import { Screen } from './screen.js'
import { FIRST_VIEW, press, type View } from './view.js'
import type { Moment } from './watch.js'

const DEFAULT_COLUMNS = 80
const DEFAULT_ROWS = 24

/** Narrower terminals show only the beginnings of lines. */
const LEAST_COLUMNS = 20

/** Shows a node on a terminal, which keys change. */
export class LiveTop implements Disposable {
  readonly #call: Call
  readonly #screen: Screen
  readonly #paint: Painter
  readonly #quit: () => void
  #view: View = FIRST_VIEW
  #picture: TopPicture
  #trouble: { readonly message: string; readonly sinceMs: number } | undefined

  /** @param quit called when a key or the terminal ends it */
  constructor(call: Call, first: TopPicture, quit: () => void) {
    const { stdout, stdin, env } = call.terminal
    const isColoured = hasColours(stdout.isTerminal, env)
    this.#call = call
    this.#paint = isColoured ? inColour : (_style, text) => text
    this.#picture = first
    this.#quit = quit
    this.#screen = Screen.open(stdout, stdin)
    stdout.stream.on('resize', this.#resized)
    process.on('SIGHUP', quit)
    // Without keys it still shows what there is.
    if (stdin.setRawMode !== undefined) this.#readKeys().catch(() => undefined)
    this.#draw()
  }

  show(moment: Moment): void {
    if (this.#view.isPaused) return
    if ('picture' in moment) {
      this.#picture = moment.picture
      this.#trouble = undefined
    } else {
      const sinceMs = this.#trouble?.sinceMs ?? performance.now()
      this.#trouble = { message: moment.trouble.message, sinceMs }
    }
    this.#draw()
  }

  [Symbol.dispose](): void {
    this.#call.terminal.stdout.stream.off('resize', this.#resized)
    process.off('SIGHUP', this.#quit)
    this.#screen.close()
  }

  async #readKeys(): Promise<void> {
    for await (const chunk of this.#call.terminal.stdin) {
      for (const key of keysIn(chunk)) {
        const view = press(this.#view, key)
        if (view === undefined) {
          this.#quit()
          return
        }
        this.#view = view
      }
      this.#draw()
    }
  }

  readonly #resized = (): void => {
    this.#screen.clear()
    this.#draw()
  }

  #draw(): void {
    const { stdout } = this.#call.terminal
    // Some terminals do not say.
    const [columns, rows] = [stdout.columns || DEFAULT_COLUMNS, stdout.rows || DEFAULT_ROWS]
    const trouble = this.#trouble
    const scene: Scene = {
      picture: this.#picture,
      view: this.#view,
      trouble: trouble && { message: trouble.message, seconds: (performance.now() - trouble.sinceMs) / 1000 },
    }
    // In the last column a terminal would not tell what is behind the line from its last character.
    const { lines, view } = renderTop(scene, { columns: Math.max(LEAST_COLUMNS, columns - 1), rows }, this.#paint)
    this.#view = view
    this.#screen.draw(lines)
  }
}
