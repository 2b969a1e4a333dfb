import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BIGINT, type DuckDBConnection, DuckDBDataChunk, DuckDBInstance, VARCHAR } from '@duckdb/node-api'
import type { Row, Warehouse } from '../../src/sdk/index.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import { step, write } from '../support/warehouse.js'
import type { Figure, GoalOptions } from './goals.js'
import { balances, COMMIT, loadFigure, makeRows, plain } from './load-rows.js'
import { type Contender, pairs } from './measure.js'

const COUNT = 200_000

/** Goal G4 on DuckDB: commits beside a bare upsert of the same rows through a temporary table, in the same pieces. */
export async function* loadDuckdb({ rounds }: GoalOptions): AsyncIterable<Figure> {
  const rows = makeRows(COUNT)
  yield loadFigure('DuckDB, beside a bare staged upsert', COUNT, await pairs(rounds, ours(rows), bare(rows)), 0.85)
}

function ours(rows: readonly Row[]): Contender {
  let warehouse: Warehouse | undefined
  let folder = ''
  const opened = (): Warehouse => {
    if (!warehouse) throw new Error('not opened')
    return warehouse
  }
  return {
    before: async () => {
      folder = await mkdtemp(join(tmpdir(), 'pipe-bench-'))
      warehouse = await openWarehouse(`duckdb:${join(folder, 'load.duckdb')}`, { mode: 'write' })
      await opened().prepare([balances])
      await opened().open(step, ['u'], 1n)
      await opened().checkOutputs([plain], new Map([[balances.name, balances]]))
    },
    work: async () => {
      for (let from = 0; from < rows.length; from += COMMIT)
        await opened().commit([write([{ output: plain, rows: rows.slice(from, from + COMMIT) }], { ledger: { cursor: { at: from } } })])
    },
    after: async () => {
      await opened().close()
      await rm(folder, { recursive: true })
    },
  }
}

const VECTOR = 2_048

/** Chunks into a temporary table, one upsert a piece: no check, no ledger. */
function bare(rows: readonly Row[]): Contender {
  let instance: DuckDBInstance | undefined
  let connection: DuckDBConnection | undefined
  let folder = ''
  const types = [BIGINT, VARCHAR, VARCHAR, BIGINT, VARCHAR, VARCHAR, VARCHAR]
  const chunk = DuckDBDataChunk.create(types)
  return {
    before: async () => {
      folder = await mkdtemp(join(tmpdir(), 'pipe-bench-'))
      instance = await DuckDBInstance.create(join(folder, 'load.duckdb'), { threads: '2', memory_limit: '256MB' })
      connection = await instance.connect()
      const names = 'block_number BIGINT, miner VARCHAR, block_hash VARCHAR'
      await connection.run(
        `CREATE TABLE miners_balance (${names}, "at" TIMESTAMP, balance_before BIGNUM, balance_after BIGNUM, balance_increase BIGNUM, PRIMARY KEY (block_number))`,
      )
      await connection.run(
        `CREATE TEMPORARY TABLE stage (${names}, "at" BIGINT, balance_before VARCHAR, balance_after VARCHAR, balance_increase VARCHAR)`,
      )
    },
    work: async () => {
      if (!connection) throw new Error('not opened')
      for (let from = 0; from < rows.length; from += COMMIT) {
        await connection.run('BEGIN')
        const appender = await connection.createAppender('stage', 'main', 'temp')
        for (let at = from; at < from + COMMIT; at += VECTOR) {
          const part = rows.slice(at, Math.min(at + VECTOR, from + COMMIT))
          chunk.reset()
          chunk.rowCount = part.length
          balances.columns.forEach(({ name, type }, i) => {
            const vector = chunk.getColumnVector(i)
            const text = type.kind === 'uint256' || type.kind === 'int256'
            part.forEach((row, n) => vector.setItem(n, text ? String(row[name] as bigint) : (row[name] as bigint | string)))
            vector.flush()
          })
          appender.appendDataChunk(chunk)
        }
        appender.closeSync()
        await connection.run(
          'INSERT INTO miners_balance SELECT block_number, miner, block_hash, make_timestamp("at"), CAST(balance_before AS BIGNUM), CAST(balance_after AS BIGNUM), CAST(balance_increase AS BIGNUM) FROM stage ON CONFLICT (block_number) DO UPDATE SET miner = excluded.miner, block_hash = excluded.block_hash, "at" = excluded."at", balance_before = excluded.balance_before, balance_after = excluded.balance_after, balance_increase = excluded.balance_increase',
        )
        await connection.run('TRUNCATE stage')
        await connection.run('COMMIT')
      }
    },
    after: async () => {
      connection?.closeSync()
      instance?.closeSync()
      await rm(folder, { recursive: true })
    },
  }
}
