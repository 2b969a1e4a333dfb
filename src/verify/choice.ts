import type { Random } from '../sdk/index.js'
import { count, type Interval, union } from '../ledger/intervals.js'

/** How many of each step are proved. */
export type HowMany = number | 'all'

/**
 * Random numbers that follow from a seed and a name alone: of one seed each step has its own, whichever steps are looked at.
 * FNV-1a (RFC 9923) over both begins mulberry32, a generator of 32 bits by T. Ettinger (public domain).
 */
export function seeded(seed: number, name: string): Random {
  let state = 0x811c9dc5
  for (const byte of Buffer.from(`${seed} ${name}`)) state = Math.imul(state ^ byte, 0x01000193)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface Choice {
  readonly total: number
  readonly size: number
  /** The chosen ones, each once, in rising order. Made one by one, since all of a chain are many. */
  readonly numbers: Iterable<bigint>
}

/** So many numbers of these stretches by chance, each with the same chance, or all. How the stretches are cut makes no difference. */
export function choose(stretches: readonly Interval[], howMany: HowMany, random: Random): Choice {
  const whole = union(stretches)
  const total = Number(count(whole))
  if (howMany === 'all' || howMany >= total) return { total, size: total, numbers: each(whole) }
  return { total, size: howMany, numbers: nth(whole, places(total, howMany, random)) }
}

/** So many places of 0 to `total` - 1, sorted: a sample without repetition by R. Floyd (CACM 30, 1987), which draws once for each. */
function places(total: number, howMany: number, random: Random): number[] {
  const chosen = new Set<number>()
  for (let last = total - howMany; last < total; last++) {
    const place = Math.floor(random() * (last + 1))
    chosen.add(chosen.has(place) ? last : place)
  }
  return [...chosen].sort((a, b) => a - b)
}

function* each(stretches: readonly Interval[]): Iterable<bigint> {
  for (const [from, to] of stretches) for (let number = from; number <= to; number++) yield number
}

function* nth(stretches: readonly Interval[], places: readonly number[]): Iterable<bigint> {
  let before = 0n
  let at = 0
  for (const place of places) {
    let [from, to] = stretches[at] as Interval
    while (BigInt(place) - before > to - from) {
      before += to - from + 1n
      ;[from, to] = stretches[++at] as Interval
    }
    yield from + BigInt(place) - before
  }
}
