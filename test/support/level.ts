/**
 * How much the tests do (`MILLRACE_TEST_LEVEL`). `quick` leaves out what needs root or minutes, `ci` (the default) has
 * all tests with small counts, `nightly` is set by `npm run nightly`.
 */
export type TestLevel = 'quick' | 'ci' | 'nightly'

export function testLevel(): TestLevel {
  const level = process.env['MILLRACE_TEST_LEVEL']
  if (level === 'quick' || level === 'nightly') return level
  return 'ci'
}
