import { spawn, type ChildProcess } from 'node:child_process'
import { connect, createServer } from 'node:net'

/** For a clean end, ms. */
const STOP_MS = 5_000

/** A server of another project in a process of its own. */
export class ServerProcess {
  readonly pid: number
  readonly #child: ChildProcess
  readonly #exited: Promise<void>

  private constructor(child: ChildProcess, exited: Promise<void>) {
    this.#child = child
    this.#exited = exited
    this.pid = child.pid ?? -1
  }

  /** Resolves when the port takes connections. */
  static async start(command: string, args: readonly string[], port: number): Promise<ServerProcess> {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let complaint = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-2000)
    })
    const exited = new Promise<void>((resolve) => {
      child.once('close', () => {
        resolve()
      })
      child.once('error', (error) => {
        complaint = error.message
        resolve()
      })
    })
    const server = new ServerProcess(child, exited)
    const gone = exited.then(() => {
      throw new Error(`${command} ended: ${complaint}`)
    })
    await Promise.race([waitForPort(port), gone])
    gone.catch(() => undefined)
    return server
  }

  /** Redis does not end while it writes its first file: after some seconds nobody waits for that. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#child.kill(signal)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS)
    await this.#exited
    clearTimeout(timer)
  }
}

/** A port that was free a moment ago, for servers that cannot choose one themselves. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (address !== null && typeof address === 'object') resolve(address.port)
        else reject(new Error('no port'))
      })
    })
  })
}

async function waitForPort(port: number): Promise<void> {
  const deadline = performance.now() + 60_000
  while (performance.now() < deadline) {
    if (await takesConnections(port)) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error(`nothing listens on port ${String(port)}`)
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => {
      resolve(false)
    })
  })
}
