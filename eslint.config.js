// Lint rules: typescript-eslint's strictest typed set for all TypeScript, plain recommended for the scripts.
import eslint from '@eslint/js'
import tseslint from 'typescript-eslint'

/** What Node puts into the global scope and our scripts use. */
const nodeGlobals = Object.fromEntries(
  [
    'process',
    'console',
    'URL',
    'fetch',
    'AbortSignal',
    'setInterval',
    'setTimeout',
    'clearTimeout',
    'Buffer',
    'performance',
  ].map((name) => [name, 'readonly']),
)

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'release/',
      '.tap/',
      '.cache/',
      'coverage/',
      'aql/grammar.js',
      'aql/grammar.d.ts',
      'test/fixtures/',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  eslint.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      // Names that begin with an underscore say "not used on purpose", as tsc has it.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['test/**/*.ts', 'bench/**/*.ts'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-explicit-any': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // tap waits for its own subtests.
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafePromises: [{ from: 'package', package: '@tapjs/core', name: 'PromiseWithSubtest' }] },
      ],
    },
  },
  {
    // Calls that the Actyx packages advise against, and that apps in the field still make.
    files: ['test/wire/actyx-*.ts'],
    rules: { '@typescript-eslint/no-deprecated': 'off' },
  },
  { files: ['**/*.{js,mjs,cjs}'], languageOptions: { globals: nodeGlobals } },
)
