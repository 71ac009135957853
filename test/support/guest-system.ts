import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { CommandResult } from './run-millrace.js'
import { until } from './store.js'

/** Where the second hierarchy of control groups is: alone, or beside those of the first kind. */
const CGROUPS = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']
/** Groups are named after the process that made them. */
const PREFIX = 'millrace-guest-'
const MANAGER = '/usr/lib/systemd/systemd'
const TOOLS = ['unshare', 'nsenter', 'setpriv', 'pivot_root', 'ip']
const ENVIRONMENT = ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LC_ALL=C', 'DEBIAN_FRONTEND=noninteractive']
/** It ends with the test, however that ends. */
const UNTIL_PARENT_ENDS = ['--pdeathsig', 'KILL']

/** Layers a file system of its own over that of the machine, and hands over to the service manager. */
const BOOT = `
set -e
mount -t tmpfs -o mode=755 none "$LAYER"
mkdir "$LAYER/upper" "$LAYER/work" "$LAYER/root"
mount -t overlay -o "lowerdir=/,upperdir=$LAYER/upper,workdir=$LAYER/work" overlay "$LAYER/root"
cd "$LAYER/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
mkdir -p srv mnt
mount --bind "$SHARED" srv
ip link set lo up
rm -f usr/sbin/policy-rc.d
: >etc/machine-id
pivot_root . mnt
umount -l /mnt
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin ${MANAGER} --system --unit=basic.target
`

/**
 * This machine once more, with a systemd of its own: its files below a layer that takes what is written, and processes, network
 * and names apart. What is installed and removed in it does not reach the machine, and goes when it is closed.
 */
export class GuestSystem implements AsyncDisposable {
  readonly #outer: ChildProcess
  readonly #inner: string
  readonly #cgroup: string
  readonly #layer: string
  #closed: Promise<void> | undefined

  private constructor(outer: ChildProcess, inner: string, cgroup: string, layer: string) {
    this.#outer = outer
    this.#inner = inner
    this.#cgroup = cgroup
    this.#layer = layer
  }

  /** Why there can be none here; `undefined` when there can. */
  static unavailable(): string | undefined {
    if (process.getuid?.() !== 0) return 'needs root'
    const missing = TOOLS.filter((tool) => spawnSync(tool, ['--version']).error !== undefined)
    if (missing.length > 0) return `needs ${missing.join(', ')}: apt-get install util-linux iproute2`
    if (!existsSync(MANAGER)) return 'needs systemd'
    if (hierarchy() === undefined) return 'needs control groups of version 2 that may be written'
    const probe =
      'mount -t tmpfs none /mnt && cd /mnt && mkdir u w r && mount -t overlay -o lowerdir=/,upperdir=u,workdir=w o r'
    const { status } = spawnSync('unshare', ['--mount', 'sh', '-c', probe])
    return status === 0 ? undefined : 'needs permission for mounts and overlayfs'
  }

  /** @param shared a directory that the system has as `/srv` */
  static async boot(shared: string): Promise<GuestSystem> {
    sweep()
    const layer = mkdtempSync(join(tmpdir(), 'millrace-guest-'))
    const cgroup = join(hierarchy() ?? '', `${PREFIX}${String(process.pid)}-${String(Date.now())}`)
    mkdirSync(cgroup)
    const namespaces = ['--mount', '--pid', '--net', '--ipc', '--uts', '--cgroup', '--fork', '--kill-child']
    const enter = `echo $$ >"$CGROUP/cgroup.procs"; exec setpriv ${UNTIL_PARENT_ENDS.join(' ')} unshare ${namespaces.join(' ')} sh -c "$BOOT"`
    const outer = spawn('sh', ['-c', enter], {
      env: { PATH: process.env['PATH'], BOOT, CGROUP: cgroup, LAYER: layer, SHARED: shared },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let said = ''
    for (const stream of [outer.stdout, outer.stderr]) stream.on('data', (text: Buffer) => (said += String(text)))
    let system = new GuestSystem(outer, '', cgroup, layer)
    try {
      await until(async () => {
        if (outer.exitCode !== null) throw new Error(`the system did not start: ${said}`)
        const inner = childOf(outer.pid)
        if (inner === undefined || !isManager(inner)) return false
        system = new GuestSystem(outer, inner, cgroup, layer)
        return (await system.run('systemctl', 'is-active', '--quiet', 'basic.target')).code === 0
      })
      return system
    } catch (error) {
      await system.close()
      throw error
    }
  }

  /** Runs a command in the system, as root. */
  async run(...command: readonly string[]): Promise<CommandResult> {
    const namespaces = ['--mount', '--pid', '--net', '--ipc', '--uts', '--cgroup']
    const args = ['--target', this.#inner, ...namespaces, 'env', '-i', ...ENVIRONMENT, ...command]
    try {
      const { stdout, stderr } = await execute('nsenter', args)
      return { code: 0, out: stdout, err: stderr }
    } catch (error) {
      const { code, stdout, stderr } = error as { code?: unknown; stdout?: string; stderr?: string }
      if (typeof code !== 'number') throw error
      return { code, out: stdout ?? '', err: stderr ?? '' }
    }
  }

  /** Ends whatever runs in it. */
  close(): Promise<void> {
    return (this.#closed ??= this.#end())
  }

  async #end(): Promise<void> {
    if (this.#outer.exitCode === null && this.#outer.signalCode === null) {
      const ended = once(this.#outer, 'exit')
      this.#outer.kill('SIGKILL')
      await ended
    }
    await until(() => isEmpty(this.#cgroup))
    removeGroup(this.#cgroup)
    rmSync(this.#layer, { recursive: true, force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

const execute = promisify(execFile)

function hierarchy(): string | undefined {
  return CGROUPS.find((folder) => {
    try {
      accessSync(join(folder, 'cgroup.procs'), constants.W_OK)
      return existsSync(join(folder, 'cgroup.controllers'))
    } catch {
      return false
    }
  })
}

/** Removes what tests that were cut off have left behind; what ran there has ended with them. */
function sweep(): void {
  const folder = hierarchy() ?? ''
  for (const name of readdirSync(folder)) {
    const owner = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1]
    if (owner !== undefined && !existsSync(`/proc/${owner}`)) removeGroup(join(folder, name))
  }
}

/** With those below it: a group cannot be removed before them, and the files in it not at all. */
function removeGroup(folder: string): void {
  spawnSync('find', [folder, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'])
}

/** Process id of the first child. */
function childOf(pid: number | undefined): string | undefined {
  const file = `/proc/${String(pid)}/task/${String(pid)}/children`
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split(' ')
        .find((id) => id !== '')
    : undefined
}

function isManager(pid: string): boolean {
  const file = `/proc/${pid}/comm`
  return existsSync(file) && readFileSync(file, 'utf8').trim() === 'systemd'
}

function isEmpty(cgroup: string): boolean {
  const { stdout } = spawnSync('cat', [join(cgroup, 'cgroup.events')], { encoding: 'utf8' })
  return /^populated 0$/m.test(stdout)
}
