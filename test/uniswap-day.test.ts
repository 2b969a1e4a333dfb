import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FakeEndpoint, openEndpoint } from '../src/sandbox/index.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { dataFolder } from './support/mainnet.js'
import { readDuckdb } from './support/read-duckdb.js'
import { type CsvRow, loadUniswapDay, POOL, type UniswapDay } from './support/uniswap-day.js'

/** The events of a pool. `time` is the column that places a row in time, and what it is made of. */
const logsOf = (verify: string, time: { readonly column: string; readonly type: string; readonly of: string }): string => {
  const place = `${time.column}: ${time.type}, block_number: bigint, log_index: int, tx_index: int, tx_hash: hash`
  const table = (name: string, columns: string) =>
    `  ${name}: { columns: { ${place}, ${columns} }, key: [block_number, log_index], range: ${time.column} }`
  const event = (into: string, text: string, row: string) => `        - event: ${text}
          contracts: ["${POOL}"]
          into: ${into}
          row: { ${time.column}: ${time.of}, block_number: log.blockNumber, log_index: log.logIndex, tx_index: log.transactionIndex, tx_hash: log.transactionHash, ${row} }`
  const position = 'tick_lower: int, tick_upper: int, amount0: decimal(38), amount1: decimal(38)'
  const inPosition = 'tick_lower: args.tickLower, tick_upper: args.tickUpper, amount0: args.amount0, amount1: args.amount1'
  return `name: pool
warehouse: duckdb:pool.duckdb
chains: { ethereum: { rpc: "\${URL}" } }
tables:
${table('swaps', 'sender: address, recipient: address, amount0: decimal(38), amount1: decimal(38), sqrt_price: decimal(38), liquidity: decimal(38), tick: int')}
${table('mints', `sender: address, owner: address, liquidity: decimal(38), ${position}`)}
${table('burns', `owner: address, liquidity: decimal(38), ${position}`)}
${table('collects', `owner: address, recipient: address, ${position}`)}
  ticks:
    columns: { block_number: bigint, log_index: int, time: timestamp, kind: text, tx_index: int, tx_hash: hash, sender: address, recipient: address?, amount0: decimal(38), amount1: decimal(38), total_liquidity: decimal(38), liquidity_delta: decimal(38), sqrt_price: decimal(38), tick: int, tick_lower: int?, tick_upper: int?, liquidity: decimal(38)? }
    key: [block_number, log_index]
  minutes:
    columns: { minute: timestamp, net0: decimal(38), net1: decimal(38), close: int, open: int, lowest: int, highest: int, in0: decimal(38), in1: decimal(38), liquidity: decimal(38) }
    key: [minute]
steps:
  - id: logs
    type: shard-days
    chain: ethereum
    with:
      over: { days: { from: 2024-01-05, to: 2024-01-05 } }
      verify: ${verify}
      events:
${event(
  'swaps',
  'Swap(address indexed sender, address indexed recipient, int256 amount0, int256 amount1, uint160 sqrtPriceX96, uint128 liquidity, int24 tick)',
  'sender: args.sender, recipient: args.recipient, amount0: args.amount0, amount1: args.amount1, sqrt_price: args.sqrtPriceX96, liquidity: args.liquidity, tick: args.tick',
)}
${event(
  'mints',
  'Mint(address sender, address indexed owner, int24 indexed tickLower, int24 indexed tickUpper, uint128 amount, uint256 amount0, uint256 amount1)',
  `sender: args.sender, owner: args.owner, liquidity: args.amount, ${inPosition}`,
)}
${event(
  'burns',
  'Burn(address indexed owner, int24 indexed tickLower, int24 indexed tickUpper, uint128 amount, uint256 amount0, uint256 amount1)',
  `owner: args.owner, liquidity: args.amount, ${inPosition}`,
)}
${event(
  'collects',
  'Collect(address indexed owner, address recipient, int24 indexed tickLower, int24 indexed tickUpper, uint128 amount0, uint128 amount1)',
  `owner: args.owner, recipient: args.recipient, ${inPosition}`,
)}
`
}

