// Writes src/pipeline/known-chains.json from viem's chains: npx tsx scripts/generate-chains.ts
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { format } from 'prettier'
import * as chains from 'viem/chains'

/** Milliseconds between blocks where viem gives none. Averages of the network, rounded; used for estimates only. */
const BLOCK_TIMES: Readonly<Record<string, number>> = {
  anvil: 1_000,
  arbitrumNova: 250,
  astar: 6_000,
  aurora: 1_000,
  boba: 2_000,
  canto: 6_000,
  citrea: 2_000,
  classic: 13_000,
  confluxESpace: 1_000,
  coreDao: 3_000,
  cronos: 500,
  cronoszkEVM: 1_000,
  fantom: 1_000,
  filecoin: 30_000,
  flare: 1_800,
  fuse: 5_000,
  goat: 3_000,
  gravity: 1_000,
  harmonyOne: 2_000,
  hardhat: 1_000,
  hedera: 2_000,
  hyperEvm: 1_000,
  immutableZkEvm: 2_000,
  injective: 650,
  iota: 1_000,
  iotex: 2_500,
  kaia: 1_000,
  kava: 6_000,
  klaytn: 1_000,
  lens: 1_000,
  lukso: 12_000,
  manta: 10_000,
  mantle: 2_000,
  metis: 4_000,
  moonbeam: 6_000,
  moonriver: 6_000,
  morph: 1_000,
  near: 1_000,
  oasys: 6_000,
  opBNB: 250,
  plume: 400,
  plumeMainnet: 400,
  polygonZkEvm: 3_000,
  pulsechain: 10_000,
  ronin: 3_000,
  rootstock: 25_000,
  sapphire: 6_000,
  sei: 400,
  shibarium: 5_000,
  songbird: 1_800,
  story: 2_300,
  superposition: 250,
  syscoin: 150_000,
  taiko: 12_000,
  telos: 500,
  thunderCore: 1_000,
  vechain: 10_000,
  wanchain: 5_000,
  xdc: 2_000,
  xrplevm: 4_000,
  zetachain: 4_000,
  zilliqa: 1_000,
}

/** Blocks behind the head that are taken as final where reorgs reach further than the default of 10. */
const CONFIRMATIONS: Readonly<Record<string, number>> = { polygon: 64, bsc: 15, classic: 100, rootstock: 30, filecoin: 30 }

/** The file as it should be. */
export function knownChains(): Promise<string> {
  // viem still exports a few chains under an older name that differs in case only.
  const known = [...new Map(Object.entries(chains).map(([key, chain]) => [key.toLowerCase(), { key, chain }])).values()]
    .flatMap(({ key, chain }) => (typeof chain === 'object' && 'id' in chain && 'nativeCurrency' in chain ? [{ key, chain }] : []))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ key, chain }) => [
      key,
      chain.id,
      chain.name,
      chain.blockTime ?? BLOCK_TIMES[key] ?? 0,
      CONFIRMATIONS[key] ?? 0,
      chain.contracts && 'multicall3' in chain.contracts ? (chain.contracts.multicall3?.address ?? '').toLowerCase() : '',
      chain.nativeCurrency.symbol,
      chain.nativeCurrency.decimals,
      chain.testnet ? 1 : 0,
    ])
  return format(JSON.stringify(known), { parser: 'json', printWidth: 140 })
}

// A test imports this module to compare.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL('../src/pipeline/known-chains.json', import.meta.url), await knownChains())
}
