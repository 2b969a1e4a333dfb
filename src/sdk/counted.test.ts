import { expect, test } from 'vitest'
import { count, counted } from './counted.js'

test('a number is grouped by thousands, and a fraction is never shown as a whole number', () => {
  expect([0, 1, 999, 1_234_567, 12.4].map(count)).toEqual(['0', '1', '999', '1,234,567', '12'])
  expect([0.4, 0.007, 1.993, 9.96, 2 + 1e-9].map(count)).toEqual(['0.4', '0.01', '1.99', '9.96', '2'])
  expect([counted(1, 'blocks'), counted(0, 'blocks'), counted(0.007, 'days')]).toEqual(['1 block', '0 blocks', '0.01 days'])
})
