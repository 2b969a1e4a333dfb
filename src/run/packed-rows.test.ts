import { expect, test } from 'vitest'
import type { Row } from '../sdk/index.js'
import { packed, unpacked } from './packed-rows.js'

test('packed rows come back as they were, every value exact', () => {
  const rows: Row[] = [
    { k: 1n, wide: 2n ** 255n, text: 'é \u0000 \ud83d\ude00', json: { a: [1.5, null, true], b: {} }, none: null, real: -0.1 },
    { k: -(2n ** 63n), wide: -1n, text: '', json: [], none: null, real: 1e308 },
  ]
  expect(unpacked(packed(rows))).toEqual(rows)
  expect(unpacked(packed([]))).toEqual([])
})

test('packed rows of a chain take less than a hundred bytes each', () => {
  const hex = (n: number, length: number) => `0x${(BigInt(n + 7) ** 40n).toString(16).padStart(length, '0').slice(-length)}`
  const rows = Array.from({ length: 400 }, (_, i): Row => ({
    number: BigInt(i),
    parent: BigInt(i - 1),
    miner: hex(i % 5, 40),
    hash: hex(i, 64),
  }))
  expect(packed(rows).length / rows.length).toBeLessThan(100)
})
