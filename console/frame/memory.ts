const PREFIX = 'millrace.'

/** What this browser remembers; nothing where it may not. */
export function recall(name: string): string | undefined {
  try {
    return localStorage.getItem(PREFIX + name) ?? undefined
  } catch {
    return undefined
  }
}

/** Where there is no room, or no permission, it is forgotten with the page. */
export function remember(name: string, text: string): void {
  try {
    localStorage.setItem(PREFIX + name, text)
  } catch {
    // Nothing depends on it.
  }
}
