/** Does something where `WebSocket` is what the test gives, as browsers have it and Node only from version 22 on. */
export function withPlatformSocket<T>(socket: unknown, work: () => T): T {
  const scope = globalThis as { WebSocket?: unknown }
  const before = Object.getOwnPropertyDescriptor(scope, 'WebSocket')
  Object.defineProperty(scope, 'WebSocket', { value: socket, configurable: true, writable: true })
  try {
    return work()
  } finally {
    delete scope.WebSocket
    if (before !== undefined) Object.defineProperty(scope, 'WebSocket', before)
  }
}
