/** Words of AQL that can be completed, each with what it is for. */
export const KEYWORDS: readonly (readonly [word: string, meaning: string])[] = [
  ['FROM', 'which events, by tags'],
  ['FILTER', 'only those for which it is true'],
  ['SELECT', 'what to make of each'],
  ['AGGREGATE', 'one value of all'],
  ['LIMIT', 'end after so many'],
  ['LET', 'a name for a value'],
  ['ORDER', 'ASC, DESC or STREAM; behind FROM'],
  ['ASC', 'oldest first'],
  ['DESC', 'newest first'],
  ['STREAM', 'ordered within each stream only: fast'],
  ['TIME', 'bounds on the time of events'],
  ['KEY', 'bounds on the key of events'],
  ['CASE', 'CASE condition => value … ENDCASE'],
  ['ENDCASE', 'ends CASE'],
  ['FEATURES', 'features that the query uses: FEATURES(aggregate)'],
  ['PRAGMA', 'settings and data of the query'],
  ['END', 'ends a query inside of another'],
  ['TRUE', 'true'],
  ['FALSE', 'false'],
  ['NULL', 'null'],
]

/** What is called with brackets. */
export const FUNCTIONS: readonly (readonly [word: string, meaning: string])[] = [
  ['SUM', 'sum of all'],
  ['PRODUCT', 'product of all'],
  ['MIN', 'smallest of all'],
  ['MAX', 'greatest of all'],
  ['FIRST', 'of the earliest event'],
  ['LAST', 'of the latest event'],
  ['IsDefined', 'whether it can be computed'],
  ['TAGS', 'tags of the event behind a value'],
  ['APP', 'app of the event behind a value'],
]

/** What stands for events beside tags. */
export const SOURCES: readonly (readonly [word: string, meaning: string])[] = [
  ['allEvents', 'all events'],
  ['isLocal', 'events of this node'],
  ['appId', 'events of an app: appId(com.example.app)'],
  ['from', 'from a time on: from(2026-01-01)'],
  ['to', 'until a time: to(2026-01-01)'],
]

/** As the parser has them: upper case, and as whole words. */
export const KEYWORD_SET: ReadonlySet<string> = new Set(
  [...KEYWORDS, ...FUNCTIONS].map(([word]) => word).concat('ENDPRAGMA'),
)
export const SOURCE_SET: ReadonlySet<string> = new Set(SOURCES.map(([word]) => word))
