import { afterEach, describe, expect, test } from 'vitest'
import { FIRST_INSTANT, LAST_INSTANT } from '../../sdk/calendar.js'
import { sql, sqlText, type Warehouse } from '../../sdk/index.js'
import { ask, postgresDatabase, postgresEngine, withParams } from '../../../test/support/postgres.js'
import { all, output, step, table, write } from '../../../test/support/warehouse.js'
import { openPostgres } from './index.js'

const blocks = table('blocks', { number: 'bigint', hash: 'hash', ts: 'timestamp', note: 'text?' }, ['number'])
const balances = table('balances', { number: 'bigint', before: 'uint256', after: 'uint256', rate: 'float?' }, ['number'])

const open: Warehouse[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
})

async function opened(): Promise<Warehouse> {
  const warehouse = await (await postgresEngine.place())()
  open.push(warehouse)
  await warehouse.prepare([blocks, balances])
  await warehouse.open(step, ['u'], 1n)
  return warehouse
}

describe('a query', () => {
  test('gives exact values for what SQL makes of them', async () => {
    const warehouse = await opened()
    const [row] = await all(
      warehouse,
      `SELECT count(*) AS n, sum(i) AS total, avg(i) AS mean, CAST(1.50 AS decimal(9,2)) AS d, CAST(2 AS numeric(78,0)) ^ 255 AS big,
        TIMESTAMPTZ '2024-03-01 00:00:00+01' AS tz, TIMESTAMP '0001-01-01 00:00:00.000001 BC' AS bc, TIMESTAMP '294246-12-31 23:59:59.999999' AS late,
        DATE '0044-03-15 BC' AS ides, CAST('{"a": 12345678901234567890, "b": "1234567890123456789", "c": 1.5}' AS jsonb) AS j,
        '\\xAB'::bytea AS blob, 7 / 2 AS whole, 7 / 2.0 AS half, 0.1::float8 AS f, 'NaN'::float8 AS nan, INTERVAL '1 day' AS span, ARRAY[1, NULL] AS list, TRUE AS yes, NULL AS nothing, 5 AS n
      FROM generate_series(0, 2) AS t(i)`,
    )
    expect(row).toEqual({
      n: 3n,
      total: 3n,
      mean: '1.00000000000000000000',
      d: '1.50',
      big: 2n ** 255n,
      tz: 1709247600000000n,
      bc: -62167219199999999n,
      late: LAST_INSTANT,
      ides: '-000043-03-15',
      j: { a: '12345678901234567890', b: '1234567890123456789', c: 1.5 },
      blob: '0xab',
      whole: 3n,
      half: '3.5000000000000000',
      f: 0.1,
      nan: NaN,
      span: '1 day',
      list: '{1,NULL}',
      yes: true,
      nothing: null,
      'n:1': 5n,
    })
  })

  test('takes the extreme instants and days of the portable types', async () => {
    const times = table('times', { at: 'timestamp', day: 'date' }, ['at'])
    const warehouse = await opened()
    await warehouse.prepare([times])
    const rows = [
      { at: FIRST_INSTANT, day: '0001-01-01' },
      { at: -62135596800000001n, day: '0001-01-01' },
      { at: -1n, day: '1969-12-31' },
      { at: LAST_INSTANT, day: '9999-12-31' },
    ]
    await warehouse.commit([write([{ output: output(times), rows }])])
    expect(await all(warehouse, 'SELECT * FROM times ORDER BY at')).toEqual(rows)
    expect(await all(warehouse, 'SELECT CAST(min(at) AS text) AS first, CAST(max(at) AS text) AS last FROM times')).toEqual([
      { first: '4713-01-01 00:00:00 BC', last: '294246-12-31 23:59:59.999999' },
    ])
  })

  test('may only read: whatever would change or reach outside is refused, and nothing is changed', async () => {
    const warehouse = await opened()
    await warehouse.commit([write([{ output: output(blocks), rows: [{ number: 1n, hash: '0xab', ts: 0n, note: 'kept' }] }])])
    for (const text of [
      'DELETE FROM blocks',
      'CREATE TABLE x (i int)',
      'COMMIT',
      'SET statement_timeout = 1',
      'VACUUM',
      "COPY blocks TO PROGRAM 'cat'",
      'TRUNCATE blocks',
      'WITH gone AS (DELETE FROM blocks RETURNING *) SELECT * FROM gone',
      "SELECT nextval('numbers')",
    ]) {
      if (text.includes('numbers')) await warehouse.commit([write([], { sql: [sqlText('CREATE SEQUENCE numbers')] })])
      await expect(all(warehouse, text), text).rejects.toThrow('a query must be a SELECT')
    }
    await expect(all(warehouse, "SELECT set_config('transaction_read_only', 'off', true)")).rejects.toThrow(
      'transaction read-write mode must be set before any query',
    )
    await expect(all(warehouse, 'SELECT * INTO x FROM blocks')).rejects.toThrow('INTO is not allowed here')
    await expect(all(warehouse, 'SELECT 1; DELETE FROM blocks')).rejects.toThrow('multiple commands')
    expect(await all(warehouse, 'SELECT note FROM blocks')).toEqual([{ note: 'kept' }])
  })

  test('that does not parse or bind is pointed at by its own line', async () => {
    const warehouse = await opened()
    await expect(all(warehouse, 'SELECT\nnope FROM blocks')).rejects.toThrow(
      'the database refused the SQL: column "nope" does not exist (line 2: nope FROM blocks)',
    )
    await expect(all(warehouse, 'SELECT number\n  FROM nowhere')).rejects.toThrow(
      'relation "nowhere" does not exist (line 2: FROM nowhere)',
    )
    await expect(all(warehouse, 'SELECT 🦄 FROM')).rejects.toThrow(/\(line 1: SELECT 🦄 FROM\)/)
    await expect(all(warehouse, 'SELECT 1 / (number - number) FROM (VALUES (1)) AS v(number)')).rejects.toThrow('division by zero')
  })

  test('ends at its timeout and at its signal, and leaves the warehouse and the server idle', async () => {
    const warehouse = await opened()
    const drain = async (options: { signal?: AbortSignal; timeoutMs?: number }) => {
      for await (const page of warehouse.query(sqlText('SELECT pg_sleep(60)'), options)) expect(page).toBeDefined()
    }
    await expect(drain({ timeoutMs: 200 })).rejects.toThrow('a query took more than 0.2 s and was stopped')
    for (let ms = 0; ms < 6; ms += 2) await expect(drain({ timeoutMs: ms })).rejects.toThrow('and was stopped')
    await expect(drain({ signal: AbortSignal.timeout(100) })).rejects.toThrow(/aborted due to timeout/)
    expect(await all(warehouse, 'SELECT 1 AS one')).toEqual([{ one: 1n }])
    expect(
      await all(
        warehouse,
        "SELECT count(*) AS n FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()",
      ),
    ).toEqual([{ n: 0n }])
  })

  test('is read page by page, and given up half way leaves nothing behind', async () => {
    const warehouse = await opened()
    const many = sqlText('SELECT n FROM generate_series(1, 9001) AS n')
    const sizes: number[] = []
    for await (const page of warehouse.query(many)) sizes.push(page.length)
    expect(sizes).toEqual([2000, 2000, 2000, 2000, 1001])
    for (let i = 0; i < 10; i++) for await (const page of warehouse.query(many)) if (page.length > 0) break
    expect(await all(warehouse, 'SELECT count(*) AS n FROM generate_series(1, 4000)')).toEqual([{ n: 4000n }])
  })

  test('describes its columns without running', async () => {
    const warehouse = await opened()
    const described = await warehouse.describe(
      sql`SELECT number, after * rate AS twice, after + 1 AS more, CAST(1 AS decimal(10,2)) AS d, ${{ type: { kind: 'timestamp' }, value: 0n }} AS at, sum(number) AS total, 'x' AS word, 1 / (number - number) AS never, after FROM balances GROUP BY number, after, rate`,
    )
    expect(described.map(({ name, sqlType, type, approximate }) => [name, sqlType, type, approximate])).toEqual([
      ['number', 'bigint', { kind: 'bigint' }, false],
      ['twice', 'double precision', { kind: 'float' }, true],
      ['more', 'numeric', { kind: 'int256' }, false],
      ['d', 'numeric(10,2)', { kind: 'decimal', precision: 10, scale: 2 }, false],
      ['at', 'timestamp without time zone', { kind: 'timestamp' }, false],
      ['total', 'numeric', { kind: 'int256' }, false],
      ['word', 'text', { kind: 'text' }, false],
      ['never', 'bigint', { kind: 'bigint' }, false],
      ['after', 'numeric(78,0)', { kind: 'int256' }, false],
    ])
  })
})