/**
 * What a swap leaves (price, tick, liquidity) holds until the next one. Of what is between them a mint and a burn change the
 * liquidity if the price is inside of their ticks, by the recorded tables: not at either of them.
 */
const TICKS = `  - id: ticks
    type: sql-upsert
    needs: [logs]
    into: ticks
    with:
      sql: |
        WITH moves AS (
          SELECT block_number, log_index, time, 'SWAP' AS kind, tx_index, tx_hash, sender, recipient, amount0, amount1,
                 liquidity AS total, sqrt_price AS price, tick, NULL AS tick_lower, NULL AS tick_upper, NULL AS liquidity, 0 AS sign FROM swaps
          UNION ALL SELECT block_number, log_index, time, 'MINT', tx_index, tx_hash, sender, NULL, amount0, amount1, NULL, NULL, NULL, tick_lower, tick_upper, liquidity, 1 FROM mints
          UNION ALL SELECT block_number, log_index, time, 'BURN', tx_index, tx_hash, owner, NULL, amount0, amount1, NULL, NULL, NULL, tick_lower, tick_upper, liquidity, -1 FROM burns
          UNION ALL SELECT block_number, log_index, time, 'COLLECT', tx_index, tx_hash, owner, recipient, amount0, amount1, NULL, NULL, NULL, tick_lower, tick_upper, NULL, 0 FROM collects
        ), left_by_swaps AS (
          SELECT moves.* EXCLUDE (total, price, tick), last_value(total IGNORE NULLS) OVER w AS total, last_value(price IGNORE NULLS) OVER w AS price, last_value(tick IGNORE NULLS) OVER w AS tick
          FROM moves WINDOW w AS (ORDER BY block_number, log_index)
        ), changes AS (
          SELECT *, CASE WHEN tick_lower < tick AND tick < tick_upper THEN sign * coalesce(liquidity, 0) ELSE 0 END AS liquidity_delta FROM left_by_swaps
        )
        SELECT block_number, log_index, time, kind, tx_index, tx_hash, sender, recipient, amount0, amount1, total + liquidity_delta AS total_liquidity,
               liquidity_delta, price AS sqrt_price, tick, tick_lower, tick_upper, liquidity
        FROM changes
`

/** Swaps alone count. A minute without one has the last tick and liquidity before it. */
const MINUTES = `  - id: minutes
    type: sql-upsert
    needs: [logs]
    into: minutes
    with:
      sql: |
        WITH moves AS (
          SELECT date_trunc('minute', time) AS minute, amount0, amount1, tick, liquidity, (block_number, log_index) AS place FROM swaps
        ), traded AS (
          SELECT minute, sum(amount0) AS net0, sum(amount1) AS net1, sum(greatest(amount0, 0)) AS in0, sum(greatest(amount1, 0)) AS in1,
                 min_by(tick, place) AS open, max_by(tick, place) AS close, min(tick) AS lowest, max(tick) AS highest, max_by(liquidity, place) AS liquidity
          FROM moves GROUP BY minute
        ), carried AS (
          SELECT m.minute, traded.* EXCLUDE (minute), last_value(traded.close IGNORE NULLS) OVER w AS last_close, last_value(traded.liquidity IGNORE NULLS) OVER w AS last_liquidity
          FROM (SELECT unnest(generate_series(TIMESTAMP '2024-01-05 00:00', TIMESTAMP '2024-01-05 23:59', INTERVAL 1 minute)) AS minute) m
          LEFT JOIN traded ON traded.minute = m.minute
          WINDOW w AS (ORDER BY m.minute)
        )
        SELECT minute, coalesce(net0, 0) AS net0, coalesce(net1, 0) AS net1, last_close AS close, coalesce(open, last_close) AS open,
               coalesce(lowest, last_close) AS lowest, coalesce(highest, last_close) AS highest,
               coalesce(in0, 0) AS in0, coalesce(in1, 0) AS in1, last_liquidity AS liquidity
        FROM carried
`

