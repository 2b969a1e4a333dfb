import { afterEach, describe, expect, test } from 'vitest'
import { type Output, sqlText, type Table, type Warehouse } from '../../sdk/index.js'
import { openDuckdb } from './index.js'
import { all, output, step, table, write } from '../../../test/support/warehouse.js'

const open: Warehouse[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
})

async function opened(tables: readonly Table[] = [], ...statements: readonly string[]): Promise<Warehouse> {
  const warehouse = await openDuckdb({ path: ':memory:', mode: 'write' })
  open.push(warehouse)
  await warehouse.prepare(tables)
  await run(warehouse, statements)
  return warehouse
}

async function run(warehouse: Warehouse, statements: readonly string[]): Promise<void> {
  await warehouse.open(step, ['u'], 1n)
  const [unit] = await warehouse.units('p')
  await warehouse.commit([write([], { epoch: unit?.epoch ?? 0n, sql: statements.map(sqlText) })])
}

describe('preparing', () => {
  test('creates tables with key, required columns and indexes, and is content with what is there', async () => {
    const t = table('T "x"', { k: 'bigint', v: 'decimal(38,6)', n: 'json?' }, ['k'], { indexes: { 'by v': ['v', 'k'] } })
    const warehouse = await opened([t])
    await warehouse.prepare([t])
    expect(
      await all(
        warehouse,
        `SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE table_name = 'T "x"' ORDER BY column_index`,
      ),
    ).toEqual([
      { column_name: 'k', data_type: 'BIGINT', is_nullable: false },
      { column_name: 'v', data_type: 'DECIMAL(38,6)', is_nullable: false },
      { column_name: 'n', data_type: 'JSON', is_nullable: true },
    ])
    expect(await all(warehouse, 'SELECT index_name FROM duckdb_indexes()')).toEqual([{ index_name: 'by v' }])
    expect(await warehouse.drift([t])).toEqual([])
  })
})

describe('a table that differs', () => {
  const declared = table('t', { k: 'bigint', v: 'text', n: 'int?', d: 'decimal(20,6)?' }, ['k'])
  const drift = async (...statements: readonly string[]) =>
    (await (await opened([], ...statements)).drift([declared])).map(({ problem, fix }) => [problem, fix])

  test.each([
    ['CREATE TABLE t (k BIGINT PRIMARY KEY, v VARCHAR, n INTEGER, d DECIMAL(20,6))', []],
    ['CREATE TABLE t (K BIGINT, V VARCHAR NOT NULL, n INTEGER, d DECIMAL(20,6), more INT, UNIQUE (K))', []],
    [
      'CREATE TABLE t (k BIGINT PRIMARY KEY, v VARCHAR, n BIGINT, d DECIMAL(38,10))',
      [
        ['column n is BIGINT, wider than INTEGER: declare the type that it has', undefined],
        ['column d is DECIMAL(38,10), wider than DECIMAL(20,6): declare the type that it has', undefined],
      ],
    ],
    [
      'CREATE TABLE t (k BIGINT PRIMARY KEY, v VARCHAR, d DECIMAL(20,6))',
      [['has no column n (INTEGER)', 'ALTER TABLE "t" ADD COLUMN "n" INTEGER']],
    ],
    [
      'CREATE TABLE t (k BIGINT PRIMARY KEY, n INTEGER, d DECIMAL(20,6))',
      [
        [
          'has no column v (VARCHAR)',
          'ALTER TABLE "t" ADD COLUMN "v" VARCHAR; -- fill it, then:\nALTER TABLE "t" ALTER COLUMN "v" SET NOT NULL',
        ],
      ],
    ],
    [
      'CREATE TABLE t (k BIGINT PRIMARY KEY, v VARCHAR, n SMALLINT, d DECIMAL(20,8))',
      [
        ['column n is SMALLINT, not INTEGER', 'ALTER TABLE "t" ALTER COLUMN "n" SET DATA TYPE INTEGER'],
        ['column d is DECIMAL(20,8), not DECIMAL(20,6)', 'ALTER TABLE "t" ALTER COLUMN "d" SET DATA TYPE DECIMAL(20,6)'],
      ],
    ],
    [
      'CREATE TABLE t (k BIGINT PRIMARY KEY, v VARCHAR, n INTEGER NOT NULL, d DECIMAL(20,6), extra INT NOT NULL, fine INT NOT NULL DEFAULT 1)',
      [
        ['column n is NOT NULL and may be null in the pipeline', 'ALTER TABLE "t" ALTER COLUMN "n" DROP NOT NULL'],
        ['column extra is NOT NULL and nothing fills it', 'ALTER TABLE "t" ALTER COLUMN "extra" DROP NOT NULL'],
      ],
    ],
    ['CREATE TABLE t (k BIGINT, v VARCHAR, n INTEGER, d DECIMAL(20,6))', [['has no key (k)', 'ALTER TABLE "t" ADD PRIMARY KEY ("k")']]],
    ['CREATE TABLE t (k BIGINT, v VARCHAR, n INTEGER, d DECIMAL(20,6), PRIMARY KEY (k, v))', [['its key is (k, v), not (k)', undefined]]],
    ['CREATE TABLE t (k INTEGER PRIMARY KEY, v VARCHAR, n INTEGER, d DECIMAL(20,6))', [['column k is INTEGER, not BIGINT', undefined]]],
    ["CREATE VIEW t AS SELECT 1::BIGINT AS k, 'x' AS v", [['is a view, not a table', undefined]]],
  ])('%s', async (statement, wanted) => {
    expect(await drift(statement)).toEqual(wanted)
  })

  test('is as declared once its ALTERs were run', async () => {
    const warehouse = await opened([], 'CREATE TABLE t (k BIGINT, n SMALLINT NOT NULL, d VARCHAR, extra INT NOT NULL)')
    const fixes = (await warehouse.drift([declared])).flatMap(({ fix }) => (fix ?? '').split(/; -- fill it, then:\n/))
    for (const fix of fixes) await run(warehouse, [fix])
    expect(await warehouse.drift([declared])).toEqual([])
    await warehouse.prepare([declared])
    await run(warehouse, ["INSERT INTO t (k, v) VALUES (1, 'x') ON CONFLICT (k) DO UPDATE SET v = excluded.v"])
  })

  test('that is missing is no drift', async () => {
    expect(await (await opened()).drift([declared])).toEqual([])
  })
})

