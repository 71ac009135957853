import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A directory that goes with the test; its path is short enough for Unix sockets. */
export function temporaryDirectory(t: { teardown: (work: () => unknown) => void }, parent = tmpdir()): string {
  const directory = mkdtempSync(join(parent, 'millrace-'))
  t.teardown(() => {
    rmSync(directory, { recursive: true, force: true })
  })
  return directory
}
