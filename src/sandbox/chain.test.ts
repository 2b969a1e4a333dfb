import { keccak256, toHex } from 'viem'
import { expect, test } from 'vitest'
import { fakeChain } from './chain.js'
import type { FakeChain, FakeChainOptions, FakeLog } from './chain.js'

test('the same seed gives the same chain, another seed another', () => {
  const blocks = (chain: FakeChain): unknown[] =>
    Array.from({ length: 51 }, (_, n) => [chain.block(n), chain.miners.map((miner) => chain.balance(miner, n))])
  const one = fakeChain({ seed: 7, blocks: 50 })
  const two = fakeChain({ seed: 7 })
  two.add(20)
  two.add(30)
  expect(blocks(two)).toEqual(blocks(one))
  expect(fakeChain({ seed: 8, blocks: 50 }).block(50).hash).not.toBe(one.block(50).hash)
})

test('blocks follow one another 12 seconds apart by parent hash, and no two hashes are equal', () => {
  const chain = fakeChain({ blocks: 20_000 })
  const broken: bigint[] = []
  const hashes = new Set<string>([chain.block(0).hash])
  for (let n = 1n; n <= chain.head; n++) {
    const block = chain.block(n)
    if (block.parentHash !== chain.block(n - 1n).hash || block.timestamp !== 1_600_000_000n + 12n * n) broken.push(n)
    hashes.add(block.hash)
  }
  expect(broken).toEqual([])
  expect(hashes.size).toBe(20_001)
  expect(chain.block(0).parentHash).toBe('0x' + '0'.repeat(64))
})

test('a balance is its start plus rewards plus payouts, in wei, at every width up to 2^250', () => {
  const chain = fakeChain({ seed: 3, miners: 8, blocks: 400 })
  const replayed = replay(chain)
  expect(replayed).toEqual(Array.from({ length: 401 }, (_, n) => balancesAt(chain, n)))
  const falls = Array.from({ length: 400 }, (_, i) => i + 1).filter(
    (n) => chain.balance(chain.block(n).miner, n) < chain.balance(chain.block(n).miner, n - 1),
  )
  expect(falls.length).toBeGreaterThan(20)
  expect(chain.miners.map((miner) => chain.balance(miner, 0).toString(2).length)).toEqual([1, 53, 64, 65, 128, 129, 201, 251])
})

test('a balance can be 2^256-1 and stays there', () => {
  const miner = fakeChain({ miners: 1 }).miners[0]!
  const chain = fakeChain({ miners: 1, balances: { [miner]: 2n ** 256n - 1n }, blocks: 3 })
  expect(chain.balance(miner, 3)).toBe(2n ** 256n - 1n)
})

test('a fork replaces the blocks above it and nothing below', () => {
  const chain = fakeChain({ seed: 5, blocks: 30 })
  const old = fakeChain({ seed: 5, blocks: 30 })
  const orphan = chain.block(28).hash
  expect(chain.numberOf(orphan)).toBe(28n)
  chain.fork(4, 6)
  expect(chain.head).toBe(32n)
  for (let n = 0; n <= 26; n++) {
    expect(chain.block(n)).toEqual(old.block(n))
    expect(chain.miners.map((miner) => chain.balance(miner, n))).toEqual(old.miners.map((miner) => old.balance(miner, n)))
  }
  expect(chain.block(27).parentHash).toBe(old.block(26).hash)
  for (let n = 27; n <= 30; n++) expect(chain.block(n).hash).not.toBe(old.block(n).hash)
  expect(chain.numberOf(orphan)).toBeUndefined()
  expect(chain.numberOf(chain.block(28).hash)).toBe(28n)
  const second = chain.block(31).hash
  chain.fork(2)
  expect(chain.head).toBe(33n)
  expect(chain.block(31).hash).not.toBe(second)
  expect(chain.block(28).hash).not.toBe(old.block(28).hash)
  expect(replay(chain)).toEqual(Array.from({ length: 34 }, (_, n) => balancesAt(chain, n)))
})

