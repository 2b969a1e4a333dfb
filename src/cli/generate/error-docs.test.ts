import { expect, test } from 'vitest'
import { documentedErrors, errorsPage } from './error-docs.js'

const source = {
  file: 'src/rpc/errors.ts',
  text: `
/** An endpoint refused
 *  a range. */
export class RangeError extends PipeError {
  readonly code = 'RANGE_REFUSED'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'lower \`batch\`'
  constructor(readonly endpoint: string, blocks: number, cause: unknown) {
    super(\`\${endpoint} refused \${String(blocks)} blocks of \${chain.name}\`, { cause })
  }
}
/** Two in one. */
class Twice extends PipeError {
  override readonly hint: string
  constructor(readonly code: 'A_LATE' | 'A_EARLY', message: string) {
    super(message)
  }
}
class NoError { readonly code = 'NOT_ME' }
`,
}

test('an error class is documented by what it says of itself', () => {
  expect(documentedErrors([source]).filter(({ name }) => name === 'RangeError')).toEqual([
    {
      code: 'RANGE_REFUSED',
      name: 'RangeError',
      file: 'src/rpc/errors.ts',
      meaning: 'An endpoint refused a range.',
      message: '<endpoint> refused <blocks> blocks of <name>',
      hint: 'lower `batch`',
      retryable: true,
      outage: true,
    },
  ])
})

test('a class with several codes is documented under each, and a class that is no error is not', () => {
  expect(documentedErrors([source]).map(({ code, name }) => [code, name])).toEqual([
    ['A_EARLY', 'Twice'],
    ['A_LATE', 'Twice'],
    ['RANGE_REFUSED', 'RangeError'],
  ])
})

test('the page has a section for each code', () => {
  expect(errorsPage(documentedErrors([source])).split('\n## ')[3]).toBe(`RANGE_REFUSED

An endpoint refused a range.

- Message: \`<endpoint> refused <blocks> blocks of <name>\`
- What to do: lower \`batch\`
- The same work may succeed on another attempt.
- An outage (endpoint, quota, login or machine): the unit is \`failed\`, keeps its attempts and runs again next time.
- Source: \`RangeError\` in [src/rpc/errors.ts](../src/rpc/errors.ts)
`)
})
