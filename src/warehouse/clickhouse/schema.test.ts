import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Output, sqlText, type Table, type Warehouse } from '../../sdk/index.js'
import { chdbMissing, type ClickhouseServer, startClickhouse } from '../../../test/support/clickhouse-server.js'
import { all, output, step, table, write } from '../../../test/support/warehouse.js'
import { createIndex, createTable } from './ddl.js'
import { openClickhouse } from './index.js'
import { readServerUrl } from './open.js'
import { tableDrift } from './schema.js'

const missing = chdbMissing()
if (missing !== undefined)
  process.stderr.write(`SKIPPED: tables of ClickHouse, for the engine behind it, chdb, does not load here: ${missing}\n`)

let server: ClickhouseServer
const open: Warehouse[] = []
beforeAll(async () => {
  if (missing === undefined) server = await startClickhouse()
})
afterAll(async () => {
  for (const warehouse of open) await warehouse.close()
  server?.close()
})

async function opened(tables: readonly Table[] = [], ...statements: readonly string[]) {
  const url = await server.database()
  const admin = (sql: string) => server.admin(sql, new URL(url).pathname.slice(1))
  for (const statement of statements) await admin(statement)
  const warehouse = await openClickhouse({ url, mode: 'write', waitsMs: [] })
  open.push(warehouse)
  if (tables.length > 0) {
    await warehouse.prepare(tables)
    await warehouse.open(step, ['u'], 1n)
  }
  return { warehouse, admin, url }
}

const OWN = '_pipe_version UInt64 MATERIALIZED 0, _pipe_deleted UInt8 MATERIALIZED 0'
const ENGINE = 'ENGINE = ReplacingMergeTree(_pipe_version, _pipe_deleted)'
const WINDOW = 'SETTINGS non_replicated_deduplication_window = 1000'

describe.skipIf(missing !== undefined)('preparing', () => {
  test('creates tables that people read as they are declared, and is content with what is there', async () => {
    const t = table('T "x"', { k: 'bigint', v: 'decimal(38,6)', n: 'json?', at: 'timestamp' }, ['k', 'at'], {
      indexes: { 'by v': ['v', 'k'] },
    })
    const { warehouse, admin } = await opened([t])
    await warehouse.prepare([t])
    expect(
      await admin(`SELECT name, type FROM system.columns WHERE table = 'T "x"' AND database = currentDatabase() AND default_kind = ''`),
    ).toBe(
      ['k\tInt64', 'v\tDecimal(38, 6)', 'n\tSimpleAggregateFunction(anyLast, Nullable(String))', "at\tDateTime64(6, \\'UTC\\')"].join('\n'),
    )
    expect(await admin(`SELECT engine_full FROM system.tables WHERE name = 'T "x"' AND database = currentDatabase()`)).toMatch(
      /^ReplacingMergeTree\(_pipe_version, _pipe_deleted\) ORDER BY \(k, at\) SETTINGS non_replicated_deduplication_window = 1000/,
    )
    expect(await admin('SELECT name, type FROM system.data_skipping_indices WHERE database = currentDatabase()')).toBe('by v\tminmax')
    expect(await warehouse.drift([t])).toEqual([])
  })
})

describe.skipIf(missing !== undefined)('a user with few rights', () => {
  test('is told what gives the one that lacks, and makes nothing that is there', async () => {
    const t = table('t', { k: 'bigint', v: 'text' }, ['k'], { indexes: { by_v: ['v'] } })
    const { warehouse } = await opened()
    server.fault({
      when: ({ query }) => query.startsWith('CREATE TABLE'),
      times: 1,
      kind: 'error',
      error:
        "Code: 497. DB::Exception: loader: Not enough privileges. To execute this query, it's necessary to have the grant CREATE TABLE ON lake._pipe_units. (ACCESS_DENIED) (version 25.8.1.1)",
    })
    await expect(warehouse.prepare([t])).rejects.toMatchObject({
      hint: 'have an administrator type: GRANT CREATE TABLE ON lake._pipe_units TO loader',
    })
    await warehouse.prepare([t])
    const before = server.log.length
    await warehouse.prepare([t])
    expect(server.log.slice(before).filter(({ query }) => /^(?:CREATE|ALTER)/.test(query))).toEqual([])
  })
})

