/**
 * SIGHUP asks a node to read its configuration again. By default it would end the process, so it is taken from the first
 * moment on and remembered until somebody can act on it.
 */
let isPending = false
let act: (() => void) | undefined

const take = (): void => {
  if (act === undefined) isPending = true
  else act()
}

/** Takes SIGHUP from now on. Idempotent. */
export function takeHangups(): void {
  if (!process.listeners('SIGHUP').includes(take)) process.on('SIGHUP', take)
}

/** Calls `action` at each SIGHUP, and now when one came earlier, however many. */
export function onHangup(action: () => void): void {
  takeHangups()
  act = action
  if (!isPending) return
  isPending = false
  action()
}
