import { describe, expect, test } from 'vitest'
import { accountOf } from './account.js'

const account = (url: string, headers: Readonly<Record<string, string>> = {}) => accountOf({ url, headers })

// Made up, in the forms that providers give them.
const hex32 = '7f3b9c1d2e4a5f60718293a4b5c6d7e8'
const hex40 = `${hex32}0a1b2c3d`
const hex64 = hex32 + hex32.split('').reverse().join('')
const uuid = '3f2a9c1b-7d4e-4b6a-9c8d-1e2f3a4b5c6d'
const base62 = 'Zx9-kQw2_LmN4pRt6vYb8cDf0gHj1sAa'
const letters = 'qWeRtYuIoPaSdFgHjKlZ'

describe('one key is one account over the chains of a provider, in whatever form they stand', () => {
  test.each<[provider: string, key: string, urls: readonly string[]]>([
    [
      'Alchemy',
      base62,
      [
        `https://eth-mainnet.g.alchemy.com/v2/${base62}`,
        `https://arb-sepolia.g.alchemy.com/v2/${base62}`,
        `wss://base-mainnet.g.alchemy.com/v2/${base62}`,
      ],
    ],
    [
      'Infura',
      hex32,
      [`https://mainnet.infura.io/v3/${hex32}`, `https://linea-sepolia.infura.io/v3/${hex32}`, `wss://mainnet.infura.io/ws/v3/${hex32}`],
    ],
    [
      'QuickNode',
      hex40,
      [
        `https://cool-old-moon.quiknode.pro/${hex40}/`,
        `https://cool-old-moon.arbitrum-sepolia.quiknode.pro/${hex40}`,
        `https://cool-old-moon.avalanche-mainnet.quiknode.pro/${hex40}/ext/bc/C/rpc/`,
      ],
    ],
    [
      'Ankr',
      hex64,
      ['eth', 'arbitrum_sepolia', 'polygon_zkevm_cardona', 'bsc_testnet_chapel', 'scroll_sepolia_testnet', 'zksync_era', 'xdai'].map(
        (chain) => `https://rpc.ankr.com/${chain}/${hex64}`,
      ),
    ],
    [
      'dRPC, key in the query',
      base62,
      ['ethereum', 'optimism-sepolia', 'polygon-zkevm-cardona', 'bsc56'].map(
        (chain) => `https://lb.drpc.org/ogrpc?network=${chain}&dkey=${base62}`,
      ),
    ],
    [
      'dRPC, key in the path',
      base62,
      ['ethereum', 'arbitrum-sepolia', 'zksync-sepolia'].map((chain) => `https://lb.drpc.live/${chain}/${base62}`),
    ],
    ['Blast', uuid, [`https://eth-mainnet.blastapi.io/${uuid}`, `https://ava-mainnet.blastapi.io/${uuid}/ext/bc/C/rpc`]],
    [
      'Chainstack',
      hex32,
      [`https://ethereum-mainnet.core.chainstack.com/${hex32}`, `https://arbitrum-sepolia.core.chainstack.com/${hex32}`],
    ],
    ['GetBlock', hex32, [`https://go.getblock.io/${hex32}`, `wss://go.getblock.io/${hex32}`]],
    [
      'GetBlock, chain in the path',
      uuid,
      [`https://eth.getblock.io/${uuid}/mainnet/`, `https://arb.getblock.io/${uuid}/testnet-sepolia-jsonrpc/`],
    ],
    ['Tenderly', letters, [`https://mainnet.gateway.tenderly.co/${letters}`, `https://arbitrum-sepolia.gateway.tenderly.co/${letters}`]],
    ['1RPC', base62, ['eth', 'zksync2-era', 'avax/c'].map((chain) => `https://1rpc.io/${base62}/${chain}`)],
    ['PublicNode', hex64, [`https://ethereum-rpc.publicnode.com/${hex64}`, `https://arbitrum-sepolia-rpc.publicnode.com/${hex64}`]],
    ['Moralis', hex32, [`https://site1.moralis-nodes.com/eth/${hex32}`, `https://site2.moralis-nodes.com/arbitrum-sepolia/${hex32}`]],
    [
      'a key named in the query',
      'shortkey',
      ['ethereum-sepolia-beacon', '8453'].map((chain) => `https://rpc.one.example/${chain}?apikey=shortkey`),
    ],
    ['a login', 'user:pass', ['one', 'two'].map((chain) => `https://user:pass@${chain}.nodes.example/`)],
  ])('%s', (_, key, urls) => {
    const accounts = urls.map((url) => account(url))
    expect(new Set(accounts).size).toBe(1)
    expect(accounts[0]).toMatch(/^[\w.-]+ /)
    expect(accounts[0]?.split(' ').slice(1)).toEqual([key])
    // Another key is another account.
    const other = urls.map((url) =>
      account(
        url.replace(
          key,
          key.replace(/.$/, (last) => (last === '1' ? '2' : '1')),
        ),
      ),
    )
    expect([...new Set(other)]).toHaveLength(1)
    expect(other).not.toContain(accounts[0])
  })

  test.each([
    ['x-api-key', hex32],
    ['Authorization', `Bearer ${letters}`],
    ['x-token', 'shortkey'],
  ])('a key in the header %s', (name, value) => {
    const of = (chain: string, key = value) =>
      account(`https://rpc.one.example/${chain}`, { [name]: key, 'user-agent': `${chain}-backfill/1.0` })
    expect(of('arbitrum_sepolia')).toBe(of('ethereum-sepolia-beacon'))
    expect(of('eth', `${value}2`)).not.toBe(of('eth'))
  })
})

test('without a key the host counts: a chain in the path, a version or a method of reaching it is none', () => {
  for (const path of [
    'eth',
    'arbitrum_sepolia',
    'polygon_zkevm_cardona',
    'v3',
    'ext/bc/C/rpc',
    'optimism-sepolia/rpc',
    '42161',
    'base8453',
    'jsonrpc',
    '',
  ])
    expect(account(`https://rpc.one.example/${path}`)).toBe('rpc.one.example')
  expect(account('https://1rpc.io/zksync2-era')).toBe('1rpc.io')
  expect(account('https://lb.drpc.org/ogrpc?network=optimism-sepolia')).toBe('lb.drpc.org')
  expect(account('http://127.0.0.1:8545/arbitrum_sepolia', { 'content-type': 'application/json' })).toBe('127.0.0.1:8545')
})
