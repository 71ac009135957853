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

/** Reason to skip a test that takes minutes, or `false`: the value for tap's `skip` option. */
export function skipSlow(): string | false {
  return testLevel() === 'quick' ? 'takes minutes; runs with MILLRACE_TEST_LEVEL=ci' : false
}

/** Reason to skip a test that needs root, or `false`. */
export function skipUnlessRoot(): string | false {
  if (testLevel() === 'quick') return 'needs root; runs with MILLRACE_TEST_LEVEL=ci'
  return process.getuid?.() === 0 ? false : 'needs root: run .ci/run as root on Linux'
}
