import type { Logger } from 'pino'
import { Configuration, renderProblem, type Problem, type Settings } from '../config/index.js'
import { startDaemon, type Daemon, type ReloadReport } from '../node/index.js'
import type { Call } from './command.js'
import { openLog } from './daemon-log.js'
import { tuneEngine } from './engine.js'
import { EXIT } from './exit-codes.js'
import { onHangup } from './hangup.js'
import { requestOf } from './settings-options.js'
import { packageVersion } from './version.js'

/** How long a shutdown may take before the process ends anyway, milliseconds. What is acknowledged is safe at any moment. */
const SHUTDOWN_MS = 4_900

/** Runs a node until SIGTERM or SIGINT, and ends the process. */
export async function runNode(call: Call): Promise<never> {
  tuneEngine()
  const configuration = new Configuration(requestOf(call, true))
  const { settings, warnings } = configuration.load()
  const { signal } = call.terminal
  const logger = openLog(logSettings(settings, call))
  logWarnings(logger, warnings)
  const starting: Promise<Daemon> = startDaemon({
    settings,
    logger,
    version: packageVersion(),
    reload: async () => reload(await starting, configuration, logger, settings),
    configuration,
  })
  const daemon = await starting
  guardProcess(logger)
  const { api, socket, swarm, data, nodeId } = daemon.addresses
  const { log } = daemon
  log.info({ api, socket: socket ?? null, swarm: swarm ?? null, data, nodeId, version: packageVersion() }, 'ready')
  onHangup(() => {
    // What went wrong is in the log.
    reload(daemon, configuration, logger, settings).catch(() => undefined)
  })
  await aborted(signal)
  log.info({ signal: String(signal.reason) }, 'stopping')
  return stopInTime(daemon, logger)
}

function logSettings({ log }: Settings, call: Call): Settings['log'] {
  return call.json ? { ...log, format: 'json' } : log
}

function logWarnings(logger: Pick<Logger, 'warn'> | Daemon['log'], warnings: readonly Problem[]): void {
  for (const warning of warnings) logger.warn({ config: renderProblem(warning) }, 'configuration')
}

/**
 * What has come to an end is everything that matters; a connection that libp2p may still be dialling must not keep the
 * process. Left to end by itself, Node 20 can spin for ever over a socket that is half open.
 */
async function stopInTime(daemon: Daemon, logger: Logger): Promise<never> {
  const timer = setTimeout(() => {
    logger.fatal('the shutdown took too long')
    process.exit(EXIT.internal)
  }, SHUTDOWN_MS)
  await daemon.close()
  clearTimeout(timer)
  logger.info('stopped')
  process.exit(EXIT.ok)
}

/** A bad file leaves the old settings in force. @throws what is wrong with it, after it is logged */
async function reload(
  daemon: Daemon,
  configuration: Configuration,
  logger: Logger,
  atStart: Settings,
): Promise<ReloadReport> {
  try {
    const { settings, warnings } = configuration.load()
    logWarnings(daemon.log, warnings)
    const changes = await daemon.reload(settings)
    const applied = [...changes.applied, ...(logger.level === settings.log.level ? [] : ['log.level'])]
    const waiting = [...changes.waiting, ...(settings.log.format === atStart.log.format ? [] : ['log.format'])]
    logger.level = settings.log.level
    if (waiting.length > 0) daemon.log.warn({ settings: waiting }, 'these settings take effect at the next start')
    return { applied, waiting, warnings: warnings.map(renderProblem) }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    daemon.log.error({ reason }, 'reload refused, the old settings stay in force')
    throw error
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

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      resolve()
    }
    if (signal.aborted) done()
    else signal.addEventListener('abort', done, { once: true })
  })
}
