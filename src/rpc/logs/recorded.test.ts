import { afterEach, describe, expect, test } from 'vitest'
import { dataFolder } from '../../../test/support/mainnet.js'
import { mainnetBlocks, type Recorded } from '../../../test/support/recorded-blocks.js'
import { type FakeEndpoint, type Fault, recordedChain } from '../../sandbox/index.js'
import { endpoint, fastClock, openPool } from '../fixtures/fake-node.js'
import { collect } from '../fixtures/log-world.js'
import type { ChainRpc } from '../pool.js'

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((each) => each.close()))
})

const NUMBER = 15_537_394n

describe.skipIf(!dataFolder)('a real block with 10,041 logs (recorded data, skipped without it)', () => {
  const recorded = dataFolder ? mainnetBlocks().find(({ block }) => BigInt(block.number as string) === NUMBER)! : undefined
  const world = async (faults: readonly Fault[]): Promise<{ readonly node: FakeEndpoint; readonly rpc: ChainRpc }> => {
    const { block, receipts } = recorded!
    const chain = recordedChain({
      blocks: [JSON.stringify(block)],
      balanceAt: () => 0n,
      receiptsOf: (number) => (number === NUMBER ? (receipts as never) : undefined),
    })
    const node = await chain.serve({ faults })
    const { rpc } = openPool([endpoint(node)], fastClock(200))
    open.push(node, rpc)
    return { node, rpc }
  }

  test('is read whole and proved where an endpoint gives 10,000 of them as if they were all', async () => {
    const { node, rpc } = await world([{ kind: 'log-cap', max: 10_000, silent: true }])
    const lane = rpc.forStep({ id: 'step', attempts: 2, waitMs: 100, maxWaitMs: 1_000 })
    const { signal } = new AbortController()
    const { logs, pages, error } = await collect(
      lane.logs({ addresses: [], topics: [] }, { from: NUMBER, to: NUMBER, verify: 'proof', signal }),
    )
    expect(error).toBeUndefined()
    const all = recorded!.receipts.flatMap((receipt) => receipt.logs as readonly Recorded[])
    expect(logs.map((log) => [log.logIndex, log.address, log.data, log.topics])).toEqual(
      all.map((log) => [Number(log.logIndex), log.address, log.data, log.topics]),
    )
    expect(pages.map(({ evidence }) => evidence)).toEqual([{ logs: 10_041, verified: 'proof', headers: 1, receipts: 1 }])
    expect(node.count('eth_getBlockReceipts')).toBe(2)
  })
})
