/** The query of the tail: a tag expression, or a whole query. */
export function filterQuery(filter: string): string {
  const text = filter.trim()
  if (text === '') return 'FROM allEvents'
  return /^(FROM|PRAGMA|FEATURES)\b/.test(text) ? text : `FROM ${text}`
}

/** The filter with one more tag that events must have. */
export function withTag(filter: string, tag: string): string {
  const quoted = `'${tag.replaceAll("'", "''")}'`
  const text = filter.trim()
  if (text === '' || text === 'allEvents') return quoted
  if (text.includes(quoted)) return text
  return /\||^FROM/.test(text) ? (text.startsWith('FROM') ? text : `(${text}) & ${quoted}`) : `${text} & ${quoted}`
}
