// `npm run example [-- --json]`: installs and builds when needed, then runs the worked example with real data.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { ensureBuilt } from './lib/build-stamp.mjs'
import { ensureInstalled } from './lib/install.mjs'
import { root } from './lib/paths.mjs'

ensureInstalled()
ensureBuilt()
const { status } = spawnSync(process.execPath, [join(root, 'dist/examples/real-data.js'), ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.exit(status ?? 1)