describe.skipIf(missing !== undefined)('a table that differs', () => {
  const declared = table('t', { k: 'bigint', v: 'text', n: 'int?', d: 'decimal(20,6)?' }, ['k'])
  const drift = async (...statements: readonly string[]) =>
    (await (await opened([], ...statements)).warehouse.drift([declared])).map(({ problem, fix }) => [problem, fix])
  const columns = 'k Int64, v String, n Nullable(Int32), d Nullable(Decimal(20, 6))'

  test.each([
    ['as it should be', `CREATE TABLE t (${columns}, ${OWN}) ${ENGINE} ORDER BY k ${WINDOW}`, []],
    [
      'wider',
      `CREATE TABLE t (k Int64, v Nullable(String), n Nullable(Int64), d Nullable(Decimal(38, 10)), more UInt8, ${OWN}) ${ENGINE} ORDER BY (k) ${WINDOW}`,
      [
        ['column n is Nullable(Int64), wider than Nullable(Int32): declare the type that it has', undefined],
        ['column d is Nullable(Decimal(38, 10)), wider than Nullable(Decimal(20,6)): declare the type that it has', undefined],
      ],
    ],
    [
      'without a column',
      `CREATE TABLE t (k Int64, v String, d Nullable(Decimal(20, 6)), ${OWN}) ${ENGINE} ORDER BY k ${WINDOW}`,
      [['has no column n (Nullable(Int32))', 'ALTER TABLE "t" ADD COLUMN "n" Nullable(Int32)']],
    ],
    [
      'with narrower columns',
      `CREATE TABLE t (k Int64, v FixedString(3), n Nullable(Int16), d Decimal(20, 6), ${OWN}) ${ENGINE} ORDER BY k ${WINDOW}`,
      [
        ['column v is FixedString(3), not String', 'ALTER TABLE "t" MODIFY COLUMN "v" String'],
        ['column n is Nullable(Int16), not Nullable(Int32)', 'ALTER TABLE "t" MODIFY COLUMN "n" Nullable(Int32)'],
        [
          'column d is Decimal(20, 6), which holds no NULL, and may be null in the pipeline',
          'ALTER TABLE "t" MODIFY COLUMN "d" Nullable(Decimal(20,6))',
        ],
      ],
    ],
    [
      'with another key',
      `CREATE TABLE t (${columns}, ${OWN}) ${ENGINE} ORDER BY (k, v) ${WINDOW}`,
      [['is ordered by (k, v), not by its key (k): rows of one key would never become one', undefined]],
    ],
    [
      'partitioned by what is no part of the key',
      `CREATE TABLE t (${columns}, ${OWN}) ${ENGINE} PARTITION BY length(v) ORDER BY k ${WINDOW}`,
      [
        [
          'is partitioned by length(v), and v is no part of its key: versions of one row lie in two partitions and never become one',
          undefined,
        ],
      ],
    ],
    [
      'with columns that keep nothing of what is written, and with rows that go with time',
      `CREATE TABLE t (k Int64, v String MATERIALIZED 'TTL', n Nullable(Int32) ALIAS 1, d Nullable(Decimal(20, 6)) EPHEMERAL, at DateTime TTL at + INTERVAL 1 DAY, ${OWN}) ${ENGINE} ORDER BY k TTL at + INTERVAL 1 DAY ${WINDOW}`,
      [
        [
          'column v is MATERIALIZED, so what is written into it is left out by SELECT *',
          'ALTER TABLE "t" MODIFY COLUMN "v" REMOVE MATERIALIZED',
        ],
        ['column n is ALIAS, so what is written into it is refused or lost', 'ALTER TABLE "t" MODIFY COLUMN "n" REMOVE ALIAS'],
        [
          'column d is EPHEMERAL, so what is written into it is refused or lost',
          'ALTER TABLE "t" DROP COLUMN "d", ADD COLUMN "d" Nullable(Decimal(20,6))',
        ],
        ['it has a TTL, by which ClickHouse drops what is written (declare it as `retention`, or remove it)', 'ALTER TABLE "t" REMOVE TTL'],
        [
          'column at has a TTL, by which ClickHouse drops what is written (declare it as `retention`, or remove it)',
          'ALTER TABLE "t" MODIFY COLUMN `at` REMOVE TTL',
        ],
      ],
    ],
    [
      'with parts that are packed with time',
      `CREATE TABLE t (${columns}, at DateTime DEFAULT '2020-01-01', ${OWN}) ${ENGINE} ORDER BY k TTL at + INTERVAL 1 DAY RECOMPRESS CODEC(ZSTD(3)) ${WINDOW}`,
      [],
    ],
    ['partitioned by its key', `CREATE TABLE t (${columns}, ${OWN}) ${ENGINE} PARTITION BY intDiv(k, 1000000) ORDER BY k ${WINDOW}`, []],
    [
      'without versions of ours',
      `CREATE TABLE t (${columns}, at DateTime) ENGINE = ReplacingMergeTree(at) ORDER BY k ${WINDOW}`,
      [['is a ReplacingMergeTree(at), not (_pipe_version, _pipe_deleted): which version of a row counts would be chance', undefined]],
    ],
    [
      'that keeps doubles',
      `CREATE TABLE t (${columns}) ENGINE = MergeTree ORDER BY k`,
      [
        [
          'is a MergeTree, which keeps rows of one key side by side; it must be a ReplacingMergeTree(_pipe_version, _pipe_deleted)',
          undefined,
        ],
      ],
    ],
    [
      'that forgets inserts',
      `CREATE TABLE t (${columns}, ${OWN}) ${ENGINE} ORDER BY k`,
      [
        [
          'forgets which inserts it has seen, so one that is tried again could count twice',
          'ALTER TABLE "t" MODIFY SETTING non_replicated_deduplication_window = 1000',
        ],
      ],
    ],
    ['that is a view', "CREATE VIEW t AS SELECT toInt64(1) AS k, 'x' AS v", [['is a view, not a table', undefined]]],
  ])('%s', async (_, statement, wanted) => {
    expect(await drift(statement)).toEqual(wanted)
  })

  test('whose rows go with time may do so where `retention` is declared', async () => {
    const { warehouse } = await opened(
      [],
      `CREATE TABLE t (${columns}, at DateTime, ${OWN}) ${ENGINE} ORDER BY k TTL at + INTERVAL 1 DAY ${WINDOW}`,
    )
    expect(await warehouse.drift([{ ...declared, retention: { column: 'at', ms: 86_400_000 } }])).toEqual([])
  })

  test('is as declared once its ALTERs were run', async () => {
    const { warehouse, admin } = await opened([], `CREATE TABLE t (k Int64, n Int16, d Nullable(String), ${OWN}) ${ENGINE} ORDER BY k`)
    for (const { fix } of await warehouse.drift([declared])) await admin(fix ?? '')
    expect(await warehouse.drift([declared])).toEqual([])
    await warehouse.prepare([declared])
    await warehouse.open(step, ['u'], 1n)
    await warehouse.commit([write([{ output: output(declared), rows: [{ k: 1n, v: 'x', n: null, d: '1.5' }] }])])
    expect(await all(warehouse, 'SELECT * FROM t')).toEqual([{ k: 1n, n: null, d: '1.500000', v: 'x' }])
  })
})

