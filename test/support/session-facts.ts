import { sqlText } from '../../src/sdk/index.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import { all, output, step, table, write } from './warehouse.js'

/** What a process of its own reads and writes in each warehouse that its arguments name, as `[kind, url]` in JSON. Prints JSON. */
const FACTS: Readonly<Record<string, Readonly<Record<'duckdb' | 'postgres' | 'clickhouse', string>>>> = {
  day: both('CAST(to_timestamp(1700000000) AS date)', 'toDate(toDateTime(1700000000))'),
  hour: both('EXTRACT(hour FROM to_timestamp(1700000000))', 'toHour(toDateTime(1700000000))'),
  year: both('EXTRACT(year FROM to_timestamp(1700000000))', 'toYear(toDateTime(1700000000))'),
  week: both("CAST(date_trunc('week', to_timestamp(1700000000)) AS date)", "toDate(dateTrunc('week', toDateTime(1700000000)))"),
  clock: both('CAST(CAST(to_timestamp(1700000000) AS timestamp) AS text)', 'toString(toDateTime(1700000000))'),
  instant: both(
    "CAST(EXTRACT(epoch FROM CAST('2023-11-14 22:13:20' AS timestamptz)) AS bigint)",
    "toUnixTimestamp(toDateTime('2023-11-14 22:13:20'))",
  ),
  month: {
    duckdb: "strftime(to_timestamp(1700000000), '%B')",
    postgres: "to_char(to_timestamp(1700000000), 'TMMonth')",
    clickhouse: "formatDateTime(toDateTime(1700000000), '%M')",
  },
  float: both('CAST(0.1 AS double precision) + CAST(0.2 AS double precision)', 'toFloat64(0.1) + toFloat64(0.2)'),
  unknown: both(
    "(SELECT CASE WHEN x = NULL THEN 'equal' ELSE 'unknown' END FROM (SELECT CAST(NULL AS int) AS x) AS t)",
    "(SELECT CASE WHEN x = NULL THEN 'equal' ELSE 'unknown' END FROM (SELECT CAST(NULL AS Nullable(Int32)) AS x) AS t)",
  ),
  nulls: both(
    "(SELECT string_agg(coalesce(CAST(x AS text), 'null'), ',' ORDER BY x) FROM (VALUES (2), (NULL), (1)) AS t(x))",
    "(SELECT arrayStringConcat(groupArray(coalesce(toString(x), 'null')), ',') FROM (SELECT arrayJoin([2, NULL, 1]) AS x ORDER BY x))",
  ),
  texts: both(
    "(SELECT string_agg(x, ',' ORDER BY x) FROM (VALUES ('b'), ('ä'), ('B'), ('a')) AS t(x))",
    "(SELECT arrayStringConcat(groupArray(x), ',') FROM (SELECT arrayJoin(['b', 'ä', 'B', 'a']) AS x ORDER BY x))",
  ),
}

function both(sql: string, clickhouse: string) {
  return { duckdb: sql, postgres: sql, clickhouse }
}

const days = table('days', { k: 'bigint', day: 'date' }, ['k'])
const computed = output(days, { columns: ['k'], compute: { day: 'CAST(to_timestamp(k) AS date)' } })
const selected = output(days, { columns: ['k', 'day'] })
const query = 'SELECT 1700000001 AS k, CAST(to_timestamp(1700000001) AS date) AS day'
const forClickhouse = (sql: string) => sql.replace(/CAST\(to_timestamp\((\w+)\) AS date\)/, 'toDate(toDateTime($1))')

const found: Record<string, unknown> = {}
for (const [kind, url] of JSON.parse(process.argv[2] ?? '[]') as readonly (readonly ['duckdb' | 'postgres' | 'clickhouse', string])[]) {
  const own = (sql: string) => (kind === 'clickhouse' ? forClickhouse(sql) : sql)
  const warehouse = await openWarehouse(url, { mode: 'write' })
  try {
    const texts = Object.entries(FACTS).map(
      ([name, sql]) => `CAST(${sql[kind]} AS ${kind === 'clickhouse' ? 'String' : 'text'}) AS ${name}`,
    )
    const [facts] = await all(warehouse, `SELECT ${texts.join(', ')}`)
    await warehouse.prepare([days])
    await warehouse.open(step, ['u'], 1n)
    const [unit] = await warehouse.units('p')
    const compute = { ...computed, compute: { day: own(computed.compute.day ?? '') } }
    await warehouse.commit([
      write([{ output: compute, rows: [{ k: 1_700_000_000n }] }], {
        epoch: unit?.epoch ?? 0n,
        selects: [{ output: selected, sql: sqlText(own(query)), replace: undefined }],
      }),
    ])
    const rows = await all(warehouse, 'SELECT k, day FROM days ORDER BY k')
    found[kind] = { ...facts, stored: rows.map(({ k, day }) => [Number(k), day]) }
  } finally {
    await warehouse.close()
  }
}
process.stdout.write(JSON.stringify(found))
