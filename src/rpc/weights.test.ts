import { describe, expect, test } from 'vitest'
import { ENDPOINT_BYTES, kindOf, Weights } from './weights.js'

const ask = (...methods: readonly string[]) => methods.map((method) => ({ method, params: [] }))

/** The weights after requests, each with its methods and the bytes of its answers. */
function after(...requests: readonly (readonly [methods: readonly string[], bytes: number])[]): Weights {
  const weights = new Weights()
  for (const [methods, bytes] of requests) {
    const calls = ask(...methods)
    weights.answered(calls.length, (i) => calls[i]!, bytes)
  }
  return weights
}

describe('the weight of an answer', () => {
  test('is nothing while none has come', () => {
    expect(new Weights().sum(ask('eth_getLogs', 'eth_chainId'))).toBe(0)
  })

  test('that holds what is in a block is as much as may be under way, until one has come', () => {
    const full = { method: 'eth_getBlockByNumber', params: ['0x1', true] }
    const listed = { method: 'eth_getBlockByNumber', params: ['0x1', false] }
    const weights = new Weights()
    const seen = () => [full, listed, ...ask('eth_getBlockReceipts')].map((call) => weights.of(kindOf(call)))
    expect(seen()).toEqual([ENDPOINT_BYTES, 0, ENDPOINT_BYTES])
    for (const [call, bytes] of [
      [full, 30_000_000],
      [listed, 3_000_000],
    ] as const)
      weights.answered(1, () => call, bytes)
    expect(seen()).toEqual([30_000_000, 3_000_000, ENDPOINT_BYTES])
  })

  test('is one of each method: heavy logs make no header heavy', () => {
    const weights = after([['eth_getLogs'], 3_000_000], [['header', 'header'], 4_000])
    expect([weights.of('eth_getLogs'), weights.of('header'), weights.sum(ask('header', 'eth_getLogs', 'header'))]).toEqual([
      3_000_000, 2_000, 3_004_000,
    ])
  })

  test('goes up at once and down slowly', () => {
    expect(after([['block'], 1_000], [['block'], 50_000]).of('block')).toBe(50_000)
    expect(after([['block'], 50_000], [['block'], 1_000]).of('block')).toBe(50_000 * 0.98 + 1_000 * 0.02)
  })

  test('of a method that never came alone is its share, until it does', () => {
    const both = [['logs', 'header', 'header'], 3_000] as const
    expect([after(both).of('logs'), after(both).of('header')]).toEqual([1_000, 1_000])
    const told = after(both, [['header', 'header'], 200])
    expect([told.of('logs'), told.of('header')]).toEqual([1_000, 100])
    // What the headers do not weigh is of the logs.
    expect(after(both, [['header', 'header'], 200], both).of('logs')).toBe(2_800)
  })

  test('of several known ones, what is more than thought is of the heaviest', () => {
    const weights = after([['logs'], 1_000], [['header'], 10], [['logs', 'header', 'header'], 5_020])
    expect([weights.of('logs'), weights.of('header')]).toEqual([5_000, 10])
  })
})
