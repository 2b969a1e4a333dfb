import { expect, test } from 'vitest'
import type { ColumnType, Output, Row, Table, UnitWrite } from '../sdk/index.js'
import { Doubles } from './doubles.js'

const tableOf = (key: Readonly<Record<string, ColumnType['kind']>>): Table => ({
  name: 't',
  columns: Object.entries(key).map(([name, kind]) => ({ name, type: { kind } as ColumnType, nullable: false })),
  key: Object.keys(key),
  range: undefined,
  indexes: {},
  retention: undefined,
})

/** How many of these rows are left out, since another one has their key. */
function dropped(table: Table, rows: readonly Row[], constants: Readonly<Record<string, string>> = {}): number {
  const output: Output = { id: 't', table: 't', columns: table.key.filter((name) => constants[name] === undefined), compute: {}, constants }
  const write: UnitWrite = {
    step: { pipeline: 'p', step: 's', fingerprint: 'f' },
    unit: 'u',
    epoch: 1n,
    deletes: [],
    rows: [{ output, rows }],
    sql: [],
    ledger: { state: 'running' },
    at: 0n,
  }
  return new Doubles(new Map([['t', table]])).resolve([write])[0]?.dropped.t ?? 0
}

test('two integers that are one as a float have one key', () => {
  const large = 2n ** 53n
  expect(dropped(tableOf({ k: 'float' }), [{ k: large }, { k: large + 1n }])).toBe(1)
  expect(dropped(tableOf({ k: 'bigint' }), [{ k: large }, { k: large + 1n }])).toBe(0)
})

test('keys of several columns are told apart by all of them, in order and out of it', () => {
  const table = tableOf({ chain: 'text', block: 'bigint', index: 'int' })
  const rows = (...keys: readonly (readonly [bigint, bigint])[]) => keys.map(([block, index]) => ({ block, index }))
  const of = { chain: 'base' }
  expect(dropped(table, rows([1n, 0n], [1n, 1n], [2n, 0n]), of)).toBe(0)
  expect(dropped(table, rows([2n, 0n], [1n, 1n], [2n, 1n]), of)).toBe(0)
  expect(dropped(table, rows([1n, 0n], [1n, 1n], [1n, 1n]), of)).toBe(1)
  expect(dropped(table, rows([1n, 1n], [2n, 0n], [1n, 1n]), of)).toBe(1)
})

test('two spellings of one address are one key', () => {
  expect(
    dropped(
      tableOf({ of: 'address', n: 'int' }),
      [`0x${'AB'.repeat(20)}`, `0x${'ab'.repeat(20)}`].map((of) => ({ of, n: 1n })),
    ),
  ).toBe(1)
})
