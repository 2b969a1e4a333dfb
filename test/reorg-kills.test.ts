import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { chdbMissing } from './support/clickhouse-server.js'
import { Moments } from './support/moments.js'
import { readChdb } from './support/read-clickhouse.js'
import { expected, reorgWorld, rowsOf, stored, TABLES } from './support/reorg-world.js'
import { spawnPipe } from './support/spawn-pipe.js'

/** More for a longer look: PIPE_TEST_KILLS=50 npx vitest run test/reorg-kills.test.ts */
const KILLS = Number(process.env.PIPE_TEST_KILLS ?? 1)

const chdb = chdbMissing()
if (chdb !== undefined) process.stderr.write(`SKIPPED: kills after a reorg on ClickHouse, for chdb does not load here: ${chdb}\n`)

const warehouses = [
  { name: 'DuckDB', url: 'duckdb:reorg.duckdb', read: stored },
  { name: 'ClickHouse', url: 'chdb:ch', read: (cwd: string) => readChdb(join(cwd, 'ch'), { tables: TABLES }) },
].filter(({ name }) => name === 'DuckDB' || chdb === undefined)

describe.each(warehouses)('a run that follows a reorg into $name', ({ url, read }) => {
  it(`killed with -9 at random: after ${KILLS} kills the tables are those of the chain`, async () => {
    const { chain, node, cwd, file } = await reorgWorld({ blocks: 16, warehouse: url })
    const start = () => spawnPipe(['run', file, '--output', 'json'], { cwd, env: { RPC_URLS: node.url, WAREHOUSE: url } })
    const moments = new Moments()
    expect((await moments.measure(start())).code).toBe(0)
    for (let kill = 0; kill < KILLS; kill++) {
      chain.fork(1 + ((kill * 5) % 12))
      const run = start()
      await moments.within(run)
      run.kill('SIGKILL')
      await run.exit
    }
    const { code, stderr, stdout } = await start().exit
    expect({ code, stderr, stdout: code === 0 ? '' : stdout }).toEqual({ code: 0, stderr: '', stdout: '' })
    expect(rowsOf(await read(cwd))).toEqual(expected(chain))
  }, 600_000)
})
