import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Row, Warehouse } from '../../src/sdk/index.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import { output, step, write } from '../support/warehouse.js'
import type { Figure, GoalOptions } from './goals.js'
import { balances, columns, loadFigure, makeRows, plain } from './load-rows.js'
import { type Contender, pairs } from './measure.js'

const computing = output(balances, { compute: { balance_increase: 'balance_after - balance_before' } })

const COUNT = 200_000
/** Rows of one commit. The runner's own are of 10,000; ClickHouse is loaded in larger ones where it matters. */
const COMMITS = [10_000, 50_000] as const

/** Goal G4 on ClickHouse, embedded: commits beside one bare buffer of tab-separated values for the same rows, in the same pieces. */
export async function* loadClickhouse({ rounds }: GoalOptions): AsyncIterable<Figure> {
  const rows = makeRows(COUNT)
  for (const size of COMMITS) {
    const figures = await pairs(rounds, ours(rows, size, plain), bare(rows, size))
    yield loadFigure(`ClickHouse, commits of ${size.toLocaleString('en')}`, COUNT, figures, 0.9)
  }
  yield loadFigure(
    'ClickHouse, computing a column',
    COUNT,
    await pairs(rounds, ours(rows, 50_000, computing), bare(rows, 50_000)),
    undefined,
  )
}

function ours(rows: readonly Row[], size: number, of: typeof plain): Contender {
  let warehouse: Warehouse | undefined
  let folder = ''
  const opened = (): Warehouse => {
    if (!warehouse) throw new Error('not opened')
    return warehouse
  }
  const given = of === plain ? rows : rows.map((row) => Object.fromEntries(of.columns.map((name) => [name, row[name] ?? null])))
  return {
    before: async () => {
      folder = await mkdtemp(join(tmpdir(), 'pipe-bench-'))
      warehouse = await openWarehouse(`chdb:${folder}`, { mode: 'write' })
      await opened().prepare([balances])
      await opened().open(step, ['u'], 1n)
      await opened().checkOutputs([of], new Map([[balances.name, balances]]))
    },
    work: async () => {
      for (let from = 0; from < given.length; from += size)
        await opened().commit([write([{ output: of, rows: given.slice(from, from + size) }], { ledger: { cursor: { at: from } } })])
    },
    after: async () => {
      await opened().close()
      await rm(folder, { recursive: true })
    },
  }
}

interface Session {
  query(sql: string): string
  insert(params: { table: string; columns: readonly string[]; values: Buffer; format: 'TabSeparated' }): Promise<unknown>
  close(): void
}

/** Text and one insert for each piece: no check, no version, no ledger. */
function bare(rows: readonly Row[], size: number): Contender {
  const chdb = createRequire(import.meta.url)('chdb') as {
    Session: new (path: string, options: { readonly connectionArgs: readonly string[] }) => Session
    drainPending(): Promise<void>
  }
  let session: Session | undefined
  let folder = ''
  return {
    before: async () => {
      folder = await mkdtemp(join(tmpdir(), 'pipe-bench-'))
      session = new chdb.Session(folder, { connectionArgs: ['--max_threads=2', '--session_timezone=UTC'] })
      session.query(
        "CREATE TABLE miners_balance (block_number Int64, miner String, block_hash String, at DateTime64(6, 'UTC'), balance_before UInt256, balance_after UInt256, balance_increase Int256) ENGINE = ReplacingMergeTree ORDER BY block_number",
      )
    },
    work: async () => {
      for (let from = 0; from < rows.length; from += size) {
        let text = ''
        for (const row of rows.slice(from, from + size)) {
          // Whole seconds, the shortest way to write a time.
          const at = (row.at as bigint) / 1_000_000n
          text += `${String(row.block_number)}\t${String(row.miner)}\t${String(row.block_hash)}\t${at}\t${String(row.balance_before)}\t${String(row.balance_after)}\t${String(row.balance_increase)}\n`
        }
        await session?.insert({ table: 'miners_balance', columns, values: Buffer.from(text), format: 'TabSeparated' })
      }
    },
    after: async () => {
      session?.close()
      await chdb.drainPending()
      await rm(folder, { recursive: true })
    },
  }
}