test('a fork that is undone gives way to the very blocks that it replaced; each fork has times and transactions of its own', () => {
  const options: FakeChainOptions = {
    seed: 5,
    blocks: 30,
    timeOf: (block, fork) => block * 12 + fork,
    transactions: (block, fork) => (block + fork) % 3,
    costs: (_, index, fork) => ({ gas: 21_000 + index, price: BigInt(fork) }),
  }
  const [chain, old] = [fakeChain(options), fakeChain(options)]
  const all = (of: FakeChain) =>
    Array.from({ length: Number(of.head) + 1 }, (_, n) => [of.blockJson(BigInt(n), true), of.receiptsJson(BigInt(n)), balancesAt(of, n)])
  chain.fork(4, 6)
  const forked = all(chain)
  expect(chain.block(27).timestamp).toBe(27n * 12n + 1n)
  // One of them is the miner's payout.
  expect(JSON.parse(chain.receiptsJson(27n) ?? '')).toMatchObject([{ effectiveGasPrice: '0x1' }, { effectiveGasPrice: '0x1' }])
  chain.fork(9, 2)
  chain.add(3)
  chain.unfork()
  expect(all(chain)).toEqual(forked)
  chain.unfork()
  expect(all(chain)).toEqual(all(old))
  expect(() => chain.unfork()).toThrow('there was no fork')
})

test('logs carry their place in the block, receipts hold the same logs, and the bloom filter has their bits', () => {
  const token = '0x' + 'aa'.repeat(20)
  const topic = keccak256(toHex('Transfer(address,address,uint256)'))
  const logs = (block: bigint): readonly FakeLog[] =>
    block % 2n === 0n ? [] : Array.from({ length: 5 }, (_, i) => ({ address: token, topics: [topic], data: toHex(i, { size: 32 }) }))
  const chain = fakeChain({ blocks: 10, transactions: 2, logs })
  const any = { addresses: undefined, topics: [] }
  expect(chain.logsJson(4n, any)).toEqual([])
  const found = chain.logsJson(3n, any).map((text) => JSON.parse(text) as Record<string, unknown>)
  const inReceipts = (JSON.parse(chain.receiptsJson(3n)!) as { logs: unknown[]; transactionHash: string }[]).flatMap(
    (receipt) => receipt.logs,
  )
  expect(found).toEqual(inReceipts)
  expect(found.map((log) => log.logIndex)).toEqual(['0x0', '0x1', '0x2', '0x3', '0x4'])
  const block = JSON.parse(chain.blockJson(3n, false)!) as { hash: string; logsBloom: string; transactions: string[] }
  expect(found.every((log) => log.blockHash === block.hash && block.transactions.includes(log.transactionHash as string))).toBe(true)
  expect(setBits(block.logsBloom)).toEqual([...new Set([...bloomBits(token), ...bloomBits(topic)])].sort((a, b) => a - b))
  expect(setBits((JSON.parse(chain.blockJson(4n, false)!) as { logsBloom: string }).logsBloom)).toEqual([])
})

/** The miners' balances after every block, from the first ones, rewards and the value of transactions. */
function replay(chain: FakeChain): Record<string, bigint>[] {
  const all = [balancesAt(chain, 0)]
  for (let n = 1; n <= chain.head; n++) {
    const balances = { ...all.at(-1)! }
    const { miner, reward } = chain.block(n)
    balances[miner]! += reward
    const block = JSON.parse(chain.blockJson(BigInt(n), true)!) as { transactions: { from: string; to: string; value: string }[] }
    for (const { from, to, value } of block.transactions) {
      balances[from]! -= BigInt(value)
      balances[to]! += BigInt(value)
    }
    all.push(balances)
  }
  return all
}

function balancesAt(chain: FakeChain, n: number): Record<string, bigint> {
  return Object.fromEntries(chain.miners.map((miner) => [miner, chain.balance(miner, n)]))
}

// The Yellow Paper's definition, written down a second time: bits counted from the lowest of the 2,048.
function bloomBits(item: string): number[] {
  const hash = BigInt(keccak256(item as `0x${string}`))
  return [240n, 224n, 208n].map((shift) => Number((hash >> shift) & 2047n))
}

function setBits(bloom: string): number[] {
  const value = BigInt(bloom)
  return Array.from({ length: 2048 }, (_, bit) => bit).filter((bit) => (value >> BigInt(bit)) & 1n)
}
