import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { chdbMissing } from './support/clickhouse-server.js'
import { minersFile } from './support/cli.js'
import { projectFolder, temporaryFolder } from './support/folder.js'
import { postgresDatabase } from './support/postgres.js'
import { readChdb } from './support/read-clickhouse.js'
import { readDuckdb, type TableContent } from './support/read-duckdb.js'
import { readPostgres } from './support/read-postgres.js'
import { runPipe } from './support/spawn-pipe.js'

const chdb = chdbMissing()
if (chdb !== undefined) process.stderr.write(`SKIPPED: ClickHouse beside the other warehouses, for chdb does not load here: ${chdb}\n`)

type Content = Readonly<Record<string, TableContent>>

/** Runs a demo into each warehouse that the pipeline is for, by one variable. Resolves to what is in the tables. */
async function onEach(
  file: string,
  args: readonly string[],
  tables: readonly string[],
  { clickhouse }: { readonly clickhouse: boolean },
): Promise<Readonly<Record<string, Content>>> {
  const cwd = temporaryFolder()
  const run = async (warehouse: string) => {
    const { code, stdout, stderr } = await runPipe(['run', file, '--demo', ...args], { cwd, env: { WAREHOUSE_URL: warehouse } })
    expect({ code, out: code === 0 ? '' : stdout + stderr }).toEqual({ code: 0, out: '' })
  }
  const postgres = await postgresDatabase()
  await run('duckdb:data/same.duckdb')
  await run(postgres)
  if (clickhouse) await run('chdb:data/ch')
  return {
    duckdb: await readDuckdb(join(cwd, 'data/same.duckdb'), { tables }),
    postgres: await readPostgres(postgres, tables),
    ...(clickhouse ? { clickhouse: await readChdb(join(cwd, 'data/ch'), { tables }) } : {}),
  }
}

const hashes = (content: Content) => Object.fromEntries(Object.entries(content).map(([name, { hash }]) => [name, hash]))

describe('one pipeline on every warehouse', () => {
  it('the demo of miners fills equal tables, by changing one line', async () => {
    const { duckdb = {}, ...others } = await onEach(minersFile, [], ['blocks', 'miners_balance'], { clickhouse: chdb === undefined })
    expect(duckdb.miners_balance?.rows).toHaveLength(290)
    for (const [name, content] of Object.entries(others)) expect([name, hashes(content)]).toEqual([name, hashes(duckdb)])
  }, 120_000)

  it('the demo of wallet metrics fills equal tables, those that SQL makes included, by changing one line', async () => {
    const tables = ['transactions', 'daily_active_wallets', 'daily_fees', 'wallet_activity', 'new_wallets']
    const file = join(projectFolder, 'pipelines/wallet-metrics.yaml')
    const { duckdb = {}, ...others } = await onEach(file, ['--param', 'days=15'], tables, { clickhouse: chdb === undefined })
    expect(duckdb.daily_fees?.rows.length).toBeGreaterThan(10)
    for (const [name, content] of Object.entries(others)) expect([name, content]).toEqual([name, duckdb])
  }, 180_000)

  it('the demo of transfers reads, proves, checks and publishes equal tables, by changing one line', async () => {
    const tables = ['erc20_transfers', 'erc1155_transfers', 'markets', 'net_flows', 'wallet_pnl', 'coverage']
    const file = join(projectFolder, 'pipelines/transfers.yaml')
    const { duckdb = {}, ...others } = await onEach(file, ['--param', 'to=2022-12-23'], tables, { clickhouse: chdb === undefined })
    expect(duckdb.wallet_pnl?.rows.length).toBeGreaterThan(100)
    for (const [name, content] of Object.entries(others)) expect([name, rounded(content)]).toEqual([name, rounded(duckdb)])
  }, 180_000)
})

const FLOATS: Readonly<Record<string, readonly string[]>> = { coverage: ['value'], wallet_pnl: ['realized_pnl', 'average_cost'] }

/** The rows, with floats to a millionth, since sums of floats depend on their order, and decimals without the zeros at their end. */
function rounded(content: Content) {
  const round = (table: string, [column, value]: readonly [string, unknown]) => {
    if (value !== null && FLOATS[table]?.includes(column) === true) return [column, Number(value).toFixed(6)] as const
    return [column, typeof value === 'string' && /^-?\d+\.\d+$/.test(value) ? value.replace(/\.?0+$/, '') : value] as const
  }
  return Object.entries(content).map(([table, { rows }]) => [
    table,
    rows.map((row) => Object.fromEntries(Object.entries(row).map((entry) => round(table, entry)))),
  ])
}
