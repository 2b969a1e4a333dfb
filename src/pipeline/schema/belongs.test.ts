import { expect, test } from 'vitest'
import { belongs } from './belongs.js'

const schema = {
  type: 'object',
  properties: {
    name: { type: 'string' },
    chains: { additionalProperties: { $ref: '#/$defs/chain' } },
    steps: {
      items: {
        properties: { type: {}, retry: {} },
        allOf: [
          { if: { properties: { type: { const: 'read' } } }, then: { properties: { with: { $ref: '#/$defs/read' } } } },
          { if: { properties: { type: { const: 'other' } } }, then: { properties: { with: { properties: { size: {} } } } } },
        ],
      },
    },
  },
  $defs: {
    chain: { properties: { confirmations: {}, rpc: { items: { properties: { url: {} } } } } },
    // A field may stand for a value: `$name`.
    read: {
      properties: {
        batch: {},
        over: { if: { type: 'string' }, else: { anyOf: [{ properties: { blocks: { properties: { from: {} } }, chunk: {} } }] } },
      },
    },
  },
}
const value = { steps: [{ type: 'read', with: { over: { blocks: {} } } }], chains: { base: { rpc: [{}] } } }
const step = ['steps', 0]

test.each([
  ['one level up', [...step, 'with', 'over', 'blocks'], 'chunk', 'it belongs into `over`'],
  ['up to an item of a list', [...step, 'with'], 'retry', 'it belongs beside `with`'],
  ['up out of a list', ['chains', 'base', 'rpc', 0], 'confirmations', 'it belongs into `base`'],
  ['one level down, by the type of the step', step, 'batch', 'it belongs into `with`'],
  ['two levels down', step, 'chunk', 'it belongs into `with.over`'],
  ['below a field that may be a name', [...step, 'with'], 'chunk', 'it belongs into `over`'],
  ['by what may lie in a field', [...step, 'with', 'over'], 'from', 'it belongs into `blocks`'],
  ['in the items of a list', ['chains', 'base'], 'url', 'it belongs into `rpc`'],
])('a key that is known %s is told where it belongs', (_, path, key, said) => {
  expect(belongs(schema, value, path, key)).toBe(said)
})

test.each([
  ['nowhere', step, 'bacht'],
  ['in another step type only', step, 'size'],
  ['at the top of the file, where it means something else', step, 'name'],
])('of a key that is known %s nothing is said', (_, path, key) => {
  expect(belongs(schema, value, path, key)).toBeUndefined()
})
