import { expect, test } from 'vitest'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { fastClock, honest, respond, startNode } from '../rpc/fixtures/fake-node.js'
import { emptyStore } from '../state/empty.js'
import { openWarehouse } from '../warehouse/open.js'
import { endpointAt, openChains } from './chains.js'

/** Chains named one and other at a node. */
async function world(endpoint: Partial<ReturnType<typeof endpointAt>> = {}) {
  const clock = fastClock(10)
  const node = await startNode(clock)
  const warehouse = await openWarehouse('duckdb::memory:?threads=1', { mode: 'write' })
  await warehouse.prepare([])
  const chain = (name: string) => ({
    ...{ name, id: 1, blockTimeMs: 1000, confirmations: 0, multicall: undefined, about: {} },
    endpoints: [{ ...endpointAt(`${node.url}/${name}`), ...endpoint }],
  })
  const chains = openChains({
    // Of a pipeline it takes the chains alone.
    pipeline: { chains: new Map(['one', 'other'].map((name) => [name, chain(name)])) } as unknown as Pipeline,
    ...{ warehouse, state: emptyStore, surroundings: { clock, random: () => 0.5, env: {} }, signal: new AbortController().signal },
    ...{ emit: () => undefined, remember: undefined },
  })
  return { node, chains, close: () => Promise.all([chains.close(), warehouse.close(), node.close()]) }
}

test('endpoints of one key share one budget over all chains of a run', async () => {
  const { node, chains, close } = await world({ budget: { creditsPerSecond: 2, costs: {}, default: 1 } })
  try {
    expect(await Promise.all([chains.head('one'), chains.head('other')])).toEqual([1_000_000n, 1_000_000n])
    const came = [...node.checks, ...node.requests].map(({ at }) => at).sort((a, b) => a - b)
    expect(came.length).toBeGreaterThanOrEqual(4)
    // Two a second for both together: by itself each chain would have had them in half the time.
    expect(came.at(-1)! - came[0]!).toBeGreaterThan((Math.ceil(came.length / 2) - 1) * 1_000 - 400)
  } finally {
    await close()
  }
})

test('a step that was told how much to ask at once keeps to it, be it before its first call', async () => {
  const { node, chains, close } = await world()
  let [under, most] = [0, 0]
  node.intercept = ({ calls }, response) => {
    most = Math.max(most, ++under)
    setTimeout(() => {
      under--
      respond(
        response,
        calls.map((call) => ({ id: call.id, ...honest(call) })),
      )
    }, 5)
  }
  // Of a step it takes its name, its chain, and what its type says of requests.
  const step = { id: 's', chain: 'one', retry: { attempts: 1, waitMs: 1, maxWaitMs: 1 }, definition: { rpc: () => ({ batch: 1 }) } }
  const calls = Array.from({ length: 12 }, (_, i) => ({ method: 'eth_getBalance', params: ['0xaa', `0x${i}`] }))
  const ask = () => chains.lane(step as unknown as Step, {}).batch(calls, { signal: new AbortController().signal })
  try {
    chains.bound('s', 2)
    await ask()
    expect(most).toBe(2)
    most = 0
    chains.bound('s', 4)
    await ask()
    expect(most).toBe(4)
  } finally {
    await close()
  }
})
