import { DuckDBInstance } from '@duckdb/node-api'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { parse } from 'yaml'
import { transfersChain } from '../src/demo/transfers.js'
import * as proof from '../src/proof/index.js'
import { pipe } from './support/cli.js'
import { projectFolder, temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'

const file = join(projectFolder, 'pipelines/transfers.yaml')

it('its demo has every transfer of the chain, catches the node that loses logs, proves its rows, publishes once, and rolls back', async () => {
  const cwd = temporaryFolder()
  const cli = (...args: string[]) => pipe([args[0] ?? '', file, '--demo', ...args.slice(1)], { cwd })
  const days = ['--param', 'to=2022-12-23']
  const planned = await cli('plan', ...days)
  // A search for the borders of each day, then header and receipts of each of its 144 blocks: as many calls as the chain of the demo takes.
  expect([planned.code, planned.out]).toEqual([0, expect.stringMatching(/days to do: 2 now; 0 done\n.*\n.*\n  610 calls/)])
  expect(planned.out).toContain(`do it with: pipe run ${file} --demo --param to=2022-12-23`)
  const first = await cli('run', ...days, '--output', 'plain')
  expect([first.code, first.err.replace(/demo: .*\n/g, '')]).toEqual([0, expect.any(String)])
  expect(first.out + first.err).toMatch(/class=SERVER .*"\d logs of block \d+, whose receipts have \d logs"/)
  expect(first.out + first.err).toMatch(/class=SPLIT .*"eth_getLogs is limited to a 50 range"/)

  const warehouse = join(cwd, 'data/transfers-demo.duckdb')
  const tables = await readDuckdb(warehouse)
  const { erc20, tokens } = truth(['2022-12-22', '2022-12-23'])
  expect(tables.erc20_transfers?.rows.map(({ block_number, log_index, value }) => `${block_number} ${log_index} ${value}`)).toEqual(erc20)
  expect(
    tables.erc1155_transfers?.rows.map(({ block_number, log_index, batch_index }) => `${block_number} ${log_index} ${batch_index}`),
  ).toEqual(tokens)
  expect(tables.markets?.rows).toHaveLength(24)
  expect(await monitored(warehouse)).toEqual([
    ['2022-12-22', 'completed'],
    ['2022-12-23', 'completed'],
  ])
  const snapshots = () =>
    readdirSync(join(cwd, 'data'))
      .filter((each) => each.startsWith('post_rebuild_snapshot_'))
      .map((name) => JSON.parse(readFileSync(join(cwd, 'data', name), 'utf8')) as { readonly version: number; readonly coverage: unknown })
  expect(snapshots()).toMatchObject([
    {
      version: 1,
      tables: { net_flows: { part: 'net-flows' } },
      coverage: [{ step: 'transfers', units: 2, first: '2022-12-22T00:00:00Z', last: '2022-12-23T23:59:59.999999Z' }],
    },
  ])

  const published = { flows: tables.net_flows?.hash, pnl: tables.wallet_pnl?.hash }
  expect((await cli('run', ...days)).code).toBe(0)
  expect((await readDuckdb(warehouse, { tables: ['net_flows'] })).net_flows?.hash).toBe(published.flows)
  const proved = await cli('verify', '--proof', '10')
  expect([proved.code, proved.out]).toEqual([0, expect.stringContaining('10 of 10 blocks proved')])
  // What the demo did is not what the pipeline did, and each is told where the other one is.
  const real = await pipe(['status', file], { cwd })
  expect(real.out).toContain(`transfers has not run yet, as far as this state store knows; its demo went into duckdb:${warehouse}`)
  expect((await cli('status')).out).toContain('transfers: done')
  // One day more is published anew, and taken back.
  expect((await cli('run', '--param', 'to=2022-12-24')).code).toBe(0)
  const more = await readDuckdb(warehouse, { tables: ['net_flows', 'wallet_pnl'] })
  expect(more.net_flows?.hash).not.toBe(published.flows)
  // Their moment is the same, since the world of the demo stands still.
  expect(snapshots().map(({ version }) => version)).toEqual([1, 2])
  expect((await pipe(['rollback', file, '--demo', '--step', 'publish'], { cwd })).code).toBe(0)
  for (const command of ['status', 'verify', 'plan']) expect((await cli(command)).out).toContain('rolled back to version 1 by hand')
  const back = await readDuckdb(warehouse, { tables: ['net_flows', 'wallet_pnl'] })
  expect({ flows: back.net_flows?.hash, pnl: back.wallet_pnl?.hash }).toEqual(published)
}, 120_000)

it('profit is what was received less the average cost of what was sold', async () => {
  const { steps } = parse(readFileSync(file, 'utf8')) as {
    readonly steps: readonly { readonly with: { readonly parts?: readonly { readonly id: string; readonly sql: string }[] } }[]
  }
  const sql = steps.flatMap((step) => step.with.parts ?? []).find(({ id }) => id === 'pnl')?.sql ?? ''
  const connection = await (await DuckDBInstance.create(':memory:')).connect()
  await connection.run(`
    CREATE TABLE markets AS SELECT * FROM (VALUES (1, 2, '0xc'), (2, 1, '0xc')) AS t(token0, token1, condition_id);
    CREATE TABLE net_flows__next AS
      SELECT wallet, token_id, CAST(tokens AS decimal(38,6)) AS tokens, CAST(usdc AS decimal(38,6)) AS usdc, direction, confidence FROM (VALUES
        ('a', 1,  100, -40, 'BUY', 'HIGH'), ('a', 1, 100, -60, 'BUY', 'HIGH'), ('a', 1, -150, 120, 'SELL', 'HIGH'),
        -- Given away for nothing, and what may have been paid for other things: neither is a trade.
        ('a', 1, -10, 0, 'TRANSFER', 'LOW'), ('a', 2, 50, -5, 'TRANSFER', 'MEDIUM'),
        -- More sold than bought: what came in otherwise has cost nothing.
        ('b', 2, 10, -8, 'BUY', 'HIGH'), ('b', 2, -30, 27, 'SELL', 'HIGH')) AS t(wallet, token_id, tokens, usdc, direction, confidence)`)
  const rows = (await connection.runAndReadAll(sql)).getRowObjectsJS() as Record<string, unknown>[]
  // a: 200 for 100 USDC, 0.5 each; 150 of them cost 75 and brought 120. b: 10 for 8; of 30 sold for 27, 10 cost 8.
  expect(
    rows
      .map(({ wallet, bought, cost, sold, proceeds, realized_pnl, held, average_cost }) =>
        [wallet, ...[bought, cost, sold, proceeds, realized_pnl, held, average_cost].map(Number)].join(' '),
      )
      .sort(),
  ).toEqual(['a 200 100 150 120 45 50 0.5', 'b 10 8 30 27 19 -20 0.8'])
})

/** What the chain holds of some days, by its receipts: places of the transfers, in their order. */
function truth(days: readonly string[]) {
  const chain = transfersChain(proof)
  const erc20: string[] = []
  const tokens: string[] = []
  const [from, to] = [Date.parse(days[0] ?? '') / 1000, Date.parse(days.at(-1) ?? '') / 1000 + 86_400]
  for (let number = 1n; number <= chain.head; number++) {
    const { timestamp } = chain.block(number)
    if (timestamp < BigInt(from) || timestamp >= BigInt(to)) continue
    const receipts = JSON.parse(chain.receiptsJson(number) ?? '[]') as readonly {
      readonly logs: readonly { readonly logIndex: string; readonly topics: readonly string[]; readonly data: string }[]
    }[]
    for (const { logIndex, topics, data } of receipts.flatMap(({ logs }) => logs)) {
      const at = `${number} ${Number(logIndex)}`
      if (topics[0]?.startsWith('0xddf252ad') === true) erc20.push(`${at} ${BigInt(data)}`)
      if (topics[0]?.startsWith('0xc3d58168') === true) tokens.push(`${at} 0`)
      if (topics[0]?.startsWith('0x4a39dc06') === true) tokens.push(`${at} 0`, `${at} 1`)
    }
  }
  return { erc20, tokens }
}

/** What the monitoring of before asked: the days and how they stand. */
async function monitored(warehouse: string) {
  const instance = await DuckDBInstance.create(warehouse, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  const rows = await connection.runAndReadAll('SELECT CAST(day AS text) AS day, status FROM backfill_checkpoint ORDER BY day')
  connection.closeSync()
  instance.closeSync()
  return rows.getRowsJS()
}
