import { expect, test } from 'vitest'
import { closest, didYouMean } from './suggest.js'

test.each([
  ['rpc_batch', 'rpc-batch'],
  ['rpcbatch', 'rpc-batch'],
  ['gaet', 'gate'],
  ['gat', 'gate'],
  ['shard-day', 'shard-days'],
  ['GATE', 'gate'],
  ['sql', undefined],
  ['', undefined],
  ['x', undefined],
  ['something-else', undefined],
])('%j is near %j', (name, expected) => {
  expect(closest(name, ['exec', 'gate', 'rpc-batch', 'shard-days', 'sql-upsert'])).toBe(expected)
})

test('the nearest of several is taken, not the first', () => {
  expect(closest('blocks', ['block', 'blocks2', 'block_s', 'locks'])).toBe('block_s')
})

test('a name of a megabyte is answered at once', () => {
  expect(didYouMean('x'.repeat(1_000_000), ['gate'])).toBeUndefined()
})

test('a hint quotes what was meant', () => {
  expect(didYouMean('gaet', ['gate'])).toBe('did you mean "gate"?')
})
