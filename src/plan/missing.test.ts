import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { postgresEngine } from '../../test/support/postgres.js'
import { temporaryFolder } from '../../test/support/folder.js'
import { all, output, step, table, write } from '../../test/support/warehouse.js'
import type { Engine } from '../../test/support/warehouse-spec.js'
import { type Param, sqlText, type Warehouse } from '../sdk/index.js'
import { openDuckdb } from '../warehouse/duckdb/index.js'
import { missingCells, missingCount, missingPage, missingStarts, queryCount, type RowsFilter, type RowsWanted } from './missing.js'

const duckdbEngine: Engine = {
  kind: 'duckdb',
  place: () => {
    const path = join(temporaryFolder(), 'x.duckdb')
    return Promise.resolve(() => openDuckdb({ path, mode: 'write' }))
  },
}

const blocks = table('blocks', { number: 'bigint', hash: 'hash', at: 'timestamp', day: 'date', size: 'uint256?' }, ['number'])
const into = table('into', { chain: 'text', number: 'bigint', hash: 'hash', size: 'uint256?' }, ['chain', 'number'])
const byDay = table('by day', { day: 'date', name: 'text', n: 'int?' }, ['day', 'name'])

const wanted: RowsWanted = {
  kind: 'rows',
  sql: sqlText('SELECT number, number - 1 AS parent, hash, size FROM blocks WHERE number > 0 -- all of them'),
  key: ['number'],
  output: 'into',
  copied: { number: 'number', hash: 'hash', size: 'size' },
  constants: { chain: "o'pt" },
  chunk: 10,
  order: 'newest-first',
  price: { perPiece: 1 },
}
const days: RowsWanted = {
  ...wanted,
  sql: sqlText("SELECT DISTINCT day, name FROM blocks, (VALUES ('a'), ('b,c')) AS names(name)"),
  key: ['day', 'name'],
  output: 'by day',
  copied: { day: 'day', name: 'name' },
  constants: {},
  chunk: 3,
  order: 'oldest-first',
}

const hash = (n: number) => `0x${n.toString(16).padStart(4, '0')}`
const DAY = 86_400_000_000n

const open: Warehouse[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
})

/** Blocks -5 to 40, a day each; `into` has 1 to 20 of this chain, one of another hash, and those of another chain. */
async function opened(engine: Engine): Promise<Warehouse> {
  const warehouse = await (await engine.place())()
  open.push(warehouse)
  await warehouse.prepare([blocks, into, byDay])
  await warehouse.open(step, ['u'], 1n)
  const numbers = Array.from({ length: 46 }, (_, i) => i - 5)
  const size = (n: number) => (n % 3 === 0 ? null : 2n ** 200n + BigInt(n))
  const done = numbers.slice(6, 26).map((n) => ({ number: BigInt(n), hash: hash(n === 7 ? 999 : n), size: size(n) }))
  await warehouse.commit([
    write(
      [
        {
          output: output(blocks),
          rows: numbers.map((n) => ({
            number: BigInt(n),
            hash: hash(n + 8),
            at: BigInt(n) * DAY,
            day: new Date(n * 86_400_000).toISOString().slice(0, 10),
            size: size(n),
          })),
        },
        {
          output: output(into, { constants: { chain: "o'pt" } }),
          rows: done.map((row) => ({ ...row, hash: row.number === 7n ? row.hash : hash(Number(row.number) + 8) })),
        },
        {
          output: output(into, { constants: { chain: 'base' } }),
          rows: numbers.slice(26).map((n) => ({ number: BigInt(n), hash: hash(n + 8), size: size(n) })),
        },
        { output: output(byDay), rows: [{ day: '1970-01-01', name: 'a', n: 1 }] },
      ],
      {
        quarantine: [
          { key: '30', error: 'no', attempts: 5 },
          { key: '1970-01-02,b,c', error: 'no', attempts: 5 },
        ],
      },
    ),
  ])
  return warehouse
}

