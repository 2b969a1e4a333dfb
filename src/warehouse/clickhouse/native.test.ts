import { expect, test } from 'vitest'
import type { Column, Value } from '../../sdk/index.js'
import { constantColumn, nativeBlock, nativeColumn, versionColumn } from './native.js'

const bytes = (type: Column['type'], values: readonly Value[], nullable = false): string =>
  Buffer.from(nativeColumn({ name: 'c', type, nullable }, values).bytes).toString('hex')

test('integers are little-endian words, negative ones the complement of two', () => {
  expect(bytes({ kind: 'int' }, [1n, -2n])).toBe('01000000feffffff')
  expect(bytes({ kind: 'bigint' }, [-(2n ** 63n)])).toBe('0000000000000080')
  expect(bytes({ kind: 'uint256' }, [2n ** 64n, 2n ** 64n - 1n])).toBe(
    `${'0'.repeat(16)}01${'0'.repeat(46)}` + `${'f'.repeat(16)}${'0'.repeat(48)}`,
  )
  expect(bytes({ kind: 'int256' }, [-(2n ** 64n), -1n])).toBe(`${'0'.repeat(16)}${'f'.repeat(48)}` + 'f'.repeat(64))
  expect(bytes({ kind: 'decimal', precision: 38, scale: 2 }, ['-1.28', '0.01'])).toBe(`80${'f'.repeat(30)}01${'0'.repeat(30)}`)
})

test('a null is told before the values, and its own place is empty', () => {
  expect(bytes({ kind: 'bigint' }, [null, 3n], true)).toBe(`0100${'0'.repeat(16)}0300000000000000`)
  expect(bytes({ kind: 'text' }, ['a', null], true)).toBe('0001016100')
})

test('a text is behind the number of its bytes, which takes two from 128 on', () => {
  expect(bytes({ kind: 'text' }, ['é', 'ab'])).toBe('02c3a9026162')
  expect(bytes({ kind: 'text' }, ['x'.repeat(300)])).toBe(`ac02${'78'.repeat(300)}`)
})

test('a block names its columns and counts its rows', () => {
  const block = nativeBlock(
    [
      constantColumn('k', 'é', 2),
      versionColumn('v', [
        [1n, 1],
        [2n, 1],
      ]),
    ],
    2,
  )
  expect(block.toString('latin1')).toBe(
    Buffer.from(`\x02\x02\x01k\x06String\x02é\x02é\x01v\x06UInt64\x01${'\0'.repeat(7)}\x02${'\0'.repeat(7)}`).toString('latin1'),
  )
})
