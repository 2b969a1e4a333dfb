import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import { sqlText } from '../src/sdk/index.js'
import type { VerifyReport } from '../src/verify/report.js'
import { openWarehouse } from '../src/warehouse/open.js'
import { chdbMissing } from './support/clickhouse-server.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { postgresDatabase } from './support/postgres.js'

/** One row a block, several rows a block, rows of a query, what SQL makes by interval and as a whole. */
const FILE = `name: all
warehouse: \${WAREHOUSE_URL}
chains: { ethereum: { rpc: "\${ETH_RPC_URL}" } }
tables:
  blocks: { columns: { number: bigint, hash: hash, time: timestamp, miner: address }, key: [number] }
  txs: { columns: { block: bigint, position: int, hash: hash, kind: text }, key: [block, position] }
  balances: { columns: { number: bigint, miner: address, before: uint256, after: uint256, gain: int256 }, key: [number] }
  daily: { columns: { day: date, blocks: bigint }, key: [day] }
  miners: { columns: { miner: address, blocks: bigint }, key: [miner] }
steps:
  - id: blocks
    type: rpc-batch
    chain: ethereum
    with:
      over: { blocks: { from: 0, to: 99 }, chunk: 40 }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, true] } }
      rows:
        - into: blocks
          row: { number: block.number, hash: block.hash, time: block.timestamp, miner: block.miner }
        - into: txs
          each: { tx: block.transactions }
          row: { block: block.number, position: index, hash: tx.hash }
          compute: { kind: "'transfer'" }
  - id: balances
    type: rpc-batch
    needs: [blocks]
    chain: ethereum
    into: balances
    with:
      over: { sql: "SELECT number, number - 1 AS parent, miner FROM blocks WHERE number > 0", key: [number] }
      calls:
        before: { method: eth_getBalance, params: [$miner, $parent] }
        after: { method: eth_getBalance, params: [$miner, $number] }
      row: { number: number, miner: miner, before: before, after: after }
      compute: { gain: after - before }
  - id: daily
    type: sql-upsert
    needs: [blocks]
    into: daily
    with:
      interval: { by: 1d, of: { blocks: time } }
      sql: SELECT CAST(time AS date) AS day, count(*) AS blocks FROM blocks WHERE time >= $start AND time < $end GROUP BY 1
  - id: miners
    type: sql-upsert
    needs: [blocks]
    into: miners
    with: { sql: "SELECT miner, count(*) AS blocks FROM blocks GROUP BY 1" }
`

let node: FakeEndpoint
beforeAll(async () => {
  // Three hours a block, so that there are 13 days.
  node = await fakeChain({ seed: 3, blocks: 110, transactions: 2, blockTime: 10_800, genesisTime: 1_599_955_200 }).serve()
})
afterAll(() => node.close())

const engines: readonly { readonly name: string; readonly skip: boolean; url(): Promise<string> }[] = [
  { name: 'duckdb', skip: false, url: () => Promise.resolve('duckdb:data/all.duckdb') },
  { name: 'postgres', skip: false, url: postgresDatabase },
  { name: 'chdb', skip: chdbMissing() !== undefined, url: () => Promise.resolve('chdb:data/all') },
]

describe.each(engines)('pipe verify on $name', ({ skip, url: place }) => {
  it.skipIf(skip)(
    'says nothing after a run, names what was lost and changed, and says nothing again when its advice was followed',
    async () => {
      const cwd = temporaryFolder()
      const url = await place()
      const world = { cwd, env: { ETH_RPC_URL: node.url, WAREHOUSE_URL: url } }
      writeFileSync(join(cwd, 'all.yaml'), FILE)
      const doctor = async (...statements: string[]) => {
        const warehouse = await openWarehouse(url.replace(/^(duckdb|chdb):/, `$1:${cwd}/`), { mode: 'write' })
        for (const statement of statements) await warehouse.execute([sqlText(statement)])
        await warehouse.close()
      }
      const command = async (...args: string[]) => {
        const { code, out, err } = await pipe(args, world)
        expect({ args, code, text: code === 0 ? '' : out + err }).toEqual({ args, code: 0, text: '' })
      }
      const verify = async () => {
        const { out, err } = await pipe(['verify', 'all.yaml', '--json', '--sample', '20'], world)
        expect(err).toBe('')
        const report = JSON.parse(out) as VerifyReport
        return { report, brief: report.findings.map(({ check, step, table, unit, key }) => [check, step, table, unit, key]) }
      }
      await command('run', 'all.yaml')
      expect((await verify()).brief).toEqual([])
      await doctor(
        'DELETE FROM blocks WHERE number = 0',
        'DELETE FROM txs WHERE block = 55 AND position = 1',
        "DELETE FROM daily WHERE day = '2020-09-15'",
        'DELETE FROM balances WHERE number = 77',
        'DELETE FROM miners WHERE blocks > 0',
      )
      const { report, brief } = await verify()
      const first = brief.filter(([check]) => check !== 'sample')
      expect(first).toEqual([
        ['missing', 'blocks', 'blocks', '0-0', null],
        ['missing', 'blocks', 'txs', '40-79', null],
        ['gap', 'balances', 'balances', '0-9999', '77'],
        ['missing', 'daily', 'daily', '2020-09-15', null],
        ['missing', 'miners', 'miners', 'all', null],
      ])
      const fixes = [...new Set(report.findings.filter(({ check }) => check !== 'sample').flatMap(({ fix }) => fix))]
      for (const fix of [...fixes.filter((text) => text.startsWith('pipe reset')), 'pipe run all.yaml'])
        await command(...fix.split(' ').slice(1))
      expect((await verify()).brief).toEqual([])
    },
    120_000,
  )
})
