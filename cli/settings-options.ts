import { loadSettings, type LoadedSettings, type LoadRequest } from '../config/index.js'
import type { Call, Options } from './command.js'

/** Flags that decide which configuration holds. */
export const SETTINGS_OPTIONS: Options = {
  config: { type: 'string', short: 'c', value: 'FILE', help: 'configuration file (MILLRACE_CONFIG)' },
  data: { type: 'string', short: 'd', value: 'DIR', help: 'data directory (MILLRACE_DATA)' },
}

/**
 * The settings as the flags and the environment of a call give them.
 *
 * @param withSecrets whether files with secrets are read too, which only the daemon may be able to
 * @throws ConfigError, ConfigUnreadableError
 */
export function settingsOf(call: Call, withSecrets = false): LoadedSettings {
  return loadSettings(requestOf(call, withSecrets))
}

/** Where the flags and the environment of a call have settings come from. */
export function requestOf(call: Call, withSecrets: boolean): LoadRequest {
  return {
    file: configFileOf(call),
    env: call.terminal.env,
    withSecrets,
    flags: { data: call.text('data'), api: call.text('api'), socket: call.text('socket') },
  }
}

/** The configuration file that flags or environment name, if any. */
export function configFileOf(call: Call): string | undefined {
  const named = call.terminal.env['MILLRACE_CONFIG']
  return call.text('config') ?? (named === '' ? undefined : named)
}
