const KNOWN: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EACCES: 'permission denied',
  EISDIR: 'it is a directory',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
}

/** Why a file could not be read, in words. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return KNOWN[code] ?? (error instanceof Error ? error.message : String(error))
}
