import { ApiError } from './errors.js'

/** A whole number in the URL. @throws ApiError */
export function countIn(parameters: URLSearchParams, name: string, otherwise: number): number {
  const text = parameters.get(name)
  if (text === null) return otherwise
  if (/^[0-9]{1,15}$/.test(text)) return Number(text)
  throw new ApiError('ERR_BAD_REQUEST', `parameter \`${name}\` must be a whole number`)
}

/** One of some words in the URL. @throws ApiError */
export function wordIn<W extends string>(
  parameters: URLSearchParams,
  name: string,
  words: readonly W[],
  otherwise: W,
): W {
  const text = parameters.get(name) ?? otherwise
  const word = words.find((known) => known === text)
  if (word !== undefined) return word
  throw new ApiError('ERR_BAD_REQUEST', `parameter \`${name}\` must be one of ${words.join(', ')}`)
}
