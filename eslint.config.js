import tseslint from 'typescript-eslint'

const network = 'the network is passed in (ARCHITECTURE, decision 11): take RpcPool or HttpClient'
const clock = 'time is passed in (ARCHITECTURE, decision 11): take a Clock'

/** Where clock and timers of the machine enter, besides src/cli and the page, which is a program of the browser. test/repository.test.ts says what each may use. */
const adapters = ['src/warehouse/machine.ts', 'src/sandbox/clock.ts', 'src/sandbox/main.ts', 'src/postgres/pause.ts', 'src/sdk/turn.ts']

export default tseslint.config(
  { ignores: ['dist/', 'dist-bench/', 'coverage/', 'node_modules/', 'data/', '.pipe/'] },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [tseslint.configs.recommended],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // What loses data or hides a failure when it is forgotten.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/only-throw-error': ['error', { allowThrowingUnknown: true, allowThrowingAny: true }],
      '@typescript-eslint/prefer-promise-reject-errors': ['error', { allowThrowingUnknown: true, allowThrowingAny: true }],
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' }],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-implicit-coercion': ['error', { boolean: false }],
      'no-console': 'error',
    },
  },
  {
    // Everything that decides is given its clock, its randomness and its network: so a test can replace them.
    files: ['src/**/*.ts', 'plugins/**/*.ts'],
    ignores: ['src/cli/**', 'src/page/**', '**/*.test.ts', '**/fixtures/**', ...adapters],
    rules: {
      'no-restricted-globals': [
        'error',
        { name: 'process', message: 'only src/cli knows the process: take what you need as a parameter' },
        { name: 'fetch', message: network },
        { name: 'setTimeout', message: clock },
        { name: 'setInterval', message: clock },
        { name: 'performance', message: clock },
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: clock },
        { object: 'performance', property: 'now', message: clock },
        { object: 'Math', property: 'random', message: 'randomness is passed in (ARCHITECTURE, decision 11): take a Random' },
      ],
      'no-restricted-imports': [
        'error',
        { paths: ['process', 'node:process', 'timers', 'node:timers', 'timers/promises', 'node:timers/promises'] },
      ],
    },
  },
  {
    files: ['**/*.test.ts', 'test/**/*.ts', 'src/sandbox/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off', 'no-console': 'off' },
  },
)