describe.skipIf(missing !== undefined)('a table with rules of its own', () => {
  const t = table('t', { k: 'bigint', v: 'bigint' }, ['k'])

  test('has its checks told of once, before anything is written; a row that one refuses is named', async () => {
    const create = `CREATE TABLE t (k Int64, v Int64, CONSTRAINT \`small one\` CHECK v < 100, CONSTRAINT told ASSUME v > 0, ${OWN}) ${ENGINE} ORDER BY k ${WINDOW}`
    const { warehouse } = await opened([], create)
    const told: string[] = []
    warehouse.hear((message) => told.push(message))
    expect([await warehouse.drift([t]), await warehouse.drift([t])]).toEqual([[], []])
    expect(told).toEqual([
      't has rules of its own: check `small one`. A row that they refuse is an error that names it, and so are rows that they take away or change',
    ])
    await warehouse.prepare([t])
    await warehouse.open(step, ['u'], 1n)
    const rows = [1n, 200n].map((v) => ({ k: v, v }))
    await expect(warehouse.commit([write([{ output: output(t), rows }])])).rejects.toThrow(
      't (k=200), column v: 200 is refused by its check `small one` (v < 100)',
    )
    expect(await all(warehouse, 'SELECT * FROM t')).toEqual([])
  })

  // The engine here has no row policies, so what the server says of them is given by hand.
  test('is refused where a row policy hides rows, with what takes it away', () => {
    const columns = new Map(['k', 'v'].map((name) => [name, { type: 'Int64', default: '', inPartitionKey: false }]))
    const there = {
      name: 't',
      engine: 'ReplacingMergeTree',
      definition: `ReplacingMergeTree(_pipe_version, _pipe_deleted) ORDER BY k ${WINDOW}`,
      statement: '',
      sortingKey: 'k',
      partitionKey: '',
      columns,
    }
    const place = { cluster: undefined } as unknown as Parameters<typeof tableDrift>[2]
    expect(tableDrift(t, { ...there, policies: [] }, place)).toEqual([])
    expect(tableDrift(t, { ...there, policies: ['own_rows'] }, place)).toEqual([
      {
        table: 't',
        problem: 'has the row policy own_rows, which hides rows from those who read it: what is there would count as missing',
        fix: 'DROP ROW POLICY "own_rows" ON "t"',
      },
    ])
  })
})