test('a column that is generated, or that is compared by a collation, is refused by name where it is declared', async () => {
  const ddl = `CREATE TABLE t (
    k VARCHAR COLLATE NOCASE PRIMARY KEY, "G,x" BIGINT GENERATED ALWAYS AS (n + 1), n BIGINT CHECK (n < 10),
    more BIGINT GENERATED ALWAYS AS (n), note VARCHAR DEFAULT 'x, y COLLATE NOCASE GENERATED ALWAYS AS (')`
  const warehouse = await opened([], ddl)
  const declared = table('t', { k: 'text', 'G,x': 'bigint?', n: 'bigint?', note: 'text?' }, ['k'])
  expect(await warehouse.drift([declared])).toEqual([
    { table: 't', problem: 'column k is compared with COLLATE NOCASE, which takes different texts for one', fix: undefined },
    { table: 't', problem: 'column g,x is generated, so nothing can be written into it', fix: undefined },
  ])
})

describe('checking outputs', () => {
  const t = table('t', { k: 'bigint', u: 'uint256', d: 'decimal(38,6)?', f: 'float?', n: 'text?', i: 'int?' }, ['k'])
  const check = async (of: Partial<Output>) => {
    const warehouse = await opened([t])
    return warehouse.checkOutputs([output(t, of)], new Map([[t.name, t]]))
  }
  const base = { columns: ['k', 'u'] }

  test('takes what is exact', async () => {
    await check({
      ...base,
      compute: { d: "CAST(CAST(u AS text) || 'e-6' AS decimal(38,6))", f: 'u * 2', n: "'mint' -- a comment", i: 'CAST(k % 7 AS INT)' },
    })
    await check({ columns: ['k'], constants: { n: "o'pt" }, compute: { u: 'CASE WHEN n = $$x$$ THEN k + 1 ELSE 0 END' } })
  })

  test.each([
    ['d', 'u * 2', 'compute of t.d: gives DOUBLE, which would be rounded into decimal(38,6)'],
    ['i', 'k / 2', 'compute of t.i: gives DOUBLE, which would be rounded into int'],
    ['i', 'k * 1.5', 'compute of t.i: gives DECIMAL'],
    ['d', 'nope + 1', 'compute of t.d: the database refused the SQL: Binder Error: Referenced column "nope" not found'],
    ['d', '1 +', 'compute of t.d: the database refused the SQL: Parser Error'],
    ['d', 'max(k)', 'compute of t.d: the database refused the SQL: Binder Error'],
    ['d', 'k, u', 'compute of t.d: gives STRUCT'],
    ['nope', '1', 'output t: t has no column nope; it has k, u, d, f, n, i'],
    ['u', '1', 'output t: column u of t is filled twice'],
  ])('refuses %s = %s before anything is fetched', async (column, expression, message) => {
    await expect(check({ ...base, compute: { [column]: expression } })).rejects.toThrow(message)
  })

  test('names the columns that a computation may use, and the ones that nothing fills', async () => {
    await expect(check({ ...base, compute: { d: 'n' } })).rejects.toMatchObject({
      hint: 'it may use the columns that the row brings: k, u',
    })
    await expect(check({ columns: ['k'] })).rejects.toThrow('output t: nothing fills u of t')
    await expect(check({ ...base, compute: { d: 'u / 3' } })).rejects.toMatchObject({
      hint: expect.stringContaining('multiply and divide decimal(p) columns') as string,
    })
  })
})

describe('assuming', () => {
  test('lets queries over missing tables be described and run, empty, by every connection, until they are made', async () => {
    const t = table('t', { k: 'bigint', u: 'uint256' }, ['k'])
    const warehouse = await openDuckdb({ path: ':memory:', mode: 'write' })
    open.push(warehouse)
    await expect(warehouse.describe(sqlText('SELECT * FROM t'))).rejects.toThrow('Table with name t does not exist')
    await warehouse.assume([t])
    expect((await warehouse.describe(sqlText('SELECT * FROM t'))).map(({ name, type }) => [name, type])).toEqual([
      ['k', { kind: 'bigint' }],
      ['u', { kind: 'int256' }],
    ])
    const counts = await Promise.all(Array.from({ length: 4 }, () => all(warehouse, 'SELECT count(*) AS n FROM t, _pipe_quarantine')))
    expect(counts.flat()).toEqual(Array.from({ length: 4 }, () => ({ n: 0n })))
    expect(await warehouse.units('p')).toEqual([])
    await warehouse.prepare([t])
    await warehouse.open(step, ['u'], 1n)
    await warehouse.commit([write([{ output: output(t), rows: [{ k: 1n, u: 2n }] }])])
    expect(await all(warehouse, 'SELECT * FROM t')).toEqual([{ k: 1n, u: 2n }])
  })
})
