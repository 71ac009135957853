import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The checkout. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** The program of the `millrace` command. */
export const mainFile = join(root, 'dist/cli/main.js')
