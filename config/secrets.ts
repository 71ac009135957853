/** The value of a key of that name at the place of a setting, as YAML may write it. */
const NAMED = /((?:^|[{,])\s*["']?(?:key|swarmKey)["']?\s*:\s+)("[^"]*"?|'[^']*'?|[^\s,}#]+)/g

/** 32 bytes as base64, wherever they stand. */
const ANY_KEY = /[A-Za-z0-9+/]{43}=/g

/**
 * A line of a configuration with its secrets made unreadable, for messages that are logged and sent around. Also in texts
 * that are broken, where no parser can tell what is what. The number of characters stays.
 */
export function hideSecrets(line: string): string {
  return line.replace(NAMED, (_, before: string, value: string) => before + hide(value)).replace(ANY_KEY, hide)
}

/** As many asterisks as there are characters. */
export function hide(text: string): string {
  return '*'.repeat(Array.from(text).length)
}
