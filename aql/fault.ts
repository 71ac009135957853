/** Ends the query with a diagnostic of severity `error`; no expression can catch it. */
export class FatalFault extends Error {}

/** @throws FatalFault */
export function tooManyValues(max: number): never {
  throw new FatalFault(`more than ${String(max)} values in one sub-query or spread`)
}