describe.skipIf(missing !== undefined)('computing', () => {
  const t = table(
    't',
    { k: 'bigint', a: 'uint256', b: 'uint256', s: 'int256?', u: 'uint256?', i: 'int?', d: 'decimal(38,6)?', f: 'float?', n: 'text?' },
    ['k'],
  )
  const MAX = 2n ** 256n - 1n
  const TOP = 2n ** 255n
  let warehouse: Warehouse
  beforeAll(async () => ({ warehouse } = await opened([t])))
  const columns = ['k', 'a', 'b']
  const compute = async (expressions: Record<string, string>, a: bigint, b: bigint, k = 1n) => {
    const of = output(t, { columns, compute: expressions })
    await warehouse.checkOutputs([of], new Map([[t.name, t]]))
    await warehouse.commit([write([{ output: of, rows: [{ k, a, b }] }])])
    const [row] = await all(warehouse, 'SELECT s, u, i, d FROM t')
    return row
  }

  test.each([
    [0n, 0n],
    [0n, 1n],
    [1n, 0n],
    [TOP - 1n, 0n],
    [0n, TOP],
    [MAX, MAX],
    [MAX, TOP],
    [TOP, MAX],
    [MAX, MAX - TOP + 1n],
    [2n ** 53n + 1n, 2n ** 128n],
  ])('%s less %s is exact', async (a, b) => {
    expect(await compute({ s: 'a - b' }, a, b)).toMatchObject({ s: a - b })
  })

  test.each([
    ['s', 'a - b', MAX, 0n, 'does not fit int256'],
    ['s', 'a - b', 0n, MAX, 'does not fit int256'],
    ['s', 'a - b', TOP, 0n, 'does not fit int256'],
    ['u', 'a - b', 0n, 1n, 't (k=1), column u: is computed as -1, which does not fit uint256 (0 to 2^256-1)'],
    ['u', 'a + b', MAX, 1n, 'does not fit uint256'],
    ['u', 'a * b', 2n ** 200n, 2n ** 60n, 'does not fit uint256'],
    ['s', '-a', MAX, 0n, 'does not fit int256'],
    ['i', 'k * 4294967296', 1n, 1n, 't (k=1), column i: is computed as 4294967296, which does not fit int (-2^31 to 2^31-1)'],
    ['i', 'k * k * k * k * k', 1n, 1n, 'does not fit int'],
    ['i', 'a', MAX, 0n, 'does not fit int'],
    ['u', "concat('1', toString(a))", MAX, 0n, 'does not fit uint256'],
  ])('%s = %s of %s and %s is refused, not wrapped around', async (column, expression, a, b, message) => {
    const k = expression.startsWith('k * k') ? 2n ** 62n : 1n
    await expect(compute({ [column]: expression }, a, b, k)).rejects.toThrow(message)
  })

  test.each([
    ['u', 'a + b', MAX - 1n, 1n, MAX],
    ['u', 'a * b', 2n ** 255n, 1n, 2n ** 255n],
    ['u', 'a - b + b', 5n, MAX, 5n],
    ['u', 'a * b - a * b + 7', 2n ** 200n, 2n ** 200n, 7n],
    ['s', 'CASE WHEN a > b THEN a - b ELSE b - a END', TOP, MAX, TOP - 1n],
    ['s', '-a', TOP, 0n, -TOP],
    ['i', 'k * 7 - 1', 0n, 0n, 6n],
    ['i', 'a % 10', MAX, 0n, 5n],
    ['d', "CAST(CAST(a AS text) || 'e-6' AS decimal(38,6))", 1_234_567n, 0n, '1.234567'],
    ['d', 'k', 0n, 0n, '1.000000'],
  ])('%s = %s of %s and %s is %s', async (column, expression, a, b, expected) => {
    expect(await compute({ [column]: expression }, a, b)).toMatchObject({ [column]: expected })
  })

  const check = (of: Partial<Output>) => warehouse.checkOutputs([output(t, of)], new Map([[t.name, t]]))

  test.each([
    ['s', 'a / 2', 'compute of t.s: gives Nullable(Float64), which would be rounded into int256'],
    ['i', 'k / 2', 'compute of t.i: gives Nullable(Float64), which would be rounded into int'],
    ['s', '123456789012345678901234567890', 'compute of t.s: gives Float64'],
    ['d', 'CAST(1 AS decimal(10,2)) / 3', 'divides, and ClickHouse cuts off what does not divide'],
    ['d', 'nope + 1', 'compute of t.d: the database refused the SQL: Unknown expression'],
    ['d', '1 +', 'compute of t.d: the database refused the SQL: Syntax error'],
    ['s', 'max(a)', 'compute of t.s: the database refused the SQL'],
    ['d', "CAST(CAST(a - b AS text) || 'e-6' AS decimal(38,6))", 'in a way that can’t be checked for wrapping around'],
    ['nope', '1', 'output t: t has no column nope'],
  ])('refuses %s = %s before anything is fetched', async (column, expression, message) => {
    await expect(check({ columns, compute: { [column]: expression } })).rejects.toThrow(message)
  })

  test('takes what is exact, and names the columns that it may use', async () => {
    await check({
      columns,
      compute: { d: "CAST(CAST(a AS text) || 'e-6' AS decimal(38,6))", f: 'a * 2', n: "'mint' -- a comment", i: 'CAST(k % 7 AS INT)' },
    })
    await check({ columns: ['k', 'a'], constants: { n: "o'pt \\" }, compute: { b: 'a + 1' } })
    await expect(check({ columns, compute: { d: 'zzz' } })).rejects.toMatchObject({
      hint: 'it may use the columns that the row brings: k, a, b',
    })
  })
})

