import { StatePluginMissingError } from './remote-errors.js'

/** A package that is loaded only when it is needed, so that nobody else has to install it. */
export interface Plugin<M> {
  readonly backend: string
  readonly packageName: string
  /** Versions that it is tried with. */
  readonly range: string
  readonly load: () => Promise<M>
}

/** @throws StatePluginMissingError */
export async function loadPlugin<M>({ backend, packageName, range, load }: Plugin<M>): Promise<M> {
  try {
    return await load()
  } catch (error) {
    // What the package itself lacks, or does wrong, is told as it is.
    const isMissing = error instanceof Error && isNotFound(error) && error.message.includes(`'${packageName}'`)
    if (!isMissing) throw error
    throw new StatePluginMissingError(backend, packageName, range, error)
  }
}

/** Where hooks load modules, as tools for tracing do, the error comes without its code. */
function isNotFound(error: Error): boolean {
  return (
    ('code' in error && error.code === 'ERR_MODULE_NOT_FOUND') ||
    /^Cannot find (?:package|module) '/.test(error.message)
  )
}
