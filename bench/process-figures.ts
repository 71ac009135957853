import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'

/** Milliseconds of a tick of the kernel's accounts. */
const TICK_MS = 10

/** Time on a core that a process took so far, all its threads together, milliseconds. */
export function cpuMs(pid: number): number {
  const text = readFileSync(`/proc/${String(pid)}/stat`, 'utf8')
  // The name of the program, in brackets, may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS
}

/**
 * Bytes that a process sent and received over its open connections that have one of these ports at either end.
 *
 * @throws Error where there is no `ss`
 */
export async function wireBytes(pid: number, ports: readonly number[]): Promise<number> {
  const { stdout } = await promisify(execFile)('ss', ['-tinpHO', 'state', 'established'])
  let bytes = 0
  for (const line of stdout.split('\n')) {
    const isOurs = line.includes(`pid=${String(pid)},`)
    if (!isOurs || !ports.some((port) => new RegExp(`:${String(port)}\\s`).test(line))) continue
    for (const match of line.matchAll(/\bbytes_(?:sent|received):(\d+)/g)) bytes += Number(match[1])
  }
  return bytes
}
