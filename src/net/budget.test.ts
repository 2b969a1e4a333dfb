import { describe, expect, test } from 'vitest'
import { accountOf } from '../sdk/index.js'
import { Budgets, Credits } from './budget.js'

const account = (url: string, headers: Record<string, string> = {}) => accountOf({ url, headers })

describe('credits', () => {
  test('over any second no more are spent than one second has, and no fewer where work waits', () => {
    const credits = new Credits(330)
    const spent: { at: number; cost: number }[] = []
    const costs = [75, 20, 1, 255, 16, 330, 75]
    let now = 0
    for (let i = 0; now < 60_000; i++) {
      const cost = costs[i % costs.length]!
      now = credits.due(cost, now)
      expect(credits.due(cost, now)).toBe(now)
      credits.spend(cost, now)
      spent.push({ at: now, cost })
      now += i % 3
    }
    for (const { at } of spent) {
      const within = spent.filter((each) => each.at >= at && each.at < at + 1000)
      expect(within.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(330)
    }
    // Costs do not fit together without a rest: 772 of them go in three seconds.
    expect(spent.reduce((sum, { cost }) => sum + cost, 0)).toBeGreaterThan(60 * 330 * 0.75)
  })

  test('those who share an account come in turn: the one that wants most is not starved, and one that went away is not waited for', () => {
    const credits = new Credits(100)
    const names = ['dear', 'cheap', 'eager', 'gone']
    const sharers = new Map(names.map((name) => [name, { cost: name === 'dear' ? 80 : 20, went: 0 }]))
    for (let now = 0; now < 100_000; now += 5) {
      // The eager one always asks first.
      for (const name of ['eager', 'cheap', 'dear', ...(now < 10_000 ? ['gone'] : [])]) {
        const sharer = sharers.get(name)!
        if (credits.turn(sharer, sharer.cost, now) > now) continue
        credits.spend(sharer.cost, now)
        sharer.went++
      }
    }
    const went = (name: string) => sharers.get(name)!.went
    expect(Math.max(went('dear'), went('cheap'), went('eager')) - Math.min(went('dear'), went('cheap'), went('eager'))).toBeLessThan(5)
    expect(went('dear') * 80 + (went('cheap') + went('eager') + went('gone')) * 20).toBeGreaterThan(100 * 100 * 0.6)
  })
})

test('one key is one account over the chains of a provider; another key, and another provider, is another one', () => {
  const key = 'aB3secretkey9xZ'
  const alchemy = account(`https://eth-mainnet.g.alchemy.com/v2/${key}`)
  expect(account(`https://base-mainnet.g.alchemy.com/v2/${key}`)).toBe(alchemy)
  expect(account(`https://eth-mainnet.g.alchemy.com/v2/${key}x`)).not.toBe(alchemy)
  expect(account(`https://mainnet.infura.io/v2/${key}`)).not.toBe(alchemy)
  expect(account(`https://lb.drpc.org/ogrpc?network=ethereum&dkey=${key}`)).toBe(
    account(`https://lb.drpc.org/ogrpc?network=base&dkey=${key}`),
  )
  expect(account('https://rpc.one.example/eth', { 'x-api-key': key })).toBe(account('https://rpc.one.example/base', { 'x-api-key': key }))
  // Without a key the host counts.
  expect(account('https://rpc.one.example/eth')).not.toBe(account('https://rpc.two.example/eth'))
  expect(account(`http://127.0.0.1:1/${key}`)).not.toBe(account(`http://127.0.0.1:2/${key}`))
})

test('endpoints of one account spend the same credits, each by costs of its own', () => {
  const budgets = new Budgets()
  const of = (chain: string, costs: Record<string, number>) =>
    budgets.of({
      url: `https://${chain}.one.example/v2/aB3secretkey9xZ`,
      headers: {},
      budget: { creditsPerSecond: 100, costs, default: 1 },
    })!
  const one = of('eth', { eth_getLogs: 75 })
  const other = of('base', {})
  expect([one.of('eth_getLogs'), one.of('eth_call'), other.of('eth_getLogs')]).toEqual([75, 1, 1])
  one.spend(75, 0)
  expect([one.credits.free(0), other.credits.free(0), other.credits.free(1000)]).toEqual([25, 25, 100])
  expect(budgets.of({ url: 'https://eth.one.example', headers: {} })).toBe(undefined)
})
