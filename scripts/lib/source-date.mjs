import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './paths.mjs'

/** What goes into packages as time, in seconds since 1970: SOURCE_DATE_EPOCH, the last commit, or the last change of CHANGELOG. */
export function sourceDate() {
  const wanted = Number(process.env.SOURCE_DATE_EPOCH ?? 'none')
  if (Number.isSafeInteger(wanted)) return wanted
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' })
  if (status === 0) return Number(stdout)
  return Math.floor(statSync(join(root, 'CHANGELOG.md')).mtimeMs / 1000)
}
