import { expect, test } from 'vitest'
import { bloomOf } from '../sandbox/bloom.js'
import { dataFolder } from '../../test/support/mainnet.js'
import { depositBlock, mainnetBlocks, type Recorded } from '../../test/support/recorded-blocks.js'
import { bloomMay } from './index.js'

const { block } = depositBlock()
const address = '0xf878f0340bf132c28f3211e8b46c569edf817495'
const topic = '0xfaddd0b06e793a583e92393ad3f98637e560462ee98db1f2888f141124ee64ca'
const other = `0x${'ab'.repeat(20)}`
const otherTopic = `0x${'ab'.repeat(32)}`

test('a bloom may hold what any alternative of every condition has set, and nothing else', () => {
  const may = (addresses: readonly string[], topics: readonly (readonly string[] | null)[]) =>
    bloomMay(block.logsBloom, { addresses, topics })
  expect([
    may([address], []),
    may([other, address], [[otherTopic, topic]]),
    may([], [null, [topic]]),
    may([], []),
    may([address], [null]),
    may([address], [[]]),
  ]).toEqual(Array(6).fill(true))
  expect([may([other], []), may([address], [[otherTopic]]), may([address], [[topic], [otherTopic]]), may([], [[otherTopic]])]).toEqual(
    Array(4).fill(false),
  )
})

test('a bloom of zeros holds no log, and what is no bloom may hold any', () => {
  expect(bloomMay(`0x${'0'.repeat(512)}`, { addresses: [], topics: [] })).toBe(false)
  for (const none of [undefined, null, '0x', '0x0', `0x${'0'.repeat(510)}`, `0x${'0'.repeat(511)}g`])
    expect(bloomMay(none, { addresses: [address], topics: [] })).toBe(true)
  expect(bloomMay(String(block.logsBloom).toUpperCase().replace('X', 'x'), { addresses: [address], topics: [] })).toBe(true)
})

test('an address that is none is refused', () => {
  expect(() => bloomMay(block.logsBloom, { addresses: ['0x12'], topics: [] })).toThrow(
    'address is 0x12, where 20 bytes in hexadecimal belongs',
  )
})

test('an address is found in the bloom that has just it', () => {
  for (let i = 0; i < 100; i++) {
    const one = `0x${i.toString(16).padStart(40, '0')}`
    expect(bloomMay(bloomOf([one]), { addresses: [one], topics: [] }), one).toBe(true)
  }
})

test.skipIf(!dataFolder)('blooms of real blocks deny no log that the block has (recorded data, skipped without it)', () => {
  for (const { block, receipts } of mainnetBlocks().slice(0, 6))
    for (const log of receipts.flatMap(({ logs }) => (logs as Recorded[]).slice(0, 3))) {
      const { address, topics } = log as { address: string; topics: string[] }
      expect(bloomMay(block.logsBloom, { addresses: [address], topics: topics.map((one) => [one]) })).toBe(true)
    }
})
