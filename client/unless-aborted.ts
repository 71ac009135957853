import { AbortedError } from '../core/index.js'

/** What a caller's own signal turns its request into. */
export function abortedError(cause?: unknown): AbortedError {
  return new AbortedError('the caller ended the request', { cause })
}

/**
 * Waits for work that others may wait for too, so that the signal of one of them ends only its own wait.
 *
 * @throws AbortedError
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      reject(abortedError(signal?.reason))
    }
    if (signal?.aborted) leave()
    signal?.addEventListener('abort', leave, { once: true })
    const done = (): void => {
      signal?.removeEventListener('abort', leave)
    }
    work.then(resolve, reject).then(done, done)
  })
}

/** Waits so many milliseconds, or until the signal comes. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}