describe.skipIf(missing !== undefined)('planning', () => {
  test('lets queries over missing tables be described and run, empty, and makes nothing', async () => {
    const t = table('t', { k: 'bigint', u: 'uint256', j: 'json?', at: 'timestamp', day: 'date?', b: 'bool', d: 'decimal(38,6)' }, ['k'])
    const { url, admin } = await opened()
    const warehouse = await openClickhouse({ url, mode: 'plan', waitsMs: [] })
    open.push(warehouse)
    await expect(warehouse.describe(sqlText('SELECT * FROM t'))).rejects.toThrow(/Unknown table expression identifier 't'/)
    await warehouse.assume([t])
    expect(await warehouse.missing([t])).toEqual([t])
    await admin('CREATE TABLE there (k Int64) ENGINE = ReplacingMergeTree ORDER BY k')
    expect(await warehouse.missing([{ ...t, name: 'there' }])).toEqual([])
    await admin('DROP TABLE there')
    expect((await warehouse.describe(sqlText('SELECT * FROM t'))).map(({ name, type }) => [name, type.kind])).toEqual(
      t.columns.map(({ name, type }) => [name, type.kind]),
    )
    expect(await all(warehouse, 'SELECT count(*) AS n FROM t, _pipe_quarantine')).toEqual([{ n: 0n }])
    expect(
      await all(
        warehouse,
        '-- why\nWITH x AS (SELECT k FROM t) SELECT count(*) AS n FROM x WHERE NOT EXISTS (SELECT 1 FROM t AS y WHERE y.k = x.k)',
      ),
    ).toEqual([{ n: 0n }])
    expect([
      await warehouse.units('p'),
      await warehouse.quarantined('p'),
      await warehouse.touched('p', 's'),
      await warehouse.genesis(1),
    ]).toEqual([[], [], [], undefined])
    expect(await admin('SHOW TABLES')).toBe('')
  })
})

