// Node 20 has no Promise.withResolvers, and libp2p calls it when it starts. To be imported before anything of libp2p.
if (!('withResolvers' in Promise)) {
  Object.defineProperty(Promise, 'withResolvers', {
    configurable: true,
    writable: true,
    value: function <T>(this: PromiseConstructor) {
      let resolve: ((value: T) => void) | undefined
      let reject: ((reason: unknown) => void) | undefined
      const promise = new this<T>((onResolve, onReject) => {
        resolve = onResolve
        reject = onReject
      })
      return { promise, resolve, reject }
    },
  })
}
