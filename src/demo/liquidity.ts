/** Arithmetic of concentrated liquidity in whole numbers, as the pools' contracts do it: square roots of prices as Q64.96. */

const Q96 = 96n
/** Bits behind the point while a power is computed: so many that what is cut off is far below a unit of Q64.96. */
const BITS = 256n

/** Amounts of both tokens, in their smallest units. */
export type Amounts = readonly [amount0: bigint, amount1: bigint]

/** sqrt(1.0001^tick) x 2^96, rounded down (Uniswap v3 whitepaper, 6.1). */
export function sqrtPriceAtTick(tick: number): bigint {
  let [power, base] = [1n << BITS, ((1n << BITS) * 10_001n) / 10_000n]
  for (let left = BigInt(Math.abs(tick)); left > 0n; left >>= 1n) {
    if (left & 1n) power = (power * base) >> BITS
    base = (base * base) >> BITS
  }
  const price = tick < 0 ? (1n << (2n * BITS)) / power : power
  return squareRoot(price >> (BITS - 2n * Q96))
}

/** What liquidity between two ticks holds at a price (whitepaper, 6.29 and 6.30): a deposit is rounded up, what is paid out down. */
export function amountsOf(
  liquidity: bigint,
  { sqrtPrice, lower, upper }: { readonly sqrtPrice: bigint; readonly lower: number; readonly upper: number },
  round: 'up' | 'down',
): Amounts {
  const [low, high] = [sqrtPriceAtTick(lower), sqrtPriceAtTick(upper)]
  const at = smaller(sqrtPrice > low ? sqrtPrice : low, high)
  const divide = (dividend: bigint, divisor: bigint) => (round === 'up' ? (dividend + divisor - 1n) / divisor : dividend / divisor)
  return [divide((liquidity << Q96) * (high - at), high * at), divide(liquidity * (at - low), 1n << Q96)]
}

export const smaller = (one: bigint, other: bigint): bigint => (one < other ? one : other)

/** Rounded down, by Newton's method from above. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value
  let root = 1n << BigInt(Math.ceil(value.toString(2).length / 2))
  for (;;) {
    const next = (root + value / root) >> 1n
    if (next >= root) return root
    root = next
  }
}
