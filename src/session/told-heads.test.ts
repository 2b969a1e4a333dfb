import { expect, test } from 'vitest'
import { ToldHeads } from './told-heads.js'

const BLOCK_MS = 2_000

/** A socket that tells of heads beside a chain that grows, in a time of its own that only `pass` moves. Looks are had as they are due. */
function world() {
  let now = 0
  let head = 100n
  const told = new ToldHeads(BLOCK_MS, { monotonic: () => now })
  const looks: number[] = []
  const untrue: bigint[] = []
  const look = () => {
    looks.push(now)
    const found = told.looked(head)
    if (found !== undefined) untrue.push(found)
  }
  look()
  /** Each millisecond something may be told of. Heads are polled for as well when nothing rests, once in a block's time. */
  const pass = (ms: number, tell: (ms: number) => readonly bigint[] = () => []) => {
    const before = looks.length
    for (const end = now + ms; now < end;) {
      now++
      if (now % BLOCK_MS === 0) head++
      for (const number of tell(now)) told.hear(number)
      if (told.dueMs === 0 || (told.restMs === 0 && now - (looks.at(-1) ?? 0) >= BLOCK_MS)) look()
    }
    return looks.length - before
  }
  return { told, looks, untrue, pass, headNow: () => head }
}

const MADE_UP = 2n ** 64n - 1n

test('heads that looks find are looked for once each, and nothing is asked between them', () => {
  const { told, looks, untrue, pass, headNow } = world()
  expect(pass(20_000, (now) => (now % BLOCK_MS === 0 ? [headNow()] : []))).toBe(10)
  // At the very moment in which they are told of.
  expect(looks.slice(-2)).toEqual([18_000, 20_000])
  expect([told.restMs, told.dueMs, untrue]).toEqual([4 * BLOCK_MS, Infinity, []])
})

test('a head that no look finds is given up and named; looks go on at the block time, and the heads that are there wake as before', () => {
  const { told, looks, untrue, pass, headNow } = world()
  // Once alone: eight looks in two seconds, and then one a block.
  pass(100, (now) => (now === 100 ? [MADE_UP] : []))
  expect([pass(1_900), untrue]).toEqual([7, [MADE_UP]])
  expect([pass(20_000), told.restMs]).toEqual([10, 0])
  // Told of again, it is not looked for again.
  expect(pass(20_000, (now) => (now % 10 === 0 ? [MADE_UP] : []))).toBe(10)
  // Beside heads that are there: one look for each of them, at once.
  const both = (now: number) => (now % BLOCK_MS === 700 ? [MADE_UP, headNow()] : [])
  pass(BLOCK_MS, both)
  expect(pass(10 * BLOCK_MS, both)).toBe(10)
  expect((looks.at(-1) ?? 0) % BLOCK_MS).toBe(700)
  expect([...new Set(untrue)]).toEqual([MADE_UP])
})

test('one that an endpoint has a little later is found soon; what was given up is heard of again when the chain is there', () => {
  const { told, looks, untrue, pass, headNow } = world()
  pass(1_500, (now) => (now === 1_500 ? [101n] : []))
  expect(pass(501)).toBe(2)
  expect([looks.slice(-2), told.dueMs, untrue]).toEqual([[1_750, 2_000], Infinity, []])
  // Four blocks early: given up, and known by its height when it comes.
  pass(11_000, (now) => (now === 11_000 ? [109n] : []))
  pass(2_000)
  expect([untrue, headNow()]).toEqual([[109n], 107n])
  pass(6_000)
  expect(headNow()).toBe(110n)
  pass(2_000, (now) => (now % BLOCK_MS === 0 ? [headNow()] : []))
  expect([looks.at(-1), told.restMs]).toEqual([22_000, 4 * BLOCK_MS - 1_001])
})

test('a thousand heads a second cost ten looks a second, whether they are there or not', () => {
  const { told, pass } = world()
  expect(pass(2_000, (now) => [BigInt(1_000_000 + now)])).toBeLessThanOrEqual(10)
  // All of them given up.
  expect(pass(20_000, (now) => [BigInt(1_000_000 + now)])).toBe(10)
  // A chain that has a block each millisecond.
  let looks = 0
  for (let ms = 1; ms <= 1_000; ms++) {
    pass(1)
    told.hear(BigInt(2_000 + ms))
    if (told.dueMs > 0) continue
    looks++
    told.looked(BigInt(2_000 + ms))
  }
  expect(looks).toBeLessThanOrEqual(10)
})

test('a socket that repeats old heads, or is blocks behind, lets nothing rest, and is named after eight heads that it did not tell of', () => {
  for (const tell of [() => [90n], (_: number, head: bigint) => [head - 3n]]) {
    const { told, untrue, pass, headNow } = world()
    const old = (now: number) => (now % 100 === 50 ? tell(now, headNow()) : [])
    expect([pass(14_100, old), untrue, told.restMs]).toEqual([7, [], 0])
    pass(8_000, old)
    expect([pass(20_000, old), untrue.length, told.restMs]).toEqual([10, 1, 0])
  }
})

test('a head that is told of again and again lets looks rest once', () => {
  const { looks, pass } = world()
  pass(60_000, (now) => (now >= 2_000 && now % 100 === 0 ? [101n] : []))
  expect(looks.slice(0, 4)).toEqual([0, 2_000, 10_000, 12_000])
})

test('a look that was quicker than the socket is confirmed by what it tells then', () => {
  const { told, untrue, pass, headNow } = world()
  expect(pass(2_050, (now) => (now === 2_050 ? [headNow()] : []))).toBe(1)
  expect(told.restMs).toBe(4 * BLOCK_MS)
  expect(pass(BLOCK_MS * 10, (now) => (now % BLOCK_MS === 50 ? [headNow()] : []))).toBe(10)
  expect(untrue).toEqual([])
})