describe.each([duckdbEngine, postgresEngine])('what is missing on $kind', (engine) => {
  test('is every row without an equal one of this chain: absent, or with another hash', async () => {
    const warehouse = await opened(engine)
    const missing = [7, ...Array.from({ length: 20 }, (_, i) => 21 + i)].reverse()
    const page = await all(warehouse, missingPage(wanted, into, {}, undefined))
    expect(page.map((row) => [row.number, row.parent, row._pipe_key])).toEqual(missing.map((n) => [BigInt(n), BigInt(n - 1), String(n)]))
    expect(page.find((row) => row.number === 40n)).toEqual({
      number: 40n,
      parent: 39n,
      hash: hash(48),
      size: 2n ** 200n + 40n,
      _pipe_key: '40',
    })
    expect((await all(warehouse, missingPage(wanted, into, {}, 2))).map((row) => row.number)).toEqual([40n, 39n])
    expect(await all(warehouse, queryCount(wanted))).toEqual([{ n: 40n }])
  })

  test('is narrowed by stretches of the key, by quarantine, by a place in the order, and widened by a redo', async () => {
    const warehouse = await opened(engine)
    const count = async (filter: RowsFilter) => (await all(warehouse, missingCount(wanted, into, filter)))[0]?.n
    const key = (value: bigint): Param[] => [{ type: { kind: 'bigint' }, value }]
    const notQuarantined = { pipeline: 'p', step: 's' }
    expect(await count({})).toBe(21n)
    expect(await count({ keys: [0n, 25n] })).toBe(6n)
    expect(
      await count({
        except: [
          [0n, 10n],
          [25n, 29n],
        ],
      }),
    ).toBe(15n)
    expect(await count({ notQuarantined })).toBe(20n)
    expect(await count({ from: key(30n) })).toBe(11n)
    expect(await count({ from: key(30n), until: key(25n) })).toBe(5n)
    expect(await count({ redo: true, keys: [1n, 5n] })).toBe(5n)
  })

  test('is counted by aligned cells of an integer key', async () => {
    const warehouse = await opened(engine)
    const all_ = { ...wanted, sql: sqlText('SELECT number, hash, size FROM blocks') }
    expect(await all(warehouse, missingCells(all_, into, {}))).toEqual([
      { cell: -10n, n: 5n },
      { cell: 0n, n: 2n },
      { cell: 20n, n: 9n },
      { cell: 30n, n: 10n },
      { cell: 40n, n: 1n },
    ])
  })

  test('of a key of days and texts begins anew every so many rows, and goes on from there', async () => {
    const warehouse = await opened(engine)
    const filter: RowsFilter = { notQuarantined: { pipeline: 'p', step: 's' } }
    const starts = await all(warehouse, missingStarts(days, byDay, filter))
    expect(starts.length).toBe(30)
    expect(starts.slice(3, 6)).toEqual([
      { day: '1969-12-31', name: 'b,c', _pipe_key: '1969-12-31,b,c', n: 10n },
      { day: '1970-01-03', name: 'a', _pipe_key: '1970-01-03,a', n: 13n },
      { day: '1970-01-04', name: 'b,c', _pipe_key: '1970-01-04,b,c', n: 16n },
    ])
    const types = (await warehouse.describe(days.sql)).map(({ type }) => type)
    expect(types).toEqual([{ kind: 'date' }, { kind: 'text' }])
    const key = (row: (typeof starts)[number] | undefined): Param[] =>
      days.key.map((name, i) => ({ type: types[i] ?? { kind: 'text' }, value: row?.[name] ?? null }))
    const between = await all(warehouse, missingPage(days, byDay, { ...filter, from: key(starts[3]), until: key(starts[4]) }, undefined))
    expect(between.map((row) => row._pipe_key)).toEqual(['1969-12-31,b,c', '1970-01-01,b,c', '1970-01-02,a'])
  })
})

test('what is missing of 100,000 rows is counted by a DuckDB that may take 16 MB', async () => {
  const path = join(temporaryFolder(), 'x.duckdb')
  const filling = await openDuckdb({ path, mode: 'write' })
  await filling.prepare([blocks, into])
  const long = "'0x' || md5(CAST(n AS VARCHAR)) || md5(CAST(-n AS VARCHAR))"
  await filling.execute([
    sqlText(`INSERT INTO blocks SELECT n, ${long}, make_timestamp(n), DATE '2020-01-01', NULL FROM range(1, 100001) AS r(n)`),
  ])
  await filling.close()
  const warehouse = await openDuckdb({ path, mode: 'write', memoryLimit: '16MB' })
  open.push(warehouse)
  expect(await all(warehouse, missingCount(wanted, into, {}))).toEqual([{ n: 100_000n }])
})
