import { decodeFunctionData, encodeFunctionResult, parseAbi } from 'viem'
import { type ContractAnswer, fakeChain, type FakeChain } from '../sandbox/index.js'
import { ENRICHMENT_NOW, type Pool, type Position } from './enrichment-world.js'
import { amountsOf, smaller } from './liquidity.js'

const CHAIN_ID = 14
const BLOCKS = 100
const BLOCK_SECONDS = 2

const manager = parseAbi([
  'function positions(uint256 tokenId) view returns (uint96 nonce, address operator, address token0, address token1, uint24 fee, int24 tickLower, int24 tickUpper, uint128 liquidity, uint256 feeGrowthInside0LastX128, uint256 feeGrowthInside1LastX128, uint128 tokensOwed0, uint128 tokensOwed1)',
  'function collect((uint256 tokenId, address recipient, uint128 amount0Max, uint128 amount1Max) params) returns (uint256 amount0, uint256 amount1)',
  'function decreaseLiquidity((uint256 tokenId, uint128 liquidity, uint256 amount0Min, uint256 amount1Min, uint256 deadline) params) returns (uint256 amount0, uint256 amount1)',
])
const factory = parseAbi(['function getPool(address, address, uint24) view returns (address)'])
const pool = parseAbi(['function factory() view returns (address)'])

const NOBODY = '0x0000000000000000000000000000000000000000'
type Hex = `0x${string}`

/** Where the contracts lie, and what they know. */
export interface PoolWorld {
  readonly manager: string
  readonly factory: string
  readonly pools: readonly PoolState[]
  readonly positions: readonly PositionState[]
}

interface PoolState extends Pick<Pool, 'address' | 'fee' | 'sqrtPrice'> {
  readonly token0: { readonly address: string }
  readonly token1: { readonly address: string }
}

interface PositionState extends Pick<Position, 'id' | 'owner' | 'lower' | 'upper' | 'liquidity' | 'owed' | 'burnt'> {
  readonly pool: PoolState
}

/** A chain whose contracts answer, and refuse, what those of Uniswap v3 do. */
export function enrichmentChain(world: PoolWorld): FakeChain {
  const genesisTime = ENRICHMENT_NOW / 1000 - BLOCKS * BLOCK_SECONDS
  const chain = fakeChain({ seed: 1, chainId: CHAIN_ID, miners: 1, blocks: BLOCKS, genesisTime, blockTime: BLOCK_SECONDS })
  chain.contract(world.manager, (data, _, from) => askManager(world, data as Hex, from))
  chain.contract(world.factory, (data) => askFactory(world, data as Hex))
  const madeBy = encodeFunctionResult({ abi: pool, functionName: 'factory', result: world.factory as Hex })
  for (const { address } of world.pools) chain.contract(address, () => madeBy)
  return chain
}

function askFactory({ pools }: PoolWorld, data: Hex): Hex {
  const { args } = decodeFunctionData({ abi: factory, data })
  const [token0, token1, fee] = [args[0].toLowerCase(), args[1].toLowerCase(), args[2]]
  const found = pools.find((each) => each.token0.address === token0 && each.token1.address === token1 && each.fee === fee)
  return encodeFunctionResult({ abi: factory, functionName: 'getPool', result: (found?.address ?? NOBODY) as Hex })
}

function askManager({ positions }: PoolWorld, data: Hex, from: string | undefined): ContractAnswer {
  const { functionName, args } = decodeFunctionData({ abi: manager, data })
  const [asked] = args
  const id = typeof asked === 'bigint' ? asked : asked.tokenId
  const position = positions.find((each) => each.id === id)
  if (!position || position.burnt)
    return { revert: functionName === 'positions' ? 'Invalid token ID' : 'ERC721: operator query for nonexistent token' }
  const { liquidity, owed, owner, lower, upper } = position
  const { token0, token1, fee, sqrtPrice } = position.pool
  if (typeof asked === 'bigint') {
    return encodeFunctionResult({
      abi: manager,
      functionName: 'positions',
      result: [0n, NOBODY, token0.address as Hex, token1.address as Hex, fee, lower, upper, liquidity, 0n, 0n, ...owed],
    })
  }
  if (from?.toLowerCase() !== owner) return { revert: 'Not approved' }
  if ('recipient' in asked) {
    const paid = [smaller(owed[0], asked.amount0Max), smaller(owed[1], asked.amount1Max)] as const
    return encodeFunctionResult({ abi: manager, functionName: 'collect', result: paid })
  }
  // Both of these are refused without a reason.
  if (asked.liquidity === 0n || asked.liquidity > liquidity) return { revert: '' }
  const amounts = amountsOf(asked.liquidity, { sqrtPrice, lower, upper }, 'down')
  return encodeFunctionResult({ abi: manager, functionName: 'decreaseLiquidity', result: amounts })
}
