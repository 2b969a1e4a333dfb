import { type Amounts, amountsOf, sqrtPriceAtTick } from './liquidity.js'

/**
 * The world of `pipelines/enrichment.yaml --demo`: four pools on a chain like Flare, positions in them, and what happened to them in
 * December 2025. The tables of it are the sample data of the migration, its contracts are those of the demo's chain.
 */

/** Its last moment, in milliseconds UTC. */
export const ENRICHMENT_NOW = Date.UTC(2026, 0, 1)

export interface Pool {
  readonly address: string
  readonly token0: Token
  readonly token1: Token
  /** Hundredths of a basis point. */
  readonly fee: number
  readonly spacing: number
  readonly tick: number
  readonly sqrtPrice: bigint
  readonly tvlUsd: number
  readonly incentive: number | undefined
}

export interface Position {
  readonly id: bigint
  readonly owner: string
  readonly pool: Pool
  readonly lower: number
  readonly upper: number
  readonly liquidity: bigint
  /** What `collect` would pay out now: fees, and what was taken out of the pool and not collected yet. */
  readonly owed: Amounts
  /** Its token is destroyed: the contract knows it no more. */
  readonly burnt: boolean
  readonly events: readonly PositionEvent[]
}

export interface PositionEvent {
  readonly type: 'INCREASE' | 'DECREASE' | 'COLLECT'
  /** Milliseconds UTC. */
  readonly time: number
  readonly amounts: Amounts
}

interface Token {
  readonly address: string
  readonly decimals: number
  /** Dollars now, and by how much of that it rises a day. */
  readonly usd: number
  readonly rise: number
}

const DAY = 86_400_000
/** Of wallets, tokens and pools. */
export const address = (i: number) => `0x${(BigInt(i) * 0x1_0000_0001_0000_0001_0000_0001n).toString(16).padStart(40, '0')}`

const flr: Token = { address: address(0xf1), decimals: 18, usd: 0.02, rise: 0.004 }
const usdc: Token = { address: address(0xf2), decimals: 6, usd: 1, rise: 0 }
const eth: Token = { address: address(0xf3), decimals: 18, usd: 2500, rise: 0.002 }
const staked: Token = { address: address(0xf4), decimals: 18, usd: 0.03, rise: 0.005 }
export const tokens: readonly Token[] = [flr, usdc, eth, staked]

// Ticks at which the prices above are those of the pools: log(price1 per price0 in smallest units) / log(1.0001).
export const pools: readonly Pool[] = [
  pool(1, [flr, usdc], { fee: 3000, spacing: 60, tick: -315_447, tvlUsd: 250_000, incentive: 120 }),
  pool(2, [flr, eth], { fee: 3000, spacing: 60, tick: -117_367, tvlUsd: 400_000, incentive: 45.5 }),
  pool(3, [flr, staked], { fee: 500, spacing: 10, tick: -4_055, tvlUsd: 900_000, incentive: undefined }),
  pool(4, [usdc, eth], { fee: 500, spacing: 10, tick: 198_079, tvlUsd: 150_000, incentive: undefined }),
]

function pool(
  i: number,
  [token0, token1]: readonly [Token, Token],
  facts: Pick<Pool, 'fee' | 'spacing' | 'tick' | 'tvlUsd' | 'incentive'>,
): Pool {
  // Somewhere between its tick and the next one.
  const sqrtPrice = (sqrtPriceAtTick(facts.tick) * 100_003n) / 100_000n
  return { address: address(0xa0 + i), token0, token1, sqrtPrice, ...facts }
}

/** Far above what any manager has given, so that no real position is taken for one of these. */
const FIRST_ID = 9_000_000_000n
const POSITIONS = 60
const WALLETS = 20
/** Of liquidity in each of the pools, so that a position is worth some hundred dollars or some thousand. */
const LIQUIDITY = [120_000_000_000_000_007n, 2_400_000_000_000_000_000_011n, 800_000_000_000_000_000_000_013n, 330_000_000_000_017n]

export const positions: readonly Position[] = Array.from({ length: POSITIONS }, (_, i) => position(i))

function position(i: number): Position {
  const of = pools[i % pools.length] as Pool
  const near = (tick: number) => Math.floor(tick / of.spacing) * of.spacing
  // Every fourth or so lies beside the price.
  const centre = near(of.tick + (((i * 13) % 21) - 10) * 3 * of.spacing)
  const half = of.spacing * (10 + ((i * 7) % 40))
  const [lower, upper] = [centre - half, centre + half]
  const deposited = (LIQUIDITY[i % pools.length] ?? 0n) * BigInt(1 + (i % 9))
  const opened = ENRICHMENT_NOW - (30 - (i % 15)) * DAY + i * 61_000
  const at = (moved: number, liquidity: bigint, round: 'up' | 'down') =>
    amountsOf(liquidity, { sqrtPrice: sqrtPriceAtTick(of.tick + moved * 20 * of.spacing), lower, upper }, round)
  const events: PositionEvent[] = [{ type: 'INCREASE', time: opened, amounts: at(((i * 5) % 9) - 4, deposited, 'up') }]
  const fees = (n: number): Amounts => [
    10n ** BigInt(of.token0.decimals - 1) * BigInt(1000 + i * n * 37),
    10n ** BigInt(of.token1.decimals - 4) * BigInt(1 + ((i * n) % 13)),
  ]
  const [closed, uncollected] = [i >= POSITIONS - 3, i === POSITIONS - 3]
  const taken = closed ? deposited : (deposited / 4n) * BigInt(i % 3 === 0)
  const burnt = closed && !uncollected
  const time = opened + 9 * DAY
  const out = at(((i * 3) % 7) - 3, taken, 'down')
  if (taken > 0n) events.push({ type: 'DECREASE', time, amounts: out })
  // The same transaction collects what was taken out, and the fees with it.
  if (taken > 0n && !uncollected) events.push({ type: 'COLLECT', time, amounts: sum(out, fees(1)) })
  if (!closed && i % 2 === 0) events.push({ type: 'COLLECT', time: time + 3 * DAY, amounts: fees(2) })
  return {
    id: FIRST_ID + BigInt(i + 1),
    owner: address(0xb000 + (i % WALLETS)),
    pool: of,
    lower,
    upper,
    liquidity: deposited - taken,
    owed: uncollected ? sum(out, fees(3)) : fees(3),
    burnt,
    events,
  }
}

function sum(one: Amounts, other: Amounts): Amounts {
  return [one[0] + other[0], one[1] + other[1]]
}
