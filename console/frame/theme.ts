import { Cell } from '../live/cell.js'
import { recall, remember } from './memory.js'

/** How the page looks. */
export type Theme = 'light' | 'dark'

const NAME = 'theme'
const prefersDark = matchMedia('(prefers-color-scheme: dark)')

/** Follows the system until somebody chooses. */
export const theme = new Cell<Theme>(chosen() ?? ofSystem())

prefersDark.addEventListener('change', () => {
  theme.value = chosen() ?? ofSystem()
})

/** Applies it from now on. */
export function applyTheme(): void {
  const apply = (): void => {
    document.documentElement.dataset['theme'] = theme.value
  }
  apply()
  theme.watch(apply)
}

export function chooseTheme(choice: Theme): void {
  remember(NAME, choice)
  theme.value = choice
}

function chosen(): Theme | undefined {
  const text = recall(NAME)
  return text === 'light' || text === 'dark' ? text : undefined
}

function ofSystem(): Theme {
  return prefersDark.matches ? 'dark' : 'light'
}
