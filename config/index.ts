export type { ListenAddress } from './addresses.js'
export { ConfigChangedError, ConfigError, ConfigFixedError, ConfigUnreadableError } from './config-error.js'
export { Configuration, type DraftCheck, type RoutingText } from './configuration.js'
export { exampleConfig, firstConfig } from './example.js'
export { settingsJsonSchema } from './json-schema.js'
export { configurationReference } from './reference.js'
export { variableOf, type Environment } from './environment.js'
export {
  checkConfigText,
  loadSettings,
  readText,
  type ConfigCheck,
  type Flags,
  type LoadedSettings,
  type LoadRequest,
  type SettingReport,
  type SettingSource,
} from './load-settings.js'
export { createNetworkKey } from './network-key.js'
export { renderProblem, type Problem } from './problem.js'
export type { RouteSetting } from './routes.js'
export type { SyncMode } from './settings-schema.js'
export type { LogLevel, Settings } from './settings.js'
export type { StreamLimits } from './stream-limits.js'
