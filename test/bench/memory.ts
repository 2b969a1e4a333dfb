import { discard } from './discard.js'
import { drive, openPool, rpcPipeline } from './drive.js'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Load } from './raw.js'

/** A process of its own for goal G9: fetches rows into nowhere or DuckDB and tells its parent the peak of its RSS in MB. */
async function main([server = '', into = '', rows = '']: readonly string[]): Promise<void> {
  const load: Load = { url: `${server}/0`, method: 'eth_getBalance', calls: Number(rows), batch: 100, parallel: 10 }
  const folder = await mkdtemp(join(tmpdir(), 'pipe-memory-'))
  const rpc = openPool(load.url, load)
  const warehouse = into === 'duckdb' ? await openDuckdb(join(folder, 'bench.duckdb')) : discard()
  const pipeline = rpcPipeline(load)
  await warehouse.prepare([...pipeline.tables.values()])
  await drive({ pipeline, warehouse, rpc: rpc.lane })
  await Promise.all([warehouse.close(), rpc.close()])
  await rm(folder, { recursive: true })
  process.send?.(process.resourceUsage().maxRSS / 1024, () => process.disconnect())
}

/** Loaded only where it is used: it has memory of its own. */
async function openDuckdb(path: string) {
  const { openWarehouse } = await import('../../src/warehouse/open.js')
  return openWarehouse(`duckdb:${path}`, { mode: 'write' })
}

await main(process.argv.slice(2))
