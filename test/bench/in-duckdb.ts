import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Warehouse } from '../../src/sdk/index.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import type { Contender } from './measure.js'

/** Work in a new DuckDB file each time; making and opening it is not timed. */
export function inDuckdb(
  work: (warehouse: Warehouse) => Promise<void>,
  prepare = (warehouse: Warehouse) => warehouse.prepare([]),
): Contender {
  let folder = ''
  let warehouse: Warehouse | undefined
  const opened = () => {
    if (!warehouse) throw new Error('the warehouse is not open')
    return warehouse
  }
  return {
    before: async () => {
      folder = await mkdtemp(join(tmpdir(), 'pipe-bench-'))
      warehouse = await openWarehouse(`duckdb:${join(folder, 'bench.duckdb')}`, { mode: 'write' })
      await prepare(warehouse)
    },
    work: () => work(opened()),
    after: async () => {
      await opened().close()
      await rm(folder, { recursive: true })
    },
  }
}
