import { readdirSync, readFileSync } from 'node:fs'
import { extname, join, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The built page stands beside the compiled program. */
const FOLDER = fileURLToPath(new URL('../../console/page/', import.meta.url))

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** A file of the page, ready to be sent. */
export interface ConsoleFile {
  readonly contentType: string
  readonly bytes: Buffer
  readonly gzipped: Buffer
}

/** All files of the page by their paths, such as `assets/index-AbC.js`; none where the page was not built. */
export function readConsoleFiles(folder = FOLDER): ReadonlyMap<string, ConsoleFile> {
  const files = new Map<string, ConsoleFile>()
  for (const path of pathsIn(folder)) {
    const contentType = TYPES[extname(path)]
    if (contentType === undefined) continue
    const file = join(folder, path)
    files.set(path.split(sep).join('/'), {
      contentType,
      bytes: readFileSync(file),
      gzipped: readFileSync(`${file}.gz`),
    })
  }
  return files
}

function pathsIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
  } catch {
    // The package has it; a checkout that was only compiled has not.
    return []
  }
}
