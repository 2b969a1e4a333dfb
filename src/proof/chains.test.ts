import { createMPT } from '@ethereumjs/mpt'
import fc from 'fast-check'
import { concat, keccak256, toHex, toRlp, type Hex } from 'viem'
import { describe, expect, test } from 'vitest'
import { depositBlock, type Recorded } from '../../test/support/recorded-blocks.js'
import { checkBlock, checkPlaces, headerHash, isStateSync, receiptsRoot, transactionsRoot } from './index.js'
import { encode, orderedRoot } from './trie.js'

const { block, receipts } = depositBlock()
const emptyRoot = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'
const bloom = `0x${'0'.repeat(512)}` as const

test('the ordered root of any values is the one that @ethereumjs/mpt builds by putting one after the other', async () => {
  const some = fc.uint8Array({ minLength: 1, maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(1, 2, 16, 17, 127, 128, 129, 140), some, async (count, first) => {
      const values = Array.from({ length: count }, (_, i) => Uint8Array.from([...first, i & 255]))
      const trie = await createMPT()
      for (const [i, one] of values.entries()) await trie.put(toRlp(i === 0 ? '0x' : toHex(i), 'bytes'), one)
      expect(toHex(orderedRoot(values))).toBe(toHex(trie.root()))
    }),
    { numRuns: 8 },
  )
})

describe('receiptsRoot', () => {
  /** The root of a trie with one value: the leaf's key is rlp(0) = 0x80, whole. */
  const rootOfOne = (envelope: Hex) => keccak256(toRlp(['0x2080', envelope]))

  test('of no receipts is that of an empty trie', () => {
    expect([receiptsRoot([]), transactionsRoot([])]).toEqual([emptyRoot, emptyRoot])
  })

  test('takes the state root of before Byzantium where later receipts have a status', () => {
    const receipt = { root: block.stateRoot, status: null, cumulativeGasUsed: '0x5208', logs: [] }
    expect(receiptsRoot([receipt])).toBe(rootOfOne(toRlp([block.stateRoot as Hex, '0x5208', bloom, []])))
    expect(receiptsRoot([{ ...receipt, root: '0x', status: '0x0' }])).toBe(rootOfOne(toRlp(['0x', '0x5208', bloom, []])))
  })

  test.each(['0x1', '0x2', '0x3', '0x4', '0x7f'])('puts type %s before a receipt', (type) => {
    const receipt = { type, status: '0x1', cumulativeGasUsed: '0x5208', logs: [] }
    expect(receiptsRoot([receipt])).toBe(rootOfOne(concat([toHex(Number(type)), toRlp(['0x01', '0x5208', bloom, []])])))
  })

  test('leaves the nonce out of a deposit of before Canyon, which has no version', () => {
    const receipt = { type: '0x7e', status: '0x1', cumulativeGasUsed: '0x5208', logs: [], depositNonce: '0x7' }
    expect(receiptsRoot([receipt])).toBe(rootOfOne(concat(['0x7e', toRlp(['0x01', '0x5208', bloom, []])])))
    const later = concat(['0x7e', toRlp(['0x01', '0x5208', bloom, [], '0x07', '0x01'])])
    expect(receiptsRoot([{ ...receipt, depositReceiptVersion: '0x1' }])).toBe(rootOfOne(later))
  })
})

test('transactionsRoot takes every type, with and without the chain in a legacy signature', () => {
  const at = (i: number) => ({ blockHash: block.hash, blockNumber: block.number, transactionIndex: toHex(i) })
  const hash = keccak256('0x01')
  const address = `0x${'5'.repeat(40)}` as const
  const base = { nonce: '0x0', gasPrice: '0x9', gas: '0x5208', to: null, value: '0x0', input: '0x6001', r: '0x01', s: '0x2' }
  const fees = { ...base, chainId: '0x1', maxPriorityFeePerGas: '0x0', maxFeePerGas: '0x9', yParity: '0x1' }
  const accessList = [{ address, storageKeys: [hash] }]
  const access: [Hex, Hex[]][] = [[address, [hash]]]
  const authorizationList = [{ chainId: '0x0', address, nonce: '0x1', yParity: '0x0', r: '0x3', s: '0x4' }]
  const all: readonly [Recorded, Hex][] = [
    [{ ...base, v: '0x1b' }, toRlp(['0x', '0x09', '0x5208', '0x', '0x', '0x6001', '0x1b', '0x01', '0x02'])],
    [{ ...base, type: '0x0', v: '0x25', chainId: '0x1' }, toRlp(['0x', '0x09', '0x5208', '0x', '0x', '0x6001', '0x25', '0x01', '0x02'])],
    [
      { ...base, type: '0x1', chainId: '0x1', v: '0x1', accessList },
      concat(['0x01', toRlp(['0x01', '0x', '0x09', '0x5208', '0x', '0x', '0x6001', access, '0x01', '0x01', '0x02'])]),
    ],
    [
      { ...fees, type: '0x2', accessList: [] },
      concat(['0x02', toRlp(['0x01', '0x', '0x', '0x09', '0x5208', '0x', '0x', '0x6001', [], '0x01', '0x01', '0x02'])]),
    ],
    [
      { ...fees, type: '0x3', to: address, accessList, maxFeePerBlobGas: '0x3', blobVersionedHashes: [hash] },
      concat([
        '0x03',
        toRlp(['0x01', '0x', '0x', '0x09', '0x5208', address, '0x', '0x6001', access, '0x03', [hash], '0x01', '0x01', '0x02']),
      ]),
    ],
    [
      { ...fees, type: '0x4', to: address, accessList: [], authorizationList },
      concat([
        '0x04',
        toRlp([
          '0x01',
          '0x',
          '0x',
          '0x09',
          '0x5208',
          address,
          '0x',
          '0x6001',
          [],
          [['0x', address, '0x01', '0x', '0x03', '0x04']],
          '0x01',
          '0x01',
          '0x02',
        ]),
      ]),
    ],
  ]
  for (const [transaction, envelope] of all) {
    const given = { ...transaction, ...at(0), hash: keccak256(envelope) }
    const root = keccak256(toRlp(['0x2080', envelope]))
    expect(transactionsRoot([given]), String(transaction.type)).toBe(root)
  }
})

