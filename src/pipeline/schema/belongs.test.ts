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
    read: { properties: { batch: {}, over: { anyOf: [{ properties: { blocks: { properties: { from: {} } }, chunk: {} } }] } } },
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
