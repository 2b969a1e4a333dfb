import { expect, test } from 'vitest'
import { fakeChain, type FakeChain } from '../src/sandbox/index.js'
import { LedgerChanges } from '../src/warehouse/ledger-changes.js'
import { runInMemory } from './support/memory-run.js'
import { MemoryWarehouse } from './support/memory-warehouse.js'

const held = (warehouse: MemoryWarehouse) =>
  warehouse
    .rows('heads')
    .map(({ number, hash }) => [Number(number), hash])
    .sort(([a], [b]) => Number(a) - Number(b))
const canonical = (chain: FakeChain, from: number) =>
  Array.from({ length: Number(chain.head) - from + 1 }, (_, i) => [from + i, chain.block(from + i).hash])
const all = { to: 'head', confirmations: 0, request: { follow: true } } as const

test('reorgs of depth 1 to 12 while it follows, also right after each other: each is told once, and the rows are those of the chain', async () => {
  const chain = fakeChain({ seed: 8, blocks: 40 })
  const node = await chain.serve({ log: false })
  const warehouse = new MemoryWarehouse()
  const told: number[] = []
  const found: unknown[] = []
  const expected: unknown[] = []
  let depth = 0
  const { exitCode } = await runInMemory({
    ...{ ...all, node, warehouse },
    request: { follow: true, params: { from: '20' } },
    between: () => {
      found.push(held(warehouse))
      expected.push(canonical(chain, 20))
      if (depth === 12) return true
      chain.fork(++depth)
      return false
    },
    onEvent: (event) => event.type === 'reorg' && told.push(event.replaced),
  })
  await node.close()
  expect(exitCode).toBe(0)
  expect(found).toEqual(expected)
  expect(told).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
})

/** Cut off in a rewind: nothing of it is done or, where there are no transactions, its rows are gone and the ledger is as it was marked. */
class CutOff extends MemoryWarehouse {
  override readonly transactional: boolean
  cut = false
  constructor(transactional: boolean) {
    super()
    this.transactional = transactional
  }
  protected override async amendUnits(...[pipeline, changes, beside]: Parameters<MemoryWarehouse['amendUnits']>): Promise<number> {
    if (!this.cut || beside.deletes.length === 0) return super.amendUnits(pipeline, changes, beside)
    if (!this.transactional) await super.amendUnits(pipeline, new LedgerChanges(), beside)
    throw new Error('killed')
  }
}

test.each([true, false])('a rewind that is killed is done by the next run, transactional %s', async (transactional) => {
  const chain = fakeChain({ seed: 9, blocks: 30 })
  const node = await chain.serve({ log: false })
  const warehouse = new CutOff(transactional)
  const once = { ...all, node, warehouse, request: { params: { from: '10' } } }
  expect((await runInMemory(once)).exitCode).toBe(0)
  const before = held(warehouse)
  chain.fork(5)
  warehouse.cut = true
  await expect(runInMemory(once)).rejects.toThrow('killed')
  expect(held(warehouse)).toEqual(transactional ? before : before.slice(0, -5))
  warehouse.cut = false
  expect((await runInMemory(once)).exitCode).toBe(0)
  expect(held(warehouse)).toEqual(canonical(chain, 10))
  await node.close()
})
