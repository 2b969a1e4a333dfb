import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test, vi } from 'vitest'
import { fakeChain } from '../src/sandbox/index.js'
import type { RunFact } from '../src/sdk/index.js'
import { runInMemory } from './support/memory-run.js'
import { MemoryWarehouse } from './support/memory-warehouse.js'

/** A day has 43,200. More for a longer look, with figures, which are held to what they were at first: `npm run loop:follow`. */
const LONG = process.env.PIPE_TEST_ROUNDS !== undefined
const ROUNDS = Number(process.env.PIPE_TEST_ROUNDS ?? 150)
/** So many blocks are there at once, half-way. */
const JUMP = 10_000
vi.setConfig({ testTimeout: 120_000 + 40 * ROUNDS })

/** What is held after everything was let go that can be. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
  return process.memoryUsage().heapUsed
}

test('a day of following leaves few ledger rows, each look at the head is one request, a jump of the head is read in wide units, and none of it grows', async () => {
  const chain = fakeChain({ seed: 5, blocks: 100, blockTime: 2 })
  const node = await chain.serve({ log: false })
  const warehouse = new MemoryWarehouse()
  const figures: { readonly cpu: number; readonly rss: number; readonly heap: number }[] = []
  const facts = new Map<RunFact['type'], number>()
  const jump = { widest: 0, behind: 0 }
  let waits = 0
  const { exitCode, view } = await runInMemory({
    node,
    warehouse,
    request: { follow: true },
    // Every other look finds a block.
    between: (wait) => {
      waits = wait
      if (wait % 2 === 0) chain.add(wait === ROUNDS - (ROUNDS % 2) ? JUMP : 1)
      if (wait % Math.ceil(ROUNDS / 4) === 0)
        figures.push({ cpu: process.cpuUsage().user, rss: process.memoryUsage().rss, heap: heapUsed() })
      return wait >= 2 * ROUNDS
    },
    onEvent: (event) => {
      facts.set(event.type, (facts.get(event.type) ?? 0) + 1)
      if (event.type === 'lag') jump.behind = Math.max(jump.behind, event.behind)
      if (event.type === 'unit:started') jump.widest = Math.max(jump.widest, event.size ?? 0)
    },
  })
  await node.close()

  const units = await warehouse.units('day', 'heads')
  if (LONG) {
    const eighths = figures.map(({ cpu, rss, heap }, i) => ({
      cpu: (cpu - (figures[i - 1]?.cpu ?? 0)) / 1000,
      rss: rss / 1e6,
      heap: heap / 1e6,
    }))
    const words = (figure: 'cpu' | 'rss' | 'heap') => eighths.map((each) => Math.round(each[figure])).join(' ')
    process.stderr.write(
      `${ROUNDS} rounds: ${units.length} ledger rows, ${node.totals.requests} requests, by eighths cpu ms ${words('cpu')}, rss MB ${words('rss')}, heap MB ${words('heap')}\n`,
    )
    // The first one has the starting in it. Of the heap, rows that the warehouse holds may be more; of the processor's time, what other
    // processes take of its caches. RSS is what the collector has not given back yet, and only shown.
    const [second, last] = [eighths[1], eighths.at(-1)]
    expect(last?.heap).toBeLessThan(1.25 * (second?.heap ?? 0) + 10)
    expect(last?.cpu).toBeLessThan(1.5 * (second?.cpu ?? 0))
  }

  expect(exitCode).toBe(0)
  const rows = warehouse
    .rows('heads')
    .map(({ number }) => Number(number))
    .sort((a, b) => a - b)
  expect(rows).toEqual(Array.from({ length: rows.length }, (_, i) => 90 + i))
  expect(rows.length).toBeGreaterThanOrEqual(ROUNDS + JUMP - 1)
  expect([jump.behind, jump.widest]).toEqual([JUMP + 10, 1_000])
  // 64 blocks and the confirmations keep rows of their own.
  expect(units.length).toBeLessThan(120)
  // One for each wait; a round that reads a block asks for nothing else beside it, and the one before, which says that it follows.
  // On a machine that does other things a round may last as long as a block, and then nothing is waited for.
  expect(node.count('eth_blockNumber')).toBeLessThanOrEqual(1.05 * waits + 4)
  expect(facts.get('round:started')).toBeLessThanOrEqual(ROUNDS + 1)
  expect(JSON.stringify(view).length).toBeLessThan(10_000)
})
