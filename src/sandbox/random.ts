/** One round of a 32-bit mixer. For a fixed `state` it is a bijection of `value`, so different values never collide. */
function mix(state: number, value: number): number {
  let h = state ^ value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** What a seeded value is for: values of different kinds are independent. */
export const kinds = {
  blockHash: 1,
  transactionHash: 2,
  transactionsRoot: 3,
  receiptsRoot: 4,
  miner: 5,
  reward: 6,
  rewardLow: 7,
  payout: 8,
  address: 9,
  start: 10,
  ties: 11,
  apiTransaction: 12,
  apiDice: 13,
  apiFee: 14,
  price: 15,
  wallet: 16,
} as const

/** A seeded 32-bit number of a kind, by fork and position. */
export function draw(seed: number, kind: number, fork: number, position: number): number {
  return mix(mix(mix(mix(0x9e3779b9, seed), kind), fork), position)
}

/** 256 seeded bits as 64 hex digits, without `0x`. */
export function drawHex(seed: number, kind: number, fork: number, position: number): string {
  const one = draw(seed, kind, fork, position)
  const two = mix(mix(mix(mix(0x51ed270b, position), fork), kind), seed)
  return (
    word(one) +
    word(two) +
    word(mix(one, 1)) +
    word(mix(two, 1)) +
    word(mix(one, 2)) +
    word(mix(two, 2)) +
    word(mix(one, 3)) +
    word(mix(two, 3))
  )
}

/** An endless row of seeded numbers in [0, 1). */
export function seededRandom(seed: number): () => number {
  let count = 0
  return () => mix(mix(0x2545f491, seed), count++) / 0x1_0000_0000
}

const halves = Array.from({ length: 65_536 }, (_, i) => i.toString(16).padStart(4, '0'))

function word(value: number): string {
  return halves[value >>> 16]! + halves[value & 65_535]!
}
