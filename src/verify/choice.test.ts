import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { choose, seeded } from './choice.js'
import { confidence, differsBelow } from './confidence.js'

const chosen = (seed: number, stretches: readonly (readonly [bigint, bigint])[], howMany: number | 'all') => [
  ...choose(stretches, howMany, seeded(seed, 'blocks')).numbers,
]

test('what is chosen follows from the seed, however the stretches are cut, and each number is there once', () => {
  const first = chosen(7, [[10n, 39n], [100n, 1_099n]], 50) // prettier-ignore
  expect(first).toEqual(chosen(7, [[100n, 500n], [20n, 39n], [501n, 1_099n], [10n, 19n]], 50)) // prettier-ignore
  expect(first).toEqual([...new Set(first)].sort((a, b) => Number(a - b)))
  expect(first.every((n) => (n >= 10n && n <= 39n) || (n >= 100n && n <= 1_099n))).toBe(true)
  expect(first).toHaveLength(50)
  expect(first).not.toEqual(chosen(8, [[10n, 39n], [100n, 1_099n]], 50)) // prettier-ignore
})

test('all are chosen where so many are wanted, and none where there are none', () => {
  expect(chosen(1, [[1n, 2n], [5n, 5n]], 3)).toEqual([1n, 2n, 5n]) // prettier-ignore
  expect(chosen(1, [[1n, 2n]], 'all')).toEqual([1n, 2n])
  expect(chosen(1, [], 5)).toEqual([])
})

test('each number has the same chance', () => {
  const counts = new Array<number>(10).fill(0)
  for (let seed = 0; seed < 2_000; seed++) for (const n of chosen(seed, [[0n, 9n]], 3)) counts[Number(n)]!++
  // 600 each: a binomial count lies within five of its deviations of 20.5.
  for (const n of counts) expect(Math.abs(n - 600)).toBeLessThan(103)
})

test('a share is told that so many right ones would have shown in 19 of 20 times', () => {
  // The rule of three says 3 / 300.
  expect(differsBelow(300)).toBeCloseTo(0.009936, 6)
  expect(confidence(300)).toBe('with 95 % confidence fewer than 1 in 100 differ')
  expect(confidence(3_000)).toBe('with 95 % confidence fewer than 1 in 1,001 differ')
  expect([confidence(10), confidence(1)]).toEqual([
    'with 95 % confidence fewer than 26 % differ',
    'with 95 % confidence fewer than 95 % differ',
  ])
  for (const n of [1, 10, 300]) expect((1 - differsBelow(n)) ** n).toBeCloseTo(0.05, 10)
})

test('verify loads nothing that proves before something is to be proved', () => {
  const folder = dirname(fileURLToPath(import.meta.url))
  const seen = new Set<string>()
  const visit = (file: string) => {
    if (seen.has(file)) return
    seen.add(file)
    const text = readFileSync(file, 'utf8')
    for (const [, names, path] of text.matchAll(/^(?:import|export) (?!type )([^'"]*?)from '(\.[^']+)\.js'/gms)) {
      const values = (names ?? '').replace(/[{}\s]/g, ' ').split(',').some((name) => name.trim() !== '' && !/^type /.test(name.trim())) // prettier-ignore
      if (values) visit(join(dirname(file), `${path}.ts`))
    }
  }
  visit(join(folder, 'verify.ts'))
  visit(join(folder, '../report/render-verify.ts'))
  expect(seen.size).toBeGreaterThan(20)
  expect([...seen].filter((file) => /src\/proof\/|\/(prove|proved-|proving-|guarded)/.test(file))).toEqual([])
})
