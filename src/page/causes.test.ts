import { expect, test } from 'vitest'
import type { Broken } from './api.js'
import { causesOf } from './causes.js'

const broken = (unit: string, error: string, state: Broken['state'] = 'quarantined'): Broken => ({
  ...{ step: 'lines', unit, key: null, state, attempts: 1, error },
  at: '2026-11-30T00:00:00.000Z',
})

test('failures whose words differ in numbers only are one cause, with its stack once, and the worst and most frequent come first', () => {
  const causes = causesOf(
    [
      broken('1-9', 'answer of 1,024 bytes is torn', 'failed'),
      broken('10-19', 'TypeError: line 13 is torn\n    at run (a.mjs:1:2)'),
      broken('20-29', 'TypeError: line 27 is torn\n    at run (a.mjs:1:2)'),
      broken('30-39', 'hash 0xabcdef is unknown'),
    ],
    null,
  )
  expect(causes.map(({ state, message, count, where, stack }) => [state, message, count, where, stack])).toEqual([
    ['quarantined', 'line 13 is torn', 2, ['10-19', '20-29'], '    at run (a.mjs:1:2)'],
    ['quarantined', 'hash 0xabcdef is unknown', 1, ['30-39'], null],
    ['failed', 'answer of 1,024 bytes is torn', 1, ['1-9'], null],
  ])
})
