import { expect, test } from 'vitest'
import type { InputPage, Row, RunContext } from '../../src/sdk/authors.js'
import type { Config } from './config.js'
import { groups, GroupSizes } from './groups.js'

const numbers = Array.from({ length: 900 }, (_, i) => 1_000 + i * 2)

/** The groups of a unit of these rows: how many items, the first and the last key, the number of the first row, what they cover. */
async function groupsOf(order: 'oldest-first' | 'newest-first', pageRows: number) {
  const rows = order === 'newest-first' ? [...numbers].reverse() : numbers
  const pages: InputPage[] = []
  for (let from = 0; from < rows.length; from += pageRows) {
    const some = rows.slice(from, from + pageRows)
    pages.push({ keys: some.map(String), rows: some.map((n): Row => ({ number: BigInt(n) })) })
  }
  const unit = { key: '0-9999', size: 900, piece: { kind: 'rows', order, keys: [0n, 9_999n], redo: false } }
  // Only what groups read is there.
  const ctx = {
    unit,
    input: async function* () {
      await Promise.resolve()
      yield* pages
    },
  } as unknown as RunContext<Config, never>
  const found = []
  for await (const { size, fields, key, covers } of groups(ctx, new GroupSizes(false))) {
    const record: Record<string, unknown> = {}
    fields()(0, record)
    found.push([size, key(0), key(size - 1), record.number, covers])
  }
  return found
}

test('groups of rows cover all keys of their unit without a hole, and are the same in one page and in several', async () => {
  for (const pageRows of [900, 400, 200]) {
    expect(await groupsOf('oldest-first', pageRows)).toEqual([
      [200, '1000', '1398', 1000n, [0n, 1398n]],
      [200, '1400', '1798', 1400n, [1399n, 1798n]],
      [200, '1800', '2198', 1800n, [1799n, 2198n]],
      [200, '2200', '2598', 2200n, [2199n, 2598n]],
      [100, '2600', '2798', 2600n, [2599n, 9_999n]],
    ])
    expect(await groupsOf('newest-first', pageRows)).toEqual([
      [200, '2798', '2400', 2798n, [2400n, 9_999n]],
      [200, '2398', '2000', 2398n, [2000n, 2399n]],
      [200, '1998', '1600', 1998n, [1600n, 1999n]],
      [200, '1598', '1200', 1598n, [1200n, 1599n]],
      [100, '1198', '1000', 1198n, [0n, 1199n]],
    ])
  }
})

test('where items make rows of a list, a group has as many as make 10,000 rows: one at first, and one of a block with 50,000 transactions', () => {
  const sizes = new GroupSizes(true)
  const seen = [[sizes.next, sizes.atOnce]]
  for (const [items, rows] of [
    [1, 150],
    [66, 66 * 151],
    [66, 66 * 140],
    [66, 50_000],
    [13, 50_000 * 13],
    [1, 10],
  ] as const) {
    sizes.made(items, rows)
    seen.push([sizes.next, sizes.atOnce])
  }
  expect(seen).toEqual([
    [1, 1],
    [66, 5],
    [66, 5],
    [66, 5],
    [13, 5],
    [1, 3],
    [1, 3],
  ])
  const few = new GroupSizes(true)
  few.made(1, 0)
  expect(few.next).toBe(200)
})
