import { expect, test } from 'vitest'
import type { Pipeline } from '../pipeline/pipeline.js'
import { fastClock, startNode } from '../rpc/fixtures/fake-node.js'
import { emptyStore } from '../state/empty.js'
import { openWarehouse } from '../warehouse/open.js'
import { endpointAt, openChains } from './chains.js'

test('endpoints of one key share one budget over all chains of a run', async () => {
  const clock = fastClock(10)
  const node = await startNode(clock)
  const warehouse = await openWarehouse('duckdb::memory:?threads=1', { mode: 'write' })
  await warehouse.prepare([])
  const budget = { creditsPerSecond: 2, costs: {}, default: 1 }
  const chain = (name: string) => ({
    ...{ name, id: 1, blockTimeMs: 1000, confirmations: 0, multicall: undefined, about: {} },
    endpoints: [{ ...endpointAt(`${node.url}/${name}`), budget }],
  })
  const chains = openChains({
    // Of a pipeline it takes the chains alone.
    pipeline: { chains: new Map(['one', 'other'].map((name) => [name, chain(name)])) } as unknown as Pipeline,
    ...{ warehouse, state: emptyStore, surroundings: { clock, random: () => 0.5, env: {} }, signal: new AbortController().signal },
    ...{ emit: () => undefined, remember: undefined },
  })
  try {
    expect(await Promise.all([chains.head('one'), chains.head('other')])).toEqual([1_000_000n, 1_000_000n])
    const came = [...node.checks, ...node.requests].map(({ at }) => at).sort((a, b) => a - b)
    expect(came.length).toBeGreaterThanOrEqual(4)
    // Two a second for both together: by itself each chain would have had them in half the time.
    expect(came.at(-1)! - came[0]!).toBeGreaterThan((Math.ceil(came.length / 2) - 1) * 1_000 - 400)
  } finally {
    await Promise.all([chains.close(), warehouse.close(), node.close()])
  }
})
