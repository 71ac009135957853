/**
 * Command and arguments that start Node as a user would. tap has every child of a test load hooks of its own, which slow it
 * down and catch signals; they come by NODE_OPTIONS, set in whatever environment a test asks for, so that only `env` gets
 * rid of them. The level of the tests is taken away too: it is no setting, and a node would warn of it. The process id is
 * that of Node.
 */
export function plainNode(args: readonly string[]): [command: string, args: string[]] {
  return ['env', ['-u', 'NODE_OPTIONS', '-u', 'MILLRACE_TEST_LEVEL', process.execPath, ...args]]
}
