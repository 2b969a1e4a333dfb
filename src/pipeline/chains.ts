import { readFileSync } from 'node:fs'
import { didYouMean } from '../sdk/index.js'
// Only so that the compiler copies the file beside this one.
import type chains from './known-chains.json'

/** What is known of a public chain without asking anybody. Written by scripts/generate-chains.ts from viem. */
export interface KnownChain {
  /** As in `chains:`; `ethereum` for viem's `mainnet`. */
  readonly name: string
  readonly id: number
  /** For people: `Ethereum`. */
  readonly title: string
  /** Average milliseconds between blocks; undefined when unknown, and then a file has to state it where it matters. */
  readonly blockTimeMs: number | undefined
  /** Blocks behind the head that are taken as final. */
  readonly confirmations: number
  /** Address of multicall3, lower case. */
  readonly multicall: string | undefined
  readonly currency: { readonly symbol: string; readonly decimals: number }
  readonly testnet: boolean
}

/** What people write, and the name in viem. */
const ALIASES: Readonly<Record<string, string>> = {
  arbitrumone: 'arbitrum',
  avax: 'avalanche',
  avalanchecchain: 'avalanche',
  binance: 'bsc',
  bnb: 'bsc',
  bnbchain: 'bsc',
  bnbsmartchain: 'bsc',
  eth: 'mainnet',
  ethereum: 'mainnet',
  ethereummainnet: 'mainnet',
  ethereumclassic: 'classic',
  hyperevm: 'hyperEvm',
  hyperliquidevm: 'hyperEvm',
  matic: 'polygon',
  op: 'optimism',
  opmainnet: 'optimism',
  polygonpos: 'polygon',
  ftm: 'fantom',
  xdai: 'gnosis',
  zksyncera: 'zksync',
}

const CONFIRMATIONS = 10

type Row = readonly [
  key: string,
  id: number,
  title: string,
  blockTimeMs: number,
  confirmations: number,
  multicall: string,
  symbol: string,
  decimals: number,
  testnet: number,
]

interface Index {
  readonly names: readonly string[]
  readonly byName: ReadonlyMap<string, Row>
}

let loaded: Index | undefined

/** The chain of a name, whatever its case and dashes: `ethereum`, `mainnet`, `arbitrum-nova`, `bnb`. */
export function knownChain(name: string): KnownChain | undefined {
  const { byName } = index()
  const plain = plainName(name)
  const row = byName.get(plainName(Object.hasOwn(ALIASES, plain) ? (ALIASES[plain] ?? plain) : plain))
  return row && chainOf(row)
}

/** Every name in `chains:` that is known, sorted; `ethereum` in the place of `mainnet`. */
export function knownChainNames(): readonly string[] {
  return index().names
}

/** A hint for a name that is not known. */
export function suggestChain(name: string): string | undefined {
  return didYouMean(name, [...knownChainNames(), ...Object.keys(ALIASES)])
}

// Read when first asked for, once: most pipelines name two chains, and `pipe --help` none.
function index(): Index {
  if (loaded) return loaded
  // Written by our own generator, checked by its test.
  const rows = JSON.parse(
    readFileSync(new URL('../pipeline/known-chains.json', import.meta.url), 'utf8'),
  ) as typeof chains as unknown as readonly Row[]
  loaded = { names: rows.map(([key]) => nameOf(key)).sort(), byName: new Map(rows.map((row) => [plainName(row[0]), row])) }
  return loaded
}

function chainOf([key, id, title, blockTimeMs, confirmations, multicall, symbol, decimals, testnet]: Row): KnownChain {
  return {
    name: nameOf(key),
    id,
    title,
    blockTimeMs: blockTimeMs || undefined,
    confirmations: confirmations || CONFIRMATIONS,
    multicall: multicall || undefined,
    currency: { symbol, decimals },
    testnet: testnet === 1,
  }
}

function nameOf(key: string): string {
  return key === 'mainnet' ? 'ethereum' : key
}

function plainName(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '')
}
