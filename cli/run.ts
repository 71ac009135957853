import { parseArgs } from 'node:util'
import type { Logger } from 'pino'
import { ConfigError, loadSettings, renderProblem, type LoadedSettings } from '../config/index.js'
import { MillraceError } from '../core/index.js'
import { startDaemon, type Daemon } from '../node/index.js'
import { openLog } from './daemon-log.js'
import { EXIT, exitCodeOf } from './exit-codes.js'
import { packageVersion } from './version.js'

/** How long a shutdown may take before the process ends anyway, milliseconds. */
const SHUTDOWN_MS = 4_900

export const RUN_HELP = `Usage: millrace run [options]

Runs a node until SIGTERM or SIGINT. SIGHUP reads the configuration again without dropping connections.

Options:
  --config FILE     configuration file (YAML); see 'millrace config example'
  --data DIR        data directory
  --api HOST:PORT   address of the API; port 0 takes any free one
  --socket PATH     path of the Unix socket
  -h, --help        this text

Flags beat environment variables (MILLRACE_…), these the file, that the defaults.

Examples:
  millrace run
  millrace run --config millrace.yml --data /var/lib/millrace
`

interface RunFlags {
  readonly config?: string | undefined
  readonly data?: string | undefined
  readonly api?: string | undefined
  readonly socket?: string | undefined
}

/** `millrace run`: returns the exit code when the node has ended. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      config: { type: 'string' },
      data: { type: 'string' },
      api: { type: 'string' },
      socket: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  if (values.help === true) {
    process.stdout.write(RUN_HELP)
    return EXIT.ok
  }
  try {
    return await runNode(values)
  } catch (error) {
    process.stderr.write(`${describe(error)}\n`)
    return exitCodeOf(error)
  }
}

function load(flags: RunFlags): LoadedSettings {
  const { config: file, data, api, socket } = flags
  return loadSettings({ file, env: process.env, flags: { data, api, socket } })
}

async function runNode(flags: RunFlags): Promise<number> {
  const { settings, warnings } = load(flags)
  const logger = openLog(settings.log)
  for (const warning of warnings) logger.warn({ config: renderProblem(warning) }, 'configuration')
  const stop = awaitStop()
  const daemon = await startDaemon({ settings, logger, version: packageVersion() })
  guardProcess(logger)
  process.on('SIGHUP', () => void reload(daemon, flags, logger))
  const { api, socket, data, nodeId } = daemon.addresses
  logger.info({ api, socket: socket ?? null, data, nodeId, version: packageVersion() }, 'ready')
  const signal = await stop
  logger.info({ signal }, 'stopping')
  return stopInTime(daemon, logger)
}

/** From before the start on, so that a signal during it is not lost. */
function awaitStop(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, resolve)
  })
}

async function stopInTime(daemon: Daemon, logger: Logger): Promise<number> {
  const timer = setTimeout(() => {
    logger.fatal('the shutdown took too long')
    process.exit(EXIT.internal)
  }, SHUTDOWN_MS)
  await daemon.close()
  clearTimeout(timer)
  logger.info('stopped')
  return EXIT.ok
}

/** A bad file leaves the old settings in force. */
async function reload(daemon: Daemon, flags: RunFlags, logger: Logger): Promise<void> {
  try {
    const { settings, warnings } = load(flags)
    for (const warning of warnings) logger.warn({ config: renderProblem(warning) }, 'configuration')
    logger.level = settings.log.level
    const waiting = await daemon.reload(settings)
    if (waiting.length > 0) logger.warn({ settings: waiting }, 'these settings take effect at the next start')
  } catch (error) {
    logger.error({ reason: describe(error) }, 'reload refused, the old settings stay in force')
  }
}

/** The state is unknown after an exception that nobody caught, so the process ends; a promise nobody awaited is logged. */
function guardProcess(logger: Logger): void {
  process.on('unhandledRejection', (error) => {
    logger.error({ err: error }, 'unhandled rejection')
  })
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'uncaught exception')
    process.exit(EXIT.internal)
  })
}

function describe(error: unknown): string {
  if (error instanceof ConfigError) return error.message
  if (error instanceof MillraceError) return `millrace: ${error.message} (${error.code})`
  return `millrace: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`
}
