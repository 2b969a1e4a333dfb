import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { sql, sqlText, type Warehouse } from '../../sdk/index.js'
import { openDuckdb } from './index.js'
import { temporaryFolder } from '../../../test/support/folder.js'
import { all, table } from '../../../test/support/warehouse.js'
import { checksSpec } from '../../../test/support/checks-spec.js'
import { type Engine, warehouseSpec } from '../../../test/support/warehouse-spec.js'

const blocks = table('blocks', { number: 'bigint', hash: 'hash', ts: 'timestamp', note: 'text?' }, ['number'])
const balances = table('balances', { number: 'bigint', before: 'uint256', after: 'uint256', gained: 'int256' }, ['number'])

const open: Warehouse[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
})

async function opened(): Promise<Warehouse> {
  const warehouse = await openDuckdb({ path: ':memory:', mode: 'write' })
  open.push(warehouse)
  await warehouse.prepare([blocks, balances])
  return warehouse
}

const engine: Engine = {
  kind: 'duckdb',
  place: () => {
    const path = join(temporaryFolder(), 'a', 'b.duckdb')
    return Promise.resolve((mode = 'write') => openDuckdb({ path, mode }))
  },
}
warehouseSpec(engine)
checksSpec(engine)

describe('a query', () => {
  test('gives exact values for what SQL makes of them', async () => {
    const warehouse = await opened()
    const [row] = await all(
      warehouse,
      `SELECT count(*) AS n, sum(i) AS total, CAST(1.50 AS DECIMAL(9,2)) AS d, [CAST(1 AS HUGEINT), NULL] AS list, {'a': 1} AS struct, TIMESTAMPTZ '2024-03-01 00:00:00+01' AS tz,
        CAST('{"a": 12345678901234567890, "b": "1234567890123456789", "c": 1.5}' AS JSON) AS j, '\\xAB'::BLOB AS blob, 7 / 2 AS f, INTERVAL 1 DAY AS span, 5 AS n FROM range(3) AS t(i)`,
    )
    expect(row).toEqual({
      n: 3n,
      total: 3n,
      d: '1.50',
      list: ['1', null],
      struct: { a: 1 },
      tz: 1709247600000000n,
      j: { a: '12345678901234567890', b: '1234567890123456789', c: 1.5 },
      blob: '0xab',
      f: 3.5,
      span: '1 day',
      'n:1': 5n,
    })
  })

  test('may only read', async () => {
    const warehouse = await opened()
    for (const text of ['DELETE FROM blocks', 'CREATE TABLE x (i INT)', 'COMMIT', 'SET threads = 1', 'CHECKPOINT']) {
      await expect(all(warehouse, text), text).rejects.toThrow('a query must be a SELECT')
    }
    await expect(all(warehouse, "SELECT * FROM read_csv('/etc/passwd')")).rejects.toThrow('it reaches for a file, which pipelines may not')
    await expect(all(warehouse, 'SELECT 1; SELECT 2')).rejects.toThrow('multiple statements')
    await expect(all(warehouse, 'SELECT\nnope FROM blocks')).rejects.toThrow(
      /the database refused the SQL: Binder Error: Referenced column "nope" not found.* \(line 2: nope FROM blocks\)/,
    )
  })

  test('ends at its timeout and at its signal, and leaves the warehouse usable', async () => {
    const warehouse = await opened()
    const slow = sqlText('SELECT count(*) FROM range(1000000000000) AS t(i) WHERE i % 7 = 3')
    const drain = async (options: { signal?: AbortSignal; timeoutMs?: number }) => {
      for await (const page of warehouse.query(slow, options)) expect(page).toBeDefined()
    }
    await expect(drain({ timeoutMs: 50 })).rejects.toThrow('a query took more than 0.05 s and was stopped')
    // Now and then before the query has begun.
    for (let ms = 0; ms < 8; ms++) await expect(drain({ timeoutMs: ms })).rejects.toThrow('and was stopped')
    await expect(drain({ signal: AbortSignal.timeout(50) })).rejects.toThrow(/aborted due to timeout/)
    expect(await all(warehouse, 'SELECT 1 AS one')).toEqual([{ one: 1n }])
  })

  test('describes its columns without running', async () => {
    const warehouse = await opened()
    const described = await warehouse.describe(
      sql`SELECT number, after * 2 AS twice, after + 1 AS more, CAST(1 AS DECIMAL(10,2)) AS d, ${{ type: { kind: 'timestamp' }, value: 0n }} AS at, sum(number) AS total FROM balances GROUP BY ALL`,
    )
    expect(described.map(({ name, type, approximate }) => [name, type, approximate])).toEqual([
      ['number', { kind: 'bigint' }, false],
      ['twice', { kind: 'float' }, true],
      ['more', { kind: 'int256' }, false],
      ['d', { kind: 'decimal', precision: 10, scale: 2 }, false],
      ['at', { kind: 'timestamp' }, false],
      ['total', { kind: 'int256' }, false],
    ])
  })
})
