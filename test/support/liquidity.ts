/** Amounts of a position in whole numbers, from the definitions alone: nothing here is what the pipeline or its demo use. */

const Q96 = 2n ** 96n
const SCALE = 2n ** 400n

interface Position {
  readonly lower: number
  readonly upper: number
  readonly liquidity: bigint
  readonly pool: { readonly sqrtPrice: bigint }
}

/** What liquidity holds between two ticks at a price, rounded down. */
export function exactAmounts({ lower, upper, liquidity, pool }: Position): readonly [amount0: bigint, amount1: bigint] {
  const [low, high] = [rootOfTick(lower), rootOfTick(upper)]
  const price = pool.sqrtPrice
  if (price <= low) return [(liquidity * Q96 * (high - low)) / (low * high), 0n]
  if (price >= high) return [0n, (liquidity * (high - low)) / Q96]
  return [(liquidity * Q96 * (high - price)) / (price * high), (liquidity * (price - low)) / Q96]
}

const roots = new Map<number, bigint>()

/** sqrt(1.0001^tick) x 2^96, rounded down. */
function rootOfTick(tick: number): bigint {
  const known = roots.get(tick)
  if (known !== undefined) return known
  const size = Math.abs(tick)
  let power = SCALE
  for (const bit of size.toString(2)) {
    power = (power * power) / SCALE
    if (bit === '1') power = (power * 10_001n) / 10_000n
  }
  const price = tick < 0 ? (SCALE * SCALE) / power : power
  // The root by halving: the largest number whose square is not above price x 2^192.
  let [from, to] = [0n, 2n ** 200n]
  while (to - from > 1n) {
    const middle = (from + to) / 2n
    if (middle * middle * SCALE <= price * Q96 * Q96) from = middle
    else to = middle
  }
  roots.set(tick, from)
  return from
}
