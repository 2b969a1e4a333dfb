import { expect, test } from 'vitest'
import { appendEvidence } from './evidence.js'

test.each([
  ['the first of a unit begins the list', undefined, { block: 1 }, [{ block: 1 }]],
  ['a later one comes after it', [{ block: 1 }], { block: 2 }, [{ block: 1 }, { block: 2 }]],
  [
    'a list that a batch gave is one entry',
    [[1, 2]],
    [3, 4],
    [
      [1, 2],
      [3, 4],
    ],
  ],
  ['a batch that gave none adds none', [{ block: 1 }], undefined, [{ block: 1 }]],
  ['a unit without any has none', undefined, undefined, undefined],
  ['null is evidence when a batch gave it, and none when the ledger holds it', null, null, [null]],
  ['what an older ledger holds is the first', { block: 1 }, { block: 2 }, [{ block: 1 }, { block: 2 }]],
])('%s', (_, before, given, after) => {
  expect(appendEvidence(before, given)).toEqual(after)
})
