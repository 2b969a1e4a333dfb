import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatDuration, parseDuration } from './duration.js'

test.each([
  ['500ms', 500],
  ['30s', 30_000],
  ['1.5h', 5_400_000],
  ['1h30m', 5_400_000],
  ['1h 30m', 5_400_000],
  ['7d', 604_800_000],
  ['2w', 1_209_600_000],
  ['0s', 0],
  ['10', undefined],
  ['', undefined],
  ['-1s', undefined],
  ['1x', undefined],
  ['s', undefined],
  ['1 year', undefined],
  ['1e3s', undefined],
  ['9007199254740993ms', undefined],
])('%j is %j milliseconds', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test('every duration is read back from its text', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10_000_000_000_000 }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms)
    }),
  )
  expect(formatDuration(90_061_001)).toBe('1d1h1m1s1ms')
})

test('a long text that is no duration is refused at once', () => {
  expect(parseDuration(`${'1h '.repeat(100_000)}x`)).toBeUndefined()
  expect(parseDuration('1'.repeat(100_000))).toBeUndefined()
})
