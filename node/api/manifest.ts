import { parseAppId, type AppId } from '../../core/index.js'
import { readCbor, type CborValue } from './cbor.js'
import { ApiError } from './errors.js'
import { optional, readObject, readString, required } from './json-fields.js'
import type { TokenHolder } from './tokens.js'

/** What an app says of itself when it asks for a token. */
export interface AppManifest {
  readonly appId: AppId
  readonly displayName: string
  readonly version: string
  readonly signature: string | undefined
}

/** Apps below this need no entry in the operator's list. */
const TRIAL_PREFIX = 'com.example.'

const MANIFEST = {
  appId: required((scanner) => parseAppId(readString(scanner))),
  displayName: required(readString),
  version: required(readString),
  signature: optional(readString),
}

export function parseManifest(body: Uint8Array): AppManifest {
  return readObject(body, 0, body.length, 'struct AppManifest', MANIFEST)
}

/**
 * Decides whether the app may have a token.
 *
 * @param apps the operator's list: app ids, or prefixes such as `com.acme.*`
 * @throws ApiError
 */
export function admitApp({ appId, version, signature }: AppManifest, apps: readonly string[]): TokenHolder {
  const listed = apps.some((pattern) => matchesApp(pattern, appId))
  if (signature !== undefined) {
    if (!isManifestSignature(signature)) {
      throw new ApiError('ERR_MANIFEST_INVALID', 'The signature cannot be decoded.')
    }
    if (!listed) {
      throw new ApiError(
        'ERR_MANIFEST_INVALID',
        `Signatures are not checked here: app id '${appId}' needs an entry in api.apps.`,
      )
    }
  }
  if (listed) return { appId, version, mode: 'signed' }
  if (!appId.startsWith(TRIAL_PREFIX)) {
    throw new ApiError(
      'ERR_BAD_REQUEST',
      `Trial app id needs to start with '${TRIAL_PREFIX}'. Got '${appId}'. Other ids need an entry in api.apps.`,
    )
  }
  return { appId, version, mode: 'trial' }
}

/** `com.acme.*` stands for every id below `com.acme.`; other patterns for themselves. */
function matchesApp(pattern: string, appId: AppId): boolean {
  return pattern.endsWith('*') ? appId.startsWith(pattern.slice(0, -1)) : appId === pattern
}

/** Whether the text has the form of a signature of the Actyx vendor's tools: base64 of a CBOR map. */
function isManifestSignature(text: string): boolean {
  if (text === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return false
  const map = readCbor(Buffer.from(text, 'base64'))
  if (!(map instanceof Map)) return false
  const domains: unknown = map.get('appDomains')
  return (
    map.get('sig_version') === 0 &&
    [map.get('dev_signature'), map.get('devPubkey'), map.get('axSignature')].every(isTextOrBytes) &&
    Array.isArray(domains) &&
    domains.every((domain) => typeof domain === 'string')
  )
}

function isTextOrBytes(value: CborValue | undefined): boolean {
  return typeof value === 'string' || value instanceof Uint8Array
}
