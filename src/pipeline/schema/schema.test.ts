import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { defineStep, type StepDefinition, Type } from '../../sdk/index.js'
import { fillDefaults } from './fill-defaults.js'
import { editorSchema } from './schema.js'
import { referencePattern, tolerant } from './tolerant.js'

const nothing = { summary: 'Does nothing.', example: 'none', *plan() {}, async *run() {} } as const
const load = defineStep({ ...nothing, type: 'load', config: Type.Object({ rows: Type.Integer({ minimum: 1 }) }) })

function validator(definitions: readonly StepDefinition[]) {
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  const schema = editorSchema(definitions)
  expect(ajv.validateSchema(schema)).toBe(true)
  return ajv.compile(schema)
}

const pipeline = (step: object) => ({ name: 'p', warehouse: 'duckdb:x', steps: [{ id: 'a', ...step }] })

describe('the schema that editors use', () => {
  const validate = validator([load as unknown as StepDefinition])
  test.each([
    ['a step whose with fits', pipeline({ type: 'load', with: { rows: 5 } }), true],
    ['a $name in the place of a number', pipeline({ type: 'load', with: { rows: '$n' } }), true],
    ['a $name inside a text in the place of a number', pipeline({ type: 'load', with: { rows: 'x $n' } }), false],
    ['a number out of range', pipeline({ type: 'load', with: { rows: 0 } }), false],
    ['a key that the step type does not know', pipeline({ type: 'load', with: { rows: 5, row: 5 } }), false],
    ['a step without the with that its type needs', pipeline({ type: 'load' }), false],
    ['a step type that it does not know, which a plugin may bring', pipeline({ type: 'other', with: { any: 'thing' } }), true],
    ['a key that no step has', pipeline({ type: 'other', batchs: 5 }), false],
    ['a pipeline without a name', { warehouse: 'duckdb:x', steps: [{ id: 'a', type: 'other' }] }, false],
    ['a shared file', { chains: { base: { rpc: 'http://x' } }, defaults: { timeout: '5m' } }, true],
    ['what is otherwise of an imported chain', { imports: ['chains.yaml'], chains: { base: { confirmations: 0 } } }, true],
    ['a mistake in what is otherwise of one', { imports: ['chains.yaml'], chains: { base: { confirmation: 0 } } }, false],
    ['a chain without endpoints in a file that imports none', { chains: { base: { confirmations: 0 } } }, false],
    ['a duration without unit', { defaults: { timeout: 5 } }, false],
    ['several endpoints with limits', { chains: { base: { rpc: ['http://x', { url: 'http://y', max_workers: 3 }] } } }, true],
    ['a matrix of a list and of a param', pipeline({ type: 'other', matrix: { chain: '$chain', x: [1, 'b'] } }), true],
    ['a matrix of a word', pipeline({ type: 'other', matrix: { chain: 'base' } }), false],
  ])('%s', (_, value, expected) => {
    expect(validate(value)).toBe(expected)
  })

  test('accepts the shipped pipeline', () => {
    expect(validator([])(parse(readFileSync(new URL('../../../pipelines/miners.yaml', import.meta.url), 'utf8')))).toBe(true)
  })
})

