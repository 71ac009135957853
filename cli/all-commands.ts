import type { Command } from './command.js'
import { backup } from './commands/backup.js'
import { completionOf } from './commands/completion.js'
import { config } from './commands/config.js'
import { doctor } from './commands/doctor.js'
import { events } from './commands/events.js'
import { identity } from './commands/identity.js'
import { init } from './commands/init.js'
import { offsets } from './commands/offsets.js'
import { peers } from './commands/peers.js'
import { publish } from './commands/publish.js'
import { query } from './commands/query.js'
import { restore } from './commands/restore.js'
import { reload } from './commands/reload.js'
import { route } from './commands/route.js'
import { run } from './commands/run.js'
import { state } from './commands/state.js'
import { streams } from './commands/streams.js'
import { swarm } from './commands/swarm.js'
import { tail } from './commands/tail.js'
import { token } from './commands/token.js'
import { top } from './commands/top.js'
import { topics } from './commands/topics.js'
import { verify } from './commands/verify.js'
import { version } from './commands/version.js'

/** In the order of the overview. */
export const COMMANDS: readonly Command[] = [
  run,
  init,
  publish,
  query,
  tail,
  streams,
  state,
  offsets,
  route,
  peers,
  top,
  topics,
  identity,
  swarm,
  events,
  verify,
  backup,
  restore,
  doctor,
  config,
  reload,
  token,
  completionOf(() => COMMANDS),
  version,
]
