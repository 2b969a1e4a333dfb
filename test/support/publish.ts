import { beginBuild, swapIn } from '../../src/ledger/versions.js'
import { type Row, shadowName, sqlText, type Table, type Warehouse, type WriteOutcome } from '../../src/sdk/index.js'
import { all, output, step, table, write } from './warehouse.js'

export const flows = table('flows', { k: 'bigint', v: 'text?' }, ['k'], { indexes: { flows_v: ['v'] } })
export const totals = table('totals', { name: 'text', n: 'uint256' }, ['name'])
export const source = table('source', { k: 'bigint' }, ['k'])
export const tables = [flows, totals]
const MINUTE = 60_000_000n

export const at = (minutes: number): bigint => 1_700_000_000_000_000n + BigInt(minutes) * MINUTE
/** Ledger rows know their table by what it is called beside the declared one. */
export const shadows = tables.map((of) => ({ table: of, name: shadowName(of.name) }))
export const of = async (warehouse: Warehouse, minutes: number) => ({
  ...step,
  versions: await warehouse.versions('p', 's'),
  at: at(minutes),
})

/** Builds shadows that say `n` and puts them into place. `swap: false`: only builds them. */
export async function publish(
  warehouse: Warehouse,
  n: number,
  { swap = true, epoch: stale, before }: { readonly swap?: boolean; readonly epoch?: bigint; readonly before?: () => void } = {},
): Promise<readonly WriteOutcome[]> {
  const unit = (await warehouse.open(step, ['u'], 1n)).get('u')
  const epoch = unit?.epoch ?? 0n
  const fill = (to: Table, query: string) => ({
    output: { ...output(to), table: shadowName(to.name) },
    sql: sqlText(query),
    replace: 'all' as const,
  })
  const base = { epoch, shadows }
  await warehouse.commit([write([], { ...base, makes: beginBuild(await of(warehouse, n), tables), clearsTouched: true, touchedAs: 'all' })])
  const outcomes = await warehouse.commit([
    write([], {
      ...base,
      selects: [fill(flows, `SELECT k, '${n}' AS v FROM source`), fill(totals, `SELECT '${n}' AS name, count(*) AS n FROM flows__next`)],
    }),
  ])
  if (outcomes[0]?.written !== true) throw new Error('the shadows were not filled')
  if (!swap) return []
  before?.()
  const put = swapIn(await of(warehouse, n), tables, { keep: 2, bare: n === 1 })
  return warehouse.commit([write([], { ...base, swap: put, touchedAs: 'all', epoch: stale ?? epoch, ledger: { state: 'done' } })])
}

/** What both tables hold. */
export async function content(warehouse: Warehouse): Promise<readonly (Row | undefined)[]> {
  const [first] = await all(warehouse, 'SELECT count(*) AS n, min(v) AS least, max(v) AS most FROM flows')
  return [first, ...(await all(warehouse, 'SELECT name, n FROM totals ORDER BY name'))]
}

export const holds = (n: number, rows = 3) => [
  { n: BigInt(rows), least: String(n), most: String(n) },
  { name: String(n), n: BigInt(rows) },
]

/** Names of the tables that are no ledger's. */
export async function names(warehouse: Warehouse): Promise<string[]> {
  const from = {
    duckdb: 'SELECT table_name AS name FROM duckdb_tables() WHERE NOT temporary',
    postgres:
      "SELECT relname AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())",
    clickhouse: "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'",
  }[warehouse.kind]
  return (await all(warehouse, from))
    .map(({ name }) => String(name))
    .filter((name) => !name.startsWith('_pipe_'))
    .sort()
}

/** Makes the table that others are built from, of three rows. */
export async function fillSource(warehouse: Warehouse): Promise<void> {
  await warehouse.prepare([source, ...tables])
  const epoch = (await warehouse.open(step, ['first'], 1n)).get('first')?.epoch ?? 0n
  await warehouse.commit([
    write([{ output: output(source), rows: [{ k: 1 }, { k: 2 }, { k: 3 }] }], { unit: 'first', epoch, ledger: { state: 'done' } }),
  ])
}

/** Of whoever starts next. */
export const claim = {
  pipeline: 'p',
  id: 'next',
  self: { pid: 1, host: 'h', since: 0 },
  alive: () => false,
  taken: (error: Error) => {
    throw error
  },
}