describe('a tolerant schema', () => {
  const fits = (schema: object, value: unknown) => new Ajv2020({ strict: false }).compile(tolerant(schema) as object)(value)
  const list = Type.Object(
    {
      list: Type.Array(Type.Number()),
      mode: Type.Union([Type.Literal('a'), Type.Literal('b')]),
      any: Type.Unknown(),
      text: Type.String({ minLength: 1 }),
    },
    { additionalProperties: true },
  )
  test.each<[string, object, unknown, boolean]>([
    ['takes a $name for a list', list, { list: '$l', mode: 'a', any: 1, text: 'x' }, true],
    ['takes a $name inside a list', list, { list: [1, '$n'], mode: 'a', any: 1, text: 'x' }, true],
    ['takes a $name for one of a few words', list, { list: [], mode: '$m', any: 1, text: 'x' }, true],
    ['takes no other word', list, { list: [], mode: 'c', any: 1, text: 'x' }, false],
    ['takes no text in a list of numbers', list, { list: ['x'], mode: 'a', any: 1, text: 'x' }, false],
    ['keeps the rules of texts', list, { list: [], mode: 'a', any: 1, text: '' }, false],
    ['leaves open what says that it is open', list, { list: [], mode: 'a', any: 1, text: 'x', more: 1 }, true],
    [
      'closes an intersection as a whole',
      Type.Intersect([Type.Object({ a: Type.Number() }), Type.Object({ b: Type.Number() })]),
      { a: 1, b: '$b' },
      true,
    ],
    [
      'refuses an unknown key of an intersection',
      Type.Intersect([Type.Object({ a: Type.Number() }), Type.Object({ b: Type.Number() })]),
      { a: 1, b: 1, c: 1 },
      false,
    ],
    ['takes the older form of a tuple', Type.Object({ pair: Type.Tuple([Type.Number(), Type.String()]) }), { pair: ['$n', 'x'] }, true],
    ['bounds the older form of a tuple', Type.Object({ pair: Type.Tuple([Type.Number(), Type.String()]) }), { pair: [1, 'x', 2] }, false],
    ['is no wider at its top', Type.Object({}), '$x', false],
  ])('%s', (_, schema, value, expected) => {
    expect(fits(schema, value)).toBe(expected)
  })

  test('shows its descriptions from outside, where editors look', () => {
    expect(tolerant({ type: 'object', properties: { n: { type: 'integer', description: 'How many.', default: 5 } } })).toEqual({
      type: 'object',
      properties: {
        n: {
          description: 'How many.',
          default: 5,
          if: { type: 'string', pattern: referencePattern },
          else: { type: 'integer', description: 'How many.', default: 5 },
        },
      },
      additionalProperties: false,
    })
  })
})

test('defaults are filled in at every depth, in the branch of a union that fits, and never over what is there', () => {
  const schema = Type.Object({
    a: Type.Optional(Type.Integer({ default: 1 })),
    list: Type.Array(Type.Object({ b: Type.Optional(Type.String({ default: 'x' })) })),
    named: Type.Record(Type.String(), Type.Object({ c: Type.Optional(Type.Integer({ default: 3 })) })),
    over: Type.Union([
      Type.Object({ sql: Type.String(), chunk: Type.Optional(Type.Integer({ default: 100 })) }, { additionalProperties: false }),
      Type.Object(
        { blocks: Type.Object({ from: Type.Integer() }), chunk: Type.Optional(Type.Integer({ default: 10 })) },
        { additionalProperties: false },
      ),
    ]),
  })
  expect(fillDefaults(schema, { list: [{}, { b: 'y' }, '$x'], named: { n: {} }, over: { blocks: { from: '$from' } } })).toEqual({
    a: 1,
    list: [{ b: 'x' }, { b: 'y' }, '$x'],
    named: { n: { c: 3 } },
    over: { blocks: { from: '$from' }, chunk: 10 },
  })
})

test('of a union, the branch is meant whose fields the value has, also where a branch is put together of parts', () => {
  const named = Type.Composite([Type.Object({ name: Type.String() })])
  const parts = Type.Intersect([
    named,
    Type.Object({ size: Type.Optional(Type.Integer({ default: 5 })), kind: Type.Optional(Type.String()) }),
  ])
  const other = Type.Object({ key: Type.Optional(Type.String({ default: 'k' })) })
  const schema = Type.Object({ from: Type.Union([other, parts]) })
  expect(fillDefaults(schema, { from: { name: 'n', kind: 'x' } })).toEqual({ from: { name: 'n', kind: 'x', size: 5 } })
  expect(fillDefaults(schema, { from: {} })).toEqual({ from: { key: 'k' } })
})
