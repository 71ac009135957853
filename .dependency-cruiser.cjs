// The arrows between folders, as rules. The table is the one of CONTRIBUTING.md: lowest folder first, each with the
// folders that it may import.
const arrows = {
  core: [],
  aql: ['core'],
  storage: ['core'],
  config: ['core', 'aql'],
  replication: ['core', 'storage'],
  state: ['core', 'aql', 'storage'],
  audit: ['core'],
  node: ['core', 'aql', 'storage', 'config', 'replication', 'state', 'audit'],
  client: ['core'],
  console: ['core', 'client'],
  cli: ['core', 'config', 'client', 'node'],
}

/** Packages that only some folders may see. */
const owners = {
  peggy: 'aql',
  'classic-level': 'storage',
  yaml: 'config',
  '(pg|@redis)': 'state',
  ws: 'node|client',
  '(preact|uplot|@codemirror|@lezer)': 'console',
  '(@libp2p|@chainsafe|@multiformats|libp2p|uint8arraylist)': 'replication',
}

const folders = Object.keys(arrows)
const product = `^(${folders.join('|')})/`
const ours = `^(${[...folders, 'bench', 'test', 'examples', 'scripts'].join('|')})/`
/** Files that other folders may import. client/node.ts is the client's second entry, with what only Node has. */
const frontDoors = ['^[^/]+/index\\.ts$', '^client/node\\.ts$']

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    ...folders.map((folder) => ({
      name: `arrows-of-${folder}`,
      comment: `${folder} may import: ${arrows[folder].join(', ') || 'nothing'}`,
      severity: 'error',
      from: { path: `^${folder}/` },
      to: { path: ours, pathNot: [folder, ...arrows[folder]].map((name) => `^${name}/`) },
    })),
    {
      name: 'front-doors-only',
      comment: 'Other folders import only ../x/index.js',
      severity: 'error',
      from: { path: `^(${folders.join('|')})/` },
      to: { path: product, pathNot: ['^$1/', ...frontDoors] },
    },
    {
      name: 'tests-use-front-doors-or-their-own-folder',
      severity: 'error',
      from: { path: '^test/([^/]+)/', pathNot: '^test/support/' },
      to: { path: product, pathNot: ['^$1/', ...frontDoors] },
    },
    {
      name: 'bench-and-examples-use-front-doors',
      severity: 'error',
      from: { path: '^(bench|examples)/' },
      to: { path: product, pathNot: frontDoors },
    },
    {
      name: 'nobody-imports-the-own-front-door',
      severity: 'error',
      from: { path: `^(${folders.join('|')})/` },
      to: { path: '^$1/index\\.ts$' },
    },
    ...Object.entries(owners).map(([name, folder]) => ({
      name: `only-${folder.replace('|', '-and-')}-sees-${name.replace(/\W+/g, '-')}`,
      severity: 'error',
      from: { path: product, pathNot: `^(${folder})/` },
      to: { path: `(^|/)node_modules/(@types/)?${name}/` },
    })),
    {
      name: 'only-aql-sees-the-grammar',
      severity: 'error',
      from: { pathNot: '^aql/' },
      to: { path: '^aql/grammar' },
    },
    {
      name: 'core-does-no-io',
      severity: 'error',
      from: { path: '^core/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?buffer$' },
    },
    {
      name: 'the-client-entry-runs-in-browsers',
      severity: 'error',
      from: { path: '^client/', pathNot: '^client/node\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'the-page-runs-in-browsers',
      severity: 'error',
      from: { path: '^console/' },
      to: { dependencyTypes: ['core', 'npm-no-pkg', 'npm-unknown', 'undetermined'] },
    },
    {
      name: 'declared-dependencies-only',
      severity: 'error',
      // What the page needs is built into it.
      from: { path: product, pathNot: '^console/' },
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown', 'undetermined'],
        // Packages of backends are peers that need not be there, and dev dependencies for the tests.
        pathNot: '(^|/)node_modules/(@types|pg|@redis)/',
      },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage|\\.cache|\\.tap)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types', 'default'],
      extensions: ['.ts', '.tsx', '.js', '.d.ts', '.json', '.css'],
    },
  },
}
