// Servers that keep a state, each in a directory of its own and on a free port.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { temporaryDirectory } from './temporary-directory.js'

type Test = { teardown: (work: () => unknown) => void }

/** A server that can be stopped, and started once more with what it has kept. */
export interface StateServer {
  readonly url: string
  readonly pid: () => number
  stop(signal?: NodeJS.Signals): Promise<void>
  start(): Promise<void>
}

/** Why there is no Redis here; `false` when there is. */
export function missingRedis(): string | false {
  return spawnSync('redis-server', ['--version']).status === 0 ? false : 'redis-server is not installed'
}

/** @param settings in place of those that keep what is acknowledged */
export async function startRedis(t: Test, settings: Readonly<Record<string, string>> = {}): Promise<StateServer> {
  const directory = temporaryDirectory(t)
  const port = await freePort()
  const all = {
    ...{ port: String(port), bind: '127.0.0.1', dir: directory, save: '' },
    ...{ appendonly: 'yes', appendfsync: 'always' },
    ...settings,
  }
  const args = Object.entries(all).flatMap(([name, value]) => [`--${name}`, value])
  return serve(t, port, `redis://127.0.0.1:${String(port)}/0`, () => spawn('redis-server', args, { stdio: 'ignore' }))
}

/** Where Debian has the programs of the server, which are not on the path. */
function postgresPrograms(): string | undefined {
  const [versions, home] = ['/usr/lib/postgresql', '/usr/local/bin']
  const found = existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin')) : []
  return [...found.sort().reverse(), home].find((path) => existsSync(join(path, 'initdb')))
}

/** Why there is no PostgreSQL here; `false` when there is. */
export function missingPostgres(): string | false {
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
  const parent = temporaryDirectory(t)
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
  return serve(t, port, url, () => spawn(join(programs, 'postgres'), args, { ...as, cwd: data, stdio: 'ignore' }))
}

async function serve(t: Test, port: number, url: string, run: () => ChildProcess): Promise<StateServer> {
  let child: ChildProcess | undefined
  const stop = async (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null) return
    const ended = once(running, 'exit')
    running.kill(signal)
    await ended
  }
  const start = async (): Promise<void> => {
    child = run()
    while (!(await answers(port))) {
      if (child.exitCode !== null) throw new Error(`the server on port ${String(port)} has ended`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  // PostgreSQL ends its other processes only when it is asked to.
  t.teardown(() => stop(url.startsWith('postgres') ? 'SIGQUIT' : 'SIGKILL'))
  await start()
  return { url, pid: () => child?.pid ?? 0, stop, start }
}

async function answers(port: number): Promise<boolean> {
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

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
