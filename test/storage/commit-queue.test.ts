import t from 'tap'
import { CommitQueue } from '../../storage/commit-queue.js'

/** A queue whose groups end when the test says so, and what happened in which order. */
function watchedQueue(ready: () => Promise<void> | undefined = () => undefined) {
  const log: string[] = []
  const writes: { readonly done: () => void; readonly fail: (error: Error) => void }[] = []
  const queue = new CommitQueue<string, readonly string[], string>({
    commit: (jobs) => {
      log.push(`write ${jobs.join(' ')}`)
      return new Promise((resolve, reject) => {
        writes.push({
          done: () => {
            resolve(jobs)
          },
          fail: reject,
        })
      })
    },
    settle: (jobs) => {
      log.push(`settle ${jobs.join(' ')}`)
      if (jobs.includes('unsettled')) throw new Error('cannot settle')
      return jobs.map((job) => `${job}!`)
    },
    ready,
    maxGroupBytes: 100,
  })
  const add = (job: string, bytes = 10): Promise<void> =>
    queue.add(job, bytes).then(
      (result) => {
        log.push(result)
      },
      (error: unknown) => {
        log.push(`${job} ${(error as Error).message}`)
      },
    )
  return { log, writes, queue, add }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

t.test(
  'what arrives during a write goes out as one group, whose write begins before the first is answered',
  async (t) => {
    const { log, writes, queue, add } = watchedQueue()
    void add('a')
    void add('b')
    await turn()
    void add('c')
    void add('d', 95)
    writes[0]?.done()
    await turn()
    t.same(log, ['write a b', 'write c', 'settle a b', 'a!', 'b!'])
    writes[1]?.done()
    await turn()
    writes[2]?.done()
    await queue.drained()
    await turn()
    t.same(log.slice(5), ['write d', 'settle c', 'c!', 'settle d', 'd!'])
  },
)

t.test('a group that fails takes nobody else with it', async (t) => {
  const { log, writes, queue, add } = watchedQueue()
  void add('a')
  await turn()
  void add('unsettled')
  writes[0]?.fail(new Error('disk full'))
  await turn()
  void add('c')
  writes[1]?.done()
  await turn()
  writes[2]?.done()
  await queue.drained()
  await turn()
  t.same(log, [
    'write a',
    'write unsettled',
    'a disk full',
    'write c',
    'settle unsettled',
    'unsettled cannot settle',
    'settle c',
    'c!',
  ])
})

t.test('nobody waits for an answer that is due while the next group has to wait', async (t) => {
  let go: () => void = () => undefined
  let waits = false
  const { log, writes, queue, add } = watchedQueue(() =>
    waits
      ? new Promise((resolve) => {
          go = resolve
        })
      : undefined,
  )
  void add('a')
  await turn()
  void add('b')
  waits = true
  writes[0]?.done()
  await turn()
  t.same(log, ['write a', 'settle a', 'a!'])
  waits = false
  go()
  await turn()
  writes[1]?.done()
  await queue.drained()
  t.equal(queue.length, 0)
})