/** An integer that went through a float: `199045.0`. */
const whole = (text: string | undefined): string | null => (text ? text.replace(/\.0$/, '') : null)

/** Without `position_id` and `proxy_log_index`, which others read in the logs of another contract. */
const tickOf = (row: CsvRow) => ({
  block_number: row.block_number,
  log_index: row.pool_log_index,
  time: row.block_timestamp,
  kind: row.tx_type,
  tx_index: row.pool_tx_index,
  tx_hash: row.transaction_hash,
  sender: row.sender,
  recipient: whole(row.receipt),
  amount0: row.amount0,
  amount1: row.amount1,
  total_liquidity: row.total_liquidity,
  liquidity_delta: row.total_liquidity_delta,
  sqrt_price: row.sqrtPriceX96,
  tick: whole(row.current_tick),
  tick_lower: whole(row.tick_lower),
  tick_upper: whole(row.tick_upper),
  liquidity: whole(row.liquidity),
})

const minuteOf = (row: CsvRow) => ({
  minute: row.timestamp,
  net0: row.netAmount0,
  net1: row.netAmount1,
  close: whole(row.closeTick),
  open: whole(row.openTick),
  lowest: whole(row.lowestTick),
  highest: whole(row.highestTick),
  in0: row.inAmount0,
  in1: row.inAmount1,
  liquidity: row.currentLiquidity,
})

describe.skipIf(!dataFolder)("a real day of a pool's logs (recorded data, skipped without it)", () => {
  let day: UniswapDay
  let node: FakeEndpoint
  beforeAll(async () => {
    day = loadUniswapDay(dataFolder ?? '')
    node = await openEndpoint(day.chain, {
      faults: [
        { kind: 'log-range', max: 500 },
        { kind: 'log-cap', max: 300 },
      ],
    })
  })
  afterAll(() => node.close())

  const run = async (yaml: string) => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'pool.yaml'), yaml)
    node.clearLog()
    const { code, out, err } = await pipe(['run', join(cwd, 'pool.yaml')], { cwd, env: { URL: node.url } })
    expect({ code, err, out: code === 0 ? '' : out }).toEqual({ code: 0, err: '', out: '' })
    return readDuckdb(join(cwd, 'pool.duckdb'))
  }

  it('through a node that gives 500 blocks and 300 logs at most, it is what others decoded of it and made of each minute', async () => {
    const tables = await run(logsOf('empty', { column: 'time', type: 'timestamp', of: 'block.timestamp' }) + TICKS + MINUTES)
    expectSame(tables.ticks?.rows, day.ticks.map(tickOf), 6_234)
    expectSame(tables.minutes?.rows, day.minutes.map(minuteOf), 1_440)
    expect(['swaps', 'mints', 'burns', 'collects'].map((name) => tables[name]?.rows.length)).toEqual([6_046, 54, 69, 65])
  })

  it('disbelief of empty answers costs at most 5 % more requests than none', async () => {
    const asked = async (verify: string) => {
      const tables = await run(logsOf(verify, { column: 'day', type: 'date', of: 'day' }))
      expect(tables.swaps?.rows.length).toBe(6_046)
      return { requests: node.totals.requests, calls: node.totals.calls, logs: node.count('eth_getLogs') }
    }
    const none = await asked('none')
    const empty = await asked('empty')
    expect(empty.requests).toBeLessThanOrEqual(none.requests * 1.05)
    expect(empty.calls).toBeLessThanOrEqual(none.calls * 1.05)
  })
})

/** One row that differs says more than thousands beside each other. */
function expectSame(rows: readonly unknown[] = [], expected: readonly unknown[], count: number): void {
  expect([rows.length, expected.length]).toEqual([count, count])
  const differs = expected.findIndex((row, i) => JSON.stringify(row) !== JSON.stringify(rows[i]))
  expect(rows[differs]).toEqual(expected[differs])
  expect(differs).toBe(-1)
}
