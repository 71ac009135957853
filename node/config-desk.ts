import { ConfigError, renderProblem, type Configuration, type Problem, type SettingReport } from '../config/index.js'
import { MillraceError } from '../core/index.js'
import type { Store } from '../storage/index.js'
import type {
  AppliedRouting,
  ConfigDesk,
  DraftNote,
  DraftReport,
  ExplainedRoute,
  RouteQuestion,
  SettingLine,
} from './api/index.js'
import type { DaemonSettings } from './daemon-settings.js'
import type { Router } from './events/router.js'
import type { ReloadReport } from './node-reports.js'
import { previewRoutes } from './routing-preview.js'
import { changesBetween } from './setting-changes.js'

/** Applying a draft would drop events, and nobody has said that it may. */
export class ConfigDropsEventsError extends MillraceError {
  readonly code = 'ERR_CONFIG_DROPS_EVENTS'
}

/** What looking at the configuration and changing it take. */
export interface DeskOptions {
  readonly configuration: Configuration
  readonly store: Store
  readonly inForce: () => DaemonSettings
  readonly router: () => Router
  /** Routes that are not in force: their streams have no numbers. */
  readonly draftRouter: (settings: DaemonSettings) => Router
  readonly reload: () => Promise<ReloadReport>
  /** Settings that differ and hold after the next start. */
  readonly waiting: () => readonly string[]
}

/** The configuration as operators see and change it while the node runs. */
export function configDeskOf(options: DeskOptions): ConfigDesk {
  const { configuration } = options
  return {
    settings: () => {
      const waiting = options.waiting()
      return configuration.loaded.report.map((setting) => toLine(setting, waiting))
    },
    routing: () => configuration.routing(),
    check: (draft) => checkDraft(options, draft),
    explainRoute: (draft, question) => explainDraft(options, draft, question),
    applyRouting: (draft, version, mayDrop) => applyRouting(options, draft, version, mayDrop),
  }
}

function toLine({ path, value, isSecret, isSet, source }: SettingReport, waiting: readonly string[]): SettingLine {
  const isWaiting = waiting.some((name) => path === name || path.startsWith(`${name}.`))
  return { path, value, isSecret, isSet, isWaiting, source }
}

async function checkDraft(options: DeskOptions, draft: string): Promise<DraftReport> {
  const { problems, warnings, settings } = options.configuration.check(draft)
  return {
    errors: problems.map(toNote),
    warnings: warnings.map(toNote),
    changes: settings === undefined ? undefined : await changesOf(options, settings),
  }
}

async function changesOf(
  { store, inForce, router, draftRouter }: DeskOptions,
  draft: DaemonSettings,
): Promise<NonNullable<DraftReport['changes']>> {
  const before = inForce()
  // Everything else of the file is applied with it.
  const { applied } = changesBetween(before, draft)
  const routing = await previewRoutes(store, router(), draftRouter(draft))
  const known = new Set(['default', ...before.routes.map(({ into }) => into)])
  return {
    settings: applied,
    looked: routing.looked,
    moves: routing.moves,
    drops: await store.previewRetention(draft.retention),
    newStreams: [...new Set(draft.routes.map(({ into }) => into))].filter((name) => !known.has(name)),
  }
}

/** @throws ConfigError */
function explainDraft(
  { configuration, draftRouter }: DeskOptions,
  draft: string,
  { tags, appId }: RouteQuestion,
): ExplainedRoute {
  const { settings, problems } = configuration.check(draft)
  if (settings === undefined) throw new ConfigError(problems)
  const explanation = draftRouter(settings).explain(tags, appId)
  return { ...explanation, streamNumber: undefined, retention: settings.retention.get(explanation.into) }
}

/** @throws ConfigError, ConfigChangedError, ConfigFixedError, ConfigDropsEventsError */
async function applyRouting(
  { configuration, store, reload }: DeskOptions,
  draft: string,
  version: string,
  mayDrop: boolean,
): Promise<AppliedRouting> {
  const { settings, problems } = configuration.check(draft)
  if (settings === undefined) throw new ConfigError(problems)
  const drops = await store.previewRetention(settings.retention)
  const events = drops.reduce((sum, each) => sum + each.events, 0)
  if (events > 0 && !mayDrop) {
    const streams = drops.map(({ name }) => `'${name}'`).join(', ')
    throw new ConfigDropsEventsError(`this would drop ${String(events)} events at once, of ${streams}`)
  }
  await configuration.writeRouting(draft, version)
  const report = await reload()
  return { ...report, version: configuration.routing().version }
}

function toNote(problem: Problem): DraftNote {
  const { source, line, column, reason, mend, lineText, lead, length } = problem
  return {
    source,
    line,
    column,
    length,
    reason,
    mend,
    text: renderProblem({ source, line, column, reason, lineText, lead, length }),
  }
}