describe('a block that can not be rebuilt', () => {
  test('is told by what its header has or lacks, not as one that differs', () => {
    const { mixHash: _mixHash, sha3Uncles: _uncles, ...celo } = block
    expect(headerHash(celo)).toEqual({ rebuildable: 'no', reason: 'it has no sha3Uncles, mixHash, which a header of Ethereum would have' })
    const zk = { ...block, hash: block.parentHash, l1BatchNumber: '0x1', l1BatchTimestamp: null }
    const reason = 'it has l1BatchNumber, which no header of Ethereum has, and another hash than one without would have'
    expect(headerHash(zk)).toEqual({ rebuildable: 'no', reason })
    expect(checkBlock(zk, receipts)).toEqual({ rebuildable: 'no', reason })
  })

  test('is none when the hash is right in spite of further fields', () => {
    expect(headerHash({ ...block, l1BlockNumber: '0x1', milliTimestamp: '0x2' })).toBe(block.hash)
    expect(headerHash({ ...block, excessBlobGas: undefined })).toEqual({
      rebuildable: 'no',
      reason: expect.stringContaining('excessBlobGas'),
    })
  })

  test('has transactions or receipts of another type', () => {
    const strange = receipts.map((receipt, i) => (i === 5 ? { ...receipt, type: '0x7b' } : receipt))
    expect(checkBlock(block, strange)).toEqual({
      rebuildable: 'no',
      reason: "its receipt 5 is of type 0x7b, whose form is not Ethereum's",
    })
    expect(transactionsRoot([{ type: '0x64' }])).toEqual({
      rebuildable: 'no',
      reason: 'its transaction 0 is of type 0x64, whose form is not known',
    })
  })

  test('can be looked at for the places of its logs nevertheless', () => {
    const zk = { ...block, hash: block.parentHash }
    const moved = (of: Recorded): Recorded => ({ ...of, blockHash: block.parentHash })
    const there = receipts.map((receipt) => ({ ...moved(receipt), logs: (receipt.logs as Recorded[]).map(moved) }))
    expect(checkPlaces(zk, there)).toBeUndefined()
    expect(checkPlaces(zk, there.slice(1))).toEqual({ field: 'receipts', said: '5', computed: '6' })
    expect(checkPlaces(zk, receipts)).toEqual({ field: 'receipts[0].blockHash', said: block.hash, computed: block.parentHash })
  })
})

describe('a state sync of Polygon', () => {
  // keccak("matic-bor-receipt-" ++ 8 bytes of the number ++ hash), computed by viem.
  const hash = keccak256(concat([toHex('matic-bor-receipt-'), toHex(BigInt(block.number as string), { size: 8 }), block.hash as Hex]))
  const zero = `0x${'0'.repeat(40)}`
  const [log] = receipts[2]!.logs as Recorded[]
  const sync = {
    ...{ blockHash: block.hash, blockNumber: block.number, transactionHash: hash, transactionIndex: '0x6', from: zero, to: zero },
    ...{
      status: '0x1',
      type: '0x0',
      cumulativeGasUsed: '0x0',
      gasUsed: '0x0',
      logs: [{ ...log, transactionHash: hash, transactionIndex: '0x6', logIndex: '0x4' }],
    },
  }
  const withSync = { ...block, transactions: [...(block.transactions as Recorded[]), { ...sync, hash }] }

  test('is known by its hash, and left out of both roots', () => {
    expect(isStateSync(sync)).toBe(true)
    expect(isStateSync({ ...sync, transactionHash: block.hash })).toBe(false)
    expect(receiptsRoot([...receipts, sync])).toBe(block.receiptsRoot)
    expect(transactionsRoot(withSync.transactions)).toBe(block.transactionsRoot)
    expect(checkBlock(withSync, [...receipts, sync], withSync.transactions, { chainId: 137 })).toBeUndefined()
    // Some nodes list it among receipts only.
    expect(checkBlock(block, [...receipts, sync], undefined, { chainId: 137 })).toBeUndefined()
  })

  test('that the block lists and no receipt is of is missed', () => {
    expect(checkBlock(withSync, receipts, undefined, { chainId: 137 })).toEqual({ field: 'receipts', said: '6', computed: '7' })
  })

  test('can not smuggle logs into a block of another chain', () => {
    expect(checkBlock(withSync, [...receipts, sync], undefined, { chainId: 1 })).toMatchObject({ field: 'receiptsRoot' })
    expect(checkBlock(withSync, [...receipts, sync])).toBeDefined()
  })
})

test('RLP is the one of viem', () => {
  expect(toHex(encode([Uint8Array.of(1), [], new Uint8Array(60)]))).toBe(toRlp(['0x01', [], `0x${'0'.repeat(120)}`]))
})
