import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Runs a program to its end. @throws Error with what it wrote to stderr */
export async function command(program: string, ...args: readonly string[]): Promise<void> {
  await execute(program, args)
}

/** A file system in memory with a hard limit, mounted for as long as `work` takes. */
export async function withTmpfs<T>(directory: string, megabytes: number, work: () => Promise<T>): Promise<T> {
  mkdirSync(directory, { recursive: true })
  await command('mount', '-t', 'tmpfs', '-o', `size=${String(megabytes)}m`, 'tmpfs', directory)
  try {
    return await work()
  } finally {
    await command('umount', '-l', directory)
  }
}

export function resizeTmpfs(directory: string, megabytes: number): Promise<void> {
  return command('mount', '-o', `remount,size=${String(megabytes)}m`, directory)
}

/** Makes a file that holds an empty ext4 file system. */
export async function makeImage(file: string, megabytes: number): Promise<void> {
  await command('truncate', '-s', `${String(megabytes)}M`, file)
  await command('mkfs.ext4', '-q', '-F', file)
}

/** Mounts an image; what its journal holds is replayed as after a power cut. */
export async function withImage<T>(file: string, directory: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(directory, { recursive: true })
  await command('mount', '-o', 'loop', file, directory)
  try {
    return await work()
  } finally {
    await command('umount', directory)
  }
}
