import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** A node of its own in a temporary directory, on a free port. */
export interface NodeProcess {
  /** Base URL of its API. */
  readonly url: string
  /** Stops the node and removes its data. */
  stop(): Promise<void>
}

/** @param config path of the configuration file */
export async function startNode(config: string): Promise<NodeProcess> {
  const directory = await mkdtemp(join(tmpdir(), 'millrace-example-'))
  const program = fileURLToPath(new URL('../cli/main.js', import.meta.url))
  const places = ['--data', join(directory, 'data'), '--socket', join(directory, 'api.sock'), '--api', '127.0.0.1:0']
  const child = spawn(process.execPath, [program, 'run', '--config', config, ...places], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM')
      await once(child, 'exit')
    }
    await rm(directory, { recursive: true, force: true })
  }
  try {
    return { url: await readyUrl(createInterface({ input: child.stdout }), once(child, 'exit')), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The node logs one JSON object per line; the one with the message `ready` says where it listens. */
async function readyUrl(lines: NodeJS.EventEmitter, exited: Promise<unknown[]>): Promise<string> {
  const ready = new Promise<string>((resolve) => {
    lines.on('line', (line: string) => {
      const entry = JSON.parse(line) as { msg?: string; api?: string[] }
      if (entry.msg === 'ready') resolve(entry.api?.[0] ?? '')
    })
  })
  const ended = exited.then(([code]) => {
    throw new Error(`the node ended before it was ready (${String(code)})`)
  })
  return Promise.race([ready, ended])
}