describe('a computed value', () => {
  const t = table('t', { k: 'bigint', u: 'uint256', i: 'int?', d: 'decimal(20,2)?', n: 'text?', f: 'float?' }, ['k'])
  const computed = async (compute: Record<string, string>) => {
    const warehouse = await (await postgresEngine.place())()
    open.push(warehouse)
    await warehouse.prepare([t])
    await warehouse.open(step, ['u'], 1n)
    await warehouse.commit([
      write([
        {
          output: output(t, { columns: ['k', 'u'], compute }),
          rows: Array.from({ length: 50 }, (_, i) => ({ k: BigInt(i), u: BigInt(i) * 10n ** 6n })),
        },
      ]),
    ])
    return all(warehouse, 'SELECT i, d, n, f FROM t WHERE k = 41')
  }

  test('is stored when it is exact, a text that is a number among it', async () => {
    expect(
      await computed({ i: 'k % 7', d: "CAST(CAST(u AS text) || 'e-6' AS decimal(38,6)) -- a comment", n: "'mint'", f: 'u * 0.5' }),
    ).toEqual([{ i: 6n, d: '41.00', n: 'mint', f: 20_500_000 }])
    expect(await computed({ i: 'CAST(k AS text)', d: 'NULL' })).toEqual([{ i: 41n, d: null, n: null, f: null }])
  })

  test.each([
    ['i', 'k / 2.0', 't (k=1), column i: is computed as 0.50000000000000000000, which does not fit int'],
    ['d', 'k * 0.125', 't (k=1), column d: is computed as 0.125, which does not fit decimal(20,2)'],
    ['i', 'k * 100000000', 't (k=22), column i: is computed as 2200000000, which does not fit int (-2^31 to 2^31-1)'],
    ['i', '100 / (k - 33)', 't (k=33), column i: is computed as null or not at all, and is int'],
    ['i', "CASE WHEN k = 12 THEN 'twelve' END", 't (k=12), column i: is computed as twelve, which does not fit int'],
    ['d', 'u * 1000000000000', 't (k=1), column d: is computed as 1000000000000000000, which does not fit decimal(20,2)'],
  ])('of %s = %s is refused where it would be rounded, cut or lost, naming the row', async (column, expression, message) => {
    await expect(computed({ [column]: expression })).rejects.toThrow(message)
  })
})

