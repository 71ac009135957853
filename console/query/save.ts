/** Has the browser save something as a file. */
export function saveAs(name: string, content: Blob): void {
  const url = URL.createObjectURL(content)
  const anchor = document.createElement('a')
  anchor.href = url
  anchor.download = name
  anchor.click()
  // The browser has taken it up by then.
  setTimeout(() => {
    URL.revokeObjectURL(url)
  }, 60_000)
}

/** `query-2026-11-21-15-09-24.csv`. */
export function fileName(ending: string, now: Date): string {
  return `query-${now.toISOString().slice(0, 19).replaceAll(/[T:]/g, '-')}.${ending}`
}
