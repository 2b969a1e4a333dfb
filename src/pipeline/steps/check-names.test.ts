import { expect, test } from 'vitest'
import { defineStep, type KnownNames, Type } from '../../sdk/index.js'
import { undefinedNames } from './check-names.js'

function problemsOf(config: Readonly<Record<string, unknown>>, parts: readonly KnownNames[]): readonly string[] {
  const definition = defineStep({
    type: 'mine',
    summary: 's',
    example: 'e',
    config: Type.Object({}),
    names: () => parts,
    *plan() {},
    async *run() {},
  })
  const context = { config, into: undefined, tables: new Map(), names: new Set(['from', 'chain.name']), chain: undefined }
  return [...undefinedNames(definition, context)].map(({ path, message, hint }) => `${path.join('.')}: ${message} (${hint})`)
}

test('a name of the step type is known in its part of `with` and nowhere else', () => {
  const parts = [{ path: ['calls', 0], names: ['number'] }]
  expect(problemsOf({ calls: ['$number.hash', '$from'] }, parts)).toEqual([])
  expect(problemsOf({ calls: ['$nmber', '$number'] }, parts)).toEqual([
    'calls.0: `$nmber` is not defined (did you mean `$number`?)',
    'calls.1: `$number` is not defined (known here: $from, $chain.name)',
  ])
})

test('where names are known to `plan` only, none is refused, and a part can say more than which name is near', () => {
  expect(problemsOf({ row: { a: '$anything' } }, [{ path: ['row'], names: 'any' }])).toEqual([])
  const hint = (name: string): string | undefined => (name === 'start' ? 'it is a border' : undefined)
  expect(problemsOf({ sql: ['$start', '$form'] }, [{ path: [], names: [], hint }])).toEqual([
    'sql.0: `$start` is not defined (it is a border)',
    'sql.1: `$form` is not defined (did you mean `$from`?)',
  ])
})