describe.skipIf(missing !== undefined)('a cluster', () => {
  test('has its name in all DDL, and tables are replicated: this is checked by the parser of ClickHouse only', () => {
    const t = table('t', { k: 'bigint', v: 'text?' }, ['k'])
    const { place } = readServerUrl('clickhouse://host/db?cluster=main')
    const ddl = [createTable(t, place), createIndex(t, 'by_v', ['v'], place) ?? '']
    expect(ddl[0]).toBe(
      'CREATE TABLE IF NOT EXISTS "t" ON CLUSTER "main" ("k" Int64, "v" Nullable(String), _pipe_version UInt64 MATERIALIZED 0, _pipe_deleted UInt8 MATERIALIZED 0) ' +
        "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/{shard}', '{replica}', _pipe_version, _pipe_deleted) ORDER BY (\"k\") SETTINGS replicated_deduplication_window = 1000",
    )
    return Promise.all(ddl.map((text) => server.admin(`EXPLAIN AST ${text}`))).then((trees) => {
      expect(trees[0]).toContain('CreateQuery')
      expect(trees[1]).toContain('AlterQuery')
    })
  })
})

describe('the URL of a server', () => {
  test.each([
    [
      'clickhouse://host',
      { url: 'http://host:8123', username: 'default', password: '', database: 'default', display: 'clickhouse://host:8123/default' },
    ],
    [
      'clickhouses://u:p%40ss@ch.example.com/chain',
      {
        url: 'https://ch.example.com:8443',
        username: 'u',
        password: 'p@ss',
        database: 'chain',
        display: 'clickhouses://ch.example.com:8443/chain',
      },
    ],
    ['http://host:80/db', { url: 'http://host:80', username: 'default', password: '', database: 'db', display: 'clickhouse://host:80/db' }],
    [
      'https://u@[::1]:9000/db/',
      { url: 'https://[::1]:9000', username: 'u', password: '', database: 'db', display: 'clickhouses://[::1]:9000/db' },
    ],
  ])('%s', (url, expected) => {
    expect(readServerUrl(url)).toEqual({ ...expected, place: { cluster: undefined } })
  })

  test.each([
    ['clickhouse://', 'is no URL that can be read'],
    ['clickhouse://u:p%zz@host/db', 'has a % in its user or password that is no escape'],
    ['clickhouse://host/a/b', 'names a database with a / in it'],
    ['clickhouse://host/db?secret=1', 'has an option secret that is not known'],
  ])('%s is refused, and not shown', (url, message) => {
    expect(() => readServerUrl(url)).toThrow(message)
  })
})
