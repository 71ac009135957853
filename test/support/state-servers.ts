// Servers that keep a state, each in a directory of its own and on a free port. They end with the process of the test,
// however that ends.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, readdirSync, statfsSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { temporaryDirectory } from './temporary-directory.js'

type Test = { teardown: (work: () => unknown) => void }

/** A server that can be stopped, and started once more with what it has kept. */
export interface StateServer {
  readonly url: string
  readonly port: number
  /** Has all its processes stand still, and go on. */
  pause(): void
  resume(): void
  /** Ends it, and waits for that. */
  stop(signal?: NodeJS.Signals): Promise<void>
  start(): Promise<void>
}

/** Why there is no Redis here; `false` when there is. */
export function missingRedis(): string | false {
  if (!isThere('setpriv')) return 'setpriv is not installed'
  return isThere('redis-server') ? false : 'redis-server is not installed'
}

/** @param settings in place of those that keep what is acknowledged */
export async function startRedis(t: Test, settings: Readonly<Record<string, string>> = {}): Promise<StateServer> {
  const directory = directoryOf(t)
  const port = await freePort()
  const all = {
    ...{ port: String(port), bind: '127.0.0.1', dir: directory, save: '' },
    ...{ appendonly: 'yes', appendfsync: 'always' },
    ...settings,
  }
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value])
  return serve(t, {
    port,
    url: `redis://127.0.0.1:${String(port)}/0`,
    run: () => spawn(...endingWithTest('KILL', 'redis-server', args), { stdio: 'ignore' }),
    // While it loads what it has kept, it answers with an error.
    isReady: () => answersWith(port, 'PING\r\n', '+PONG'),
    lastSignal: 'SIGKILL',
  })
}

/** In memory where there is enough: servers sync each commit, and it is their processes that the tests kill, not the machine. */
function directoryOf(t: Test): string {
  if (!existsSync(MEMORY)) return temporaryDirectory(t)
  const { bavail, bsize } = statfsSync(MEMORY)
  return temporaryDirectory(t, bavail * bsize >= ENOUGH_BYTES ? MEMORY : undefined)
}

const MEMORY = '/dev/shm'
const ENOUGH_BYTES = 2 ** 30

/** Where Debian has the programs of the server, which are not on the path. */
function postgresPrograms(): string | undefined {
  const [versions, home] = ['/usr/lib/postgresql', '/usr/local/bin']
  const found = existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin')) : []
  return [...found.sort().reverse(), home].find((path) => existsSync(join(path, 'initdb')))
}

/** Why there is no PostgreSQL here; `false` when there is. */
export function missingPostgres(): string | false {
  if (!isThere('setpriv')) return 'setpriv is not installed'
  if (postgresPrograms() === undefined) return 'postgresql is not installed'
  return userOfServer() === 0 ? 'postgresql runs under no root, and there is no user nobody' : false
}

/** It refuses to run as root. */
function userOfServer(): number {
  const own = process.getuid?.() ?? 1
  if (own !== 0) return own
  return Number(spawnSync('id', ['-u', 'nobody']).stdout.toString()) || 0
}

export async function startPostgres(t: Test, settings: readonly string[] = []): Promise<StateServer> {
  const programs = postgresPrograms() ?? ''
  const parent = directoryOf(t)
  const user = userOfServer()
  const data = join(parent, 'data')
  mkdirSync(data)
  chmodSync(parent, 0o755)
  if (process.getuid?.() === 0) chownSync(data, user, user)
  const as = process.getuid?.() === 0 ? { uid: user, gid: user } : {}
  const made = spawnSync(join(programs, 'initdb'), ['-D', data, '-U', 'millrace', '-A', 'trust', '--no-sync'], as)
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr.toString()}`)
  const port = await freePort()
  const fixed = ['listen_addresses=127.0.0.1', `port=${String(port)}`, 'unix_socket_directories=', ...settings]
  const args = ['-D', data, ...fixed.flatMap((setting) => ['-c', setting])]
  const url = `postgres://millrace@127.0.0.1:${String(port)}/postgres`
  return serve(t, {
    port,
    url,
    run: () =>
      spawn(...endingWithTest('QUIT', join(programs, 'postgres'), args), { ...as, cwd: data, stdio: 'ignore' }),
    isReady: () => takesQueries(url),
    // It ends its other processes only when it is asked to.
    lastSignal: 'SIGQUIT',
  })
}

interface Served {
  readonly port: number
  readonly url: string
  readonly run: () => ChildProcess
  readonly isReady: () => Promise<boolean>
  readonly lastSignal: NodeJS.Signals
}

async function serve(t: Test, { port, url, run, isReady, lastSignal }: Served): Promise<StateServer> {
  let child: ChildProcess | undefined
  const stop = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    const running = child
    child = undefined
    if (running === undefined || hasEnded(running)) return
    const ended = once(running, 'exit')
    // One that was stopped takes only SIGKILL.
    running.kill('SIGCONT')
    running.kill(signal)
    await ended
  }
  const start = async (): Promise<void> => {
    const running = (child = run())
    while (!(await isReady())) {
      if (hasEnded(running)) throw new Error(`the server on port ${String(port)} has ended`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  t.teardown(() => stop(lastSignal))
  await start()
  const signalAll = (signal: NodeJS.Signals): void => {
    if (child?.pid !== undefined) for (const pid of [child.pid, ...childrenOf(child.pid)]) process.kill(pid, signal)
  }
  return {
    ...{ url, port, stop, start },
    pause: () => {
      // First alone, so that it makes no more of them.
      child?.kill('SIGSTOP')
      signalAll('SIGSTOP')
    },
    resume: () => {
      signalAll('SIGCONT')
    },
  }
}

function childrenOf(pid: number): number[] {
  const listed = readFileSync(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8').trim()
  return listed === '' ? [] : listed.split(' ').map(Number)
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null
}

/** A command that gets a signal when the process that started it is no more. */
function endingWithTest(signal: 'KILL' | 'QUIT', command: string, args: readonly string[]): [string, string[]] {
  return ['setpriv', ['--pdeathsig', signal, command, ...args]]
}

async function answersWith(port: number, question: string, beginning: string): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write(question)
    const [answer] = (await once(socket, 'data')) as [Buffer]
    return answer.toString().startsWith(beginning)
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

async function takesQueries(url: string): Promise<boolean> {
  const client = new pg.Client(url)
  // Of a connection that ends later than the attempt to make it.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}

function isThere(program: string): boolean {
  return spawnSync(program, ['--version']).status === 0
}

/** Below those that the system gives out, so that nobody gets it while the server is down. */
async function freePort(): Promise<number> {
  const [first] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/)
  for (;;) {
    const port = randomInt(10_000, Math.max(20_000, Number(first)))
    if (!(await isTaken(port))) return port
  }
}

async function isTaken(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