describe('planning', () => {
  test('reads and describes tables that are not there, on every connection, and creates nothing', async () => {
    const url = withParams(await postgresDatabase(), { schema: 'not there' })
    const before = await ask(url, 'SELECT count(*) AS n FROM pg_class')
    const planning = await openPostgres({ url, mode: 'plan' })
    open.push(planning)
    await expect(planning.describe(sqlText('SELECT * FROM blocks'))).rejects.toThrow('relation "blocks" does not exist')
    expect(await planning.drift([blocks])).toEqual([])
    await planning.assume([blocks])
    const counts = await Promise.all(Array.from({ length: 4 }, () => all(planning, 'SELECT count(*) AS n FROM blocks, _pipe_quarantine')))
    expect(counts.flat()).toEqual(Array.from({ length: 4 }, () => ({ n: 0n })))
    expect((await planning.describe(sqlText('SELECT * FROM blocks'))).map(({ name, type }) => [name, type.kind])).toEqual([
      ['number', 'bigint'],
      ['hash', 'text'],
      ['ts', 'timestamp'],
      ['note', 'text'],
    ])
    expect([await planning.units('p'), await planning.touched('p', 's'), await planning.genesis(1)]).toEqual([[], [], undefined])
    expect(() => planning.commit([])).toThrow('was opened for planning')
    await planning.close()
    expect(await ask(url, "SELECT count(*) AS n FROM pg_class WHERE relpersistence <> 't'")).toEqual(before)
  })
})
