export { Daemon, startDaemon, type DaemonAddresses, type DaemonLogger, type DaemonOptions } from './daemon.js'
export type { DaemonSettings, RouteSettings } from './daemon-settings.js'
export { AddressInUseError } from './api/index.js'
