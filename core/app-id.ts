import { MillraceError } from './errors.js'

/** Labels of `a-z 0-9 -` joined by single dots, such as `com.example.app`. */
export type AppId = string

/** An app id from outside has the wrong form. */
export class AppIdError extends MillraceError {
  readonly code = 'ERR_APP_ID_INVALID'
}

/** @throws AppIdError */
export function parseAppId(text: string): AppId {
  if (!/^[a-z0-9-]+(\.[a-z0-9-]+)*$/.test(text)) {
    throw new AppIdError(
      `Invalid appId: '${text.slice(0, 200)}' (lower-case letters, digits and - in labels joined by single dots)`,
    )
  }
  return text
}
