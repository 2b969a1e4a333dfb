import { expect, test } from 'vitest'
import { defineStep, type StepDefinition, Type } from '../sdk/index.js'
import { fieldsOf } from './schema-fields.js'
import { pluginsReadme, stepList, stepReference } from './step-types.js'

const Call = Type.Object({ method: Type.String({ description: 'JSON-RPC method.' }), params: Type.Array(Type.Any()) })

const fetchStep = defineStep({
  type: 'fetch-things',
  version: 2,
  summary: 'One row a thing | per call.',
  requires: ['chain', 'into'],
  example: 'name: x\n\nsteps: []\n',
  config: Type.Object({
    over: Type.Union(
      [
        Type.Object({
          blocks: Type.Object({ from: Type.Integer({ minimum: 0 }), to: Type.Integer() }),
          chunk: Type.Optional(Type.Integer()),
        }),
        Type.Object({
          sql: Type.String(),
          key: Type.Array(Type.String(), { minItems: 1 }),
          chunk: Type.Optional(Type.Integer({ default: 5 })),
        }),
      ],
      { description: 'What to read.', tuning: true },
    ),
    calls: Type.Record(Type.String(), Call),
    rows: Type.Optional(
      Type.Array(Type.Object({ into: Type.String(), compute: Type.Optional(Type.Record(Type.String(), Type.String())) })),
    ),
    verify: Type.Optional(Type.Union([Type.Literal('none'), Type.Literal('bloom')], { default: 'none' })),
    expect: Type.Optional(Type.Union([Type.Number({ exclusiveMinimum: 0, maximum: 9 }), Type.String()])),
    batch: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, tuning: true, description: 'Calls a request.' })),
  }),
  *plan() {},
  async *run() {},
}) as unknown as StepDefinition

const plain = defineStep({
  type: 'a-plain-one',
  summary: 'Nothing.',
  example: 'x: 1',
  config: Type.Object({}),
  *plan() {},
  async *run() {},
}) as unknown as StepDefinition

test('the reference of a step shows every field with its type, default and meaning', () => {
  expect(stepReference(fetchStep)).toBe(`fetch-things
  One row a thing | per call.
  Needs \`chain\` and \`into\`.
  Version 2.

with:
  over: { blocks } | { sql, key }, required ~
      What to read.
    blocks: object, required
      from: integer (at least 0), required
      to: integer, required
    chunk: integer
    sql: text, required
    key: list of text (at least 1), required
    chunk: integer, default 5
  calls: names to object, required
    *: object
      method: text, required
          JSON-RPC method.
      params: list of anything, required
  rows: list of object
    into: text, required
    compute: names to text
  verify: none | bloom, default "none"
  expect: number (above 0, at most 9) | text
  batch: integer (1 to 1000) ~
      Calls a request.

  ~ with all inside it, it changes how the work is done, never which rows it gives, so a change of it fetches nothing again

example:
  name: x

  steps: []
`)
})

test('the list of steps is sorted and aligned', () => {
  expect(stepList([fetchStep, plain])).toBe(`  a-plain-one   Nothing.
  fetch-things  One row a thing | per call.

A type in full: pipe steps a-plain-one
`)
})

test('the generated README has a section for each step, with cells that no bar breaks', () => {
  const readme = pluginsReadme([fetchStep, plain])
  expect(readme).toContain('| [`fetch-things`](#fetch-things) | One row a thing \\| per call. |')
  expect(readme).toContain('| `calls.*.method` | text, required | JSON-RPC method. |')
  expect(readme).toContain('| `verify` | none \\| bloom, default "none" |  |')
  expect(readme).toContain('| `batch` ~ | integer (1 to 1000) | Calls a request. |')
  expect(readme).toContain('## a-plain-one\n\nNothing.\n\nTakes no fields.\n\n```yaml\nx: 1\n```')
})

test('schemas that contain themselves end', () => {
  const tree = {
    $defs: { node: { type: 'object', properties: { name: { type: 'string' }, kids: { type: 'array', items: { $ref: '#/$defs/node' } } } } },
    $ref: '#/$defs/node',
  }
  expect(fieldsOf(tree).map(({ path, type }) => [path, type])).toEqual([
    ['name', 'text'],
    ['kids', 'list of object'],
  ])
  expect(fieldsOf(Type.Recursive((self) => Type.Object({ inner: Type.Optional(self) }))).map(({ path }) => path)).toEqual(['inner'])
  expect([fieldsOf(true), fieldsOf(undefined), fieldsOf({ $ref: '#' })]).toEqual([[], [], []])
})
