import { ApiError } from './errors.js'
import type { TokenHolder, TokenService } from './tokens.js'

/**
 * The holder of the token that a request carries. The parameter `access_token` comes first; beside it the header is not
 * looked at.
 *
 * @param query what follows the `?` of the URL
 * @throws ApiError
 */
export function authorise(tokens: TokenService, query: string, header: string | undefined): TokenHolder {
  const parameter = query === '' ? undefined : accessToken(query)
  return tokens.verify(parameter ?? bearerToken(header))
}

/** Whether the request carries any token, good or bad. */
export function carriesToken(query: string, header: string | undefined): boolean {
  return header !== undefined || accessToken(query) !== undefined
}

/** The holder of the token in the query of a WebSocket's URL: the parameter, or else the whole query. */
export function authoriseSocket(tokens: TokenService, query: string): TokenHolder {
  if (query === '') throw new ApiError('ERR_MISSING_TOKEN_PARAM', '"token" parameter is missing.')
  return tokens.verify(accessToken(query) ?? decode(query))
}

function bearerToken(header: string | undefined): string {
  if (header === undefined) throw new ApiError('ERR_MISSING_AUTH_HEADER', '"Authorization" header is missing.')
  const space = header.indexOf(' ')
  const scheme = space < 0 ? header : header.slice(0, space)
  if (scheme !== 'Bearer') {
    throw new ApiError(
      'ERR_UNSUPPORTED_AUTH_TYPE',
      `Unsupported authentication type '${scheme}'. Only "Bearer" is supported.`,
    )
  }
  return space < 0 ? '' : header.slice(space + 1).trim()
}

function accessToken(query: string): string | undefined {
  for (const parameter of query.split('&')) {
    if (parameter.startsWith('access_token=')) return decode(parameter.slice(13))
  }
  return undefined
}

function decode(text: string): string {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    // Not percent-encoded after all: the token's own check refuses it.
    return text
  }
}
