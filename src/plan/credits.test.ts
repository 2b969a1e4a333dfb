import { expect, test } from 'vitest'
import type { Endpoint, EndpointBudget } from '../pipeline/pipeline.js'
import { creditsOf, sharedBudgets } from './credits.js'

const endpoint = (url: string, budget: EndpointBudget | undefined, priority = 1): Endpoint => ({
  ...{ url, budget, priority, headers: {} },
  ...{ maxWorkers: undefined, requestsPerSecond: undefined, maxBlockRange: undefined },
})
const budget = (creditsPerSecond: number, costs: Record<string, number>, other = 1) => ({ creditsPerSecond, costs, default: other })

test('calls cost what their methods cost, and take as long as the budgets of those that are asked first together', () => {
  const one = endpoint('https://one.example', budget(330, { eth_getLogs: 75 }, 20))
  const methods = { eth_getBlockByNumber: 1, eth_getLogs: 1 }
  // Half of 2,000 calls at 75, half at 20.
  expect(creditsOf(2_000, methods, [one])).toEqual({ credits: 95_000, perSecond: 330, seconds: 95_000 / 330 })
  expect(creditsOf(2_000, undefined, [one])).toEqual({ credits: 40_000, perSecond: 330, seconds: 40_000 / 330 })
  // Twice the budget at half the cost takes four times as many.
  const two = endpoint('https://two.example', budget(660, { eth_getLogs: 37.5 }, 10))
  expect(creditsOf(2_000, methods, [one, two])).toEqual({ credits: 400 * 47.5 + 1_600 * 23.75, perSecond: 990, seconds: 19_000 / 330 })
  // A fallback takes nothing of it, and one key has one budget however many URLs it has.
  const fallback = endpoint('https://three.example', budget(1, {}), 2)
  const same = ['https://a.one.example/aB3secretkey9xZ', 'https://b.one.example/aB3secretkey9xZ'].map((url) => endpoint(url, one.budget))
  expect(creditsOf(33, {}, [...same, fallback])).toEqual({ credits: 660, perSecond: 330, seconds: 2 })
})

test('what costs nothing takes no time, and nobody can tell where one that is asked first has no budget', () => {
  const free = endpoint('https://free.example', budget(10, { eth_chainId: 0 }))
  expect(creditsOf(1_000, { eth_chainId: 1 }, [free])).toEqual({ credits: 0, perSecond: 10, seconds: 0 })
  expect(creditsOf(0, {}, [free])).toEqual({ credits: 0, perSecond: 10, seconds: 0 })
  expect(creditsOf(10, {}, [free, endpoint('https://other.example', undefined)])).toBe(null)
  expect([creditsOf(undefined, {}, [free]), creditsOf(10, {}, [])]).toEqual([null, null])
})

test('steps of several chains that share a key add up: their credits, and the time that the one budget takes for all of them', () => {
  const key = 'aB3secretkey9xZ'
  const of = (host: string, own: EndpointBudget, priority?: number) => endpoint(`https://${host}/v2/${key}`, own, priority)
  const step = (id: string, chain: string, calls: number, endpoints: readonly Endpoint[]) => ({
    ...{ id, chain, endpoints },
    budget: creditsOf(calls, { eth_getLogs: 1 }, endpoints),
  })
  const own = budget(300, { eth_getLogs: 60 })
  const elsewhere = endpoint('https://base.two.example/', budget(100, { eth_getLogs: 10 }))
  const steps = [
    step('eth-logs', 'ethereum', 100, [of('eth.one.example', own), of('eth-fallback.two.example', budget(1, {}), 2)]),
    // Of 150 calls 50 go to the key, and 100 to the other endpoint, in ten seconds.
    step('base-logs', 'base', 150, [of('base.one.example', own), elsewhere]),
    step('base-nothing', 'base', 0, [of('base.one.example', own)]),
    step('alone', 'base', 10, [endpoint('https://alone.example/', own)]),
    step('unknown', 'base', 10, [endpoint('https://none.example/', undefined)]),
  ]
  const shared = sharedBudgets(steps)
  expect(shared).toEqual([
    {
      provider: 'one.example',
      chains: ['ethereum', 'base'],
      steps: ['eth-logs', 'base-logs'],
      credits: 9_000,
      perSecond: 300,
      seconds: 30,
    },
  ])
  expect(JSON.stringify(shared)).not.toContain(key)
})
