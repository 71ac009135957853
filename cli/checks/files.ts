import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Settings } from '../../config/index.js'
import { ok, warning, type Finding } from './finding.js'

/** Files of the data directory that only the user of the node may read. */
const SECRETS = ['identity.key', 'token.key'] as const

/** Bits of a mode that let others than the owner in. */
const OF_OTHERS = 0o077
const WRITE_OF_ALL = 0o002

/**
 * Who may read the secrets of the node, and write its data.
 *
 * @param configFile when it holds the network key itself
 */
export async function checkPermissions(settings: Settings, configFile: string | undefined): Promise<Finding> {
  const { dataDirectory, swarm } = settings
  const keyFiles = [swarm.keyFile, configFile].filter((file) => file !== undefined)
  const secrets = [...SECRETS.map((name) => join(dataDirectory, name)), ...keyFiles]
  const open: string[] = []
  for (const file of secrets) {
    const mode = await modeOf(file)
    if ((mode & OF_OTHERS) !== 0) open.push(file)
  }
  if (open.length > 0) {
    const files = open.join(' ')
    return warning('permissions', `other users may read secrets: ${files}`, `chmod 600 ${files}`)
  }
  if (((await modeOf(dataDirectory)) & WRITE_OF_ALL) !== 0) {
    return warning('permissions', `everybody may write to ${dataDirectory}`, `chmod o-w ${dataDirectory}`)
  }
  return ok('permissions', 'only the owner may read the secrets')
}

/** Permission bits; none for what does not exist. */
async function modeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ mode }) => mode & 0o777,
    () => 0,
  )
}
