import { expect, test } from 'vitest'
import { dataFolder, loadMainnet } from './mainnet.js'

test.skipIf(!dataFolder)('the replayed node gives the balances that 8,191 state roots prove', () => {
  const { chain, expected } = loadMainnet(dataFolder!)
  expect(chain.head).toBe(8191n)
  const replayed = expected.map(({ number }) => {
    const block = JSON.parse(chain.blockJson(number, false)!) as { hash: string; parentHash: string; timestamp: string; miner: string }
    const [balanceBefore, balanceAfter] = [chain.balance(block.miner, number - 1n), chain.balance(block.miner, number)]
    const { hash, parentHash, miner } = block
    return {
      number,
      hash,
      parentHash,
      timestamp: BigInt(block.timestamp),
      miner,
      balanceBefore,
      balanceAfter,
      balanceIncrease: balanceAfter - balanceBefore,
    }
  })
  expect(replayed).toEqual(expected)
  expect(new Set(expected.map((row) => row.balanceIncrease)).size).toBeGreaterThan(5)
})
