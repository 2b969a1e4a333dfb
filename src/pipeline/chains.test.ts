import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { knownChains } from '../../scripts/generate-chains.js'
import { knownChain, knownChainNames, suggestChain } from './chains.js'

test('a chain is known by the names that people use', () => {
  const ids = [
    'ethereum',
    'mainnet',
    'Ethereum',
    'eth',
    'base',
    'polygon',
    'matic',
    'arbitrum',
    'arbitrum-one',
    'arbitrum_nova',
    'bnb',
    'bsc',
    'op',
    'optimism',
    'xdai',
    'flare',
    'anvil',
  ]
  expect(ids.map((name) => knownChain(name)?.id)).toEqual([1, 1, 1, 1, 8453, 137, 137, 42161, 42161, 42170, 56, 56, 10, 10, 100, 14, 31337])
})

test('what is known of Ethereum and Polygon', () => {
  expect(knownChain('mainnet')).toEqual({
    name: 'ethereum',
    id: 1,
    title: 'Ethereum',
    blockTimeMs: 12_000,
    confirmations: 10,
    multicall: '0xca11bde05977b3631167028862be2a173976ca11',
    currency: { symbol: 'ETH', decimals: 18 },
    testnet: false,
  })
  expect(knownChain('polygon')).toMatchObject({ id: 137, blockTimeMs: 2_000, confirmations: 64, currency: { symbol: 'POL', decimals: 18 } })
})

test('what is no chain is unknown, with the name that was meant', () => {
  expect(['nochain', '', '__proto__', 'constructor', 'toString'].map(knownChain)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ])
  expect(suggestChain('etherium')).toBe('did you mean "ethereum"?')
  expect(suggestChain('polygn')).toBe('did you mean "polygon"?')
})

test('every known name leads to its chain, each with what a plan needs', () => {
  const names = knownChainNames()
  expect(names.length).toBeGreaterThan(600)
  expect(new Set(names).size).toBe(names.length)
  for (const name of names) {
    const chain = knownChain(name)
    expect(chain).toMatchObject({ name })
    expect(Number.isSafeInteger(chain?.id) && (chain?.confirmations ?? 0) > 0 && (chain?.currency.symbol ?? '') !== '').toBe(true)
    expect(chain?.multicall ?? '0x0000000000000000000000000000000000000000').toMatch(/^0x[0-9a-f]{40}$/)
  }
})

test('thirty chains that are used most have a block time', () => {
  const main =
    'ethereum polygon arbitrum optimism base bsc avalanche gnosis zksync linea scroll blast mantle celo flare sei sonic berachain unichain worldchain zora mode metis moonbeam cronos fantom kava aurora monad ink abstract taiko ronin opBNB kaia'
  expect(main.split(' ').filter((name) => !knownChain(name)?.blockTimeMs)).toEqual([])
})

test('the committed list is what viem says', async () => {
  expect(await knownChains()).toBe(readFileSync(new URL('known-chains.json', import.meta.url), 'utf8'))
})
