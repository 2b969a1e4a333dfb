import { DuckDBInstance } from '@duckdb/node-api'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { encodeFunctionData, parseAbi } from 'viem'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import { type DemoNode, startDemoNode } from '../src/demo/anvil.js'
import { enrichmentChain, type PoolWorld } from '../src/demo/enrichment.js'
import { readPipeline } from '../src/pipeline/read.js'
import { pipe } from './support/cli.js'
import { type Answered, codeOf } from './support/evm-answers.js'
import { projectFolder, temporaryFolder } from './support/folder.js'
import { exactAmounts } from './support/liquidity.js'
import { ask, postgresDatabase } from './support/postgres.js'
import { readDuckdb, type TableContent } from './support/read-duckdb.js'
import { readPostgres } from './support/read-postgres.js'

const file = join(projectFolder, 'pipelines/enrichment.yaml')
const [MANAGER, FACTORY] = ['0xd9770b1c7a6ccd33c75b5bcb1c0078f46be46657', '0x17aa157ac8c54034381b840cb8f6bf7fc355f0de']
const RESULTS = [
  ...['position_pools', 'event_fees', 'pool_volume', 'pool_apr', 'position_range', 'position_amounts'],
  ...['vesting', 'unclaimed_fees', 'position_health', 'position_snapshots'],
]
const DAY = 86_400_000
const NOW = Date.UTC(2026, 0, 1)

const address = (i: number) => `0x${i.toString(16).padStart(40, '0')}`
const [X, U, Z] = [address(1), address(2), address(3)]
const [A, B] = [address(0xa001), address(0xb001)]
const [ANN, BOB] = [address(0xa11), address(0xb0b)]
const Q96 = 2n ** 96n

/**
 * Two pools. A: token X (6 decimals) for dollars U (6 decimals), at a price of 4 = 2 x 2, so its sqrt_price_x96 is 2 x 2^96 and its tick
 * ln 4 / ln 1.0001 = 13,863.6, rounded down. B: U for Z, which has no price in dollars.
 */
const LIQUIDITY = 1_000_000_000_000n
const tokenU = { address: U }
const pools = [
  { address: A, token0: { address: X }, token1: tokenU, fee: 3000, sqrtPrice: 2n * Q96 },
  { address: B, token0: tokenU, token1: { address: Z }, fee: 500, sqrtPrice: Q96 },
]
const position = (id: bigint, of: number, owner: string, [lower, upper]: readonly [number, number], liquidity: bigint) => {
  const pool = pools[of] as (typeof pools)[number]
  // Owed: 2 of token 0 and 3 of token 1 for the first one, and so on.
  return { id, owner, pool, lower, upper, liquidity, owed: [id * 2_000_000n, id * 3_000_000n] as const, burnt: id === 6n || id === 7n }
}
const WORLD: PoolWorld = {
  ...{ manager: MANAGER, factory: FACTORY, pools },
  positions: [
    position(1n, 0, ANN, [-887_220, 887_220], LIQUIDITY),
    position(2n, 0, ANN, [13_803, 13_923], LIQUIDITY),
    position(3n, 0, BOB, [0, 13_863], 1_000_000_000n),
    position(4n, 0, BOB, [13_863, 27_726], 1_000_000_000n),
    position(5n, 1, BOB, [-10, 10], 5_000_000_000n),
    position(6n, 0, BOB, [0, 60], 0n),
    position(7n, 0, BOB, [0, 60], 0n),
    position(8n, 0, ANN, [0, 60], 0n),
  ],
}

const TABLES = ['pools', 'positions', 'position_events', 'swaps', 'prices', 'incentives', 'grants']
/** Somebody's own position, so that no sample data is added. */
const own = (uint256: string) => `
  CREATE TABLE positions (token_id bigint PRIMARY KEY, owner text NOT NULL, tick_lower int NOT NULL, tick_upper int NOT NULL, liquidity ${uint256} NOT NULL);
  INSERT INTO positions VALUES (1, '${ANN}', 0, 60, '1')`
const ROWS = `
  INSERT INTO pools VALUES ('${A}', '${X}', '${U}', 6, 6, 3000, 13863, '${2n * Q96}', 365000), ('${B}', '${U}', '${Z}', 6, 18, 500, 0, '${Q96}', 0);
  INSERT INTO positions VALUES ${WORLD.positions.map(({ id, owner, lower, upper, liquidity }) => `(${id}, '${owner}', ${lower}, ${upper}, '${liquidity}')`).join(', ')};
  INSERT INTO prices VALUES ('${X}', '2025-12-01', 1), ('${X}', '2025-12-11', 2), ('${X}', '2025-12-30', 4), ('${X}', '2026-01-01 00:00:01', 99), ('${U}', '2025-12-01', 1);
  INSERT INTO position_events VALUES
    ('1-a', 1, 'unknown', 'INCREASE', '2025-12-02', '1000000000000', '1000000000000'),
    ('2-a', 2, 'unknown', 'INCREASE', '2025-12-03', '1500000000', '6100000000'),
    -- Fees alone: 5 X at 2 and 3 U.
    ('2-b', 2, 'unknown', 'COLLECT', '2025-12-12', '5000000', '3000000'),
    -- 100 X and 50 U are taken out; the same second pays 60 and 60. So 40 X are still owed, and 10 U were fees.
    ('2-c', 2, 'unknown', 'COLLECT', '2025-12-14', '60000000', '60000000'),
    ('2-d', 2, 'unknown', 'DECREASE', '2025-12-14', '100000000', '50000000'),
    -- Of 50 X 40 were owed, so 10 are fees, at 4 now, and 1 U.
    ('2-e', 2, 'unknown', 'COLLECT', '2025-12-31', '50000000', '1000000'),
    ('3-a', 3, 'unknown', 'INCREASE', '2025-12-03', '0', '1000000000'),
    ('4-a', 4, 'unknown', 'INCREASE', '2025-12-03', '250000000', '0'),
    ('5-a', 5, 'unknown', 'INCREASE', '2025-12-03', '1', '1'),
    ('5-b', 5, 'unknown', 'COLLECT', '2025-12-03', '7', '340282366920938463463374607431768211455'),
    ('6-a', 6, '${A.replace('a', 'A')}', 'COLLECT', '2025-12-13', '1000000', '0'),
    ('7-a', 7, 'unknown', 'COLLECT', '2025-12-13', '1000000', '0'),
    ('8-a', 8, 'unknown', 'DECREASE', '2025-12-13', '1000000', '0');
  INSERT INTO swaps VALUES
    ('old', '${A}', '2025-12-31 00:00:00', '1000000000', '-3900000000'), ('first', '${A}', '2025-12-31 00:00:01', '100000000', '-390000000'),
    ('last', '${A}', '2026-01-01 00:00:00', '-50000000', '210000000'), ('future', '${A}', '2026-01-01 00:00:01', '1000000000', '-1'),
    ('unpriced', '${B}', '2025-12-31 12:00:00', '-1', '1000');
  INSERT INTO incentives VALUES ('${A}', '2025-12-01', '2026-01-01', 1000), ('${A}', '2026-01-01', '2026-02-01', 50);
  INSERT INTO grants VALUES
    ('a', '${ANN}', '2025-10-03', '360', '30'), ('b', '${ANN}', '2026-01-02', '360', '0'),
    ('c', '${BOB}', '2024-11-27', '360', '100'), ('d', '${BOB}', '2025-10-03', '360', '360');`

const held = (of: number, finer = 1n) => {
  const exact = WORLD.positions[of - 1] as (typeof WORLD.positions)[number]
  return exactAmounts({ ...exact, liquidity: exact.liquidity * finer })
}
/** In tokens of 6 decimals, and not rounded to them. */
const amounts = (of: number): readonly [number, number] => {
  const [amount0, amount1] = held(of, 10n ** 12n)
  return [Number(amount0) / 1e18, Number(amount1) / 1e18]
}
const value = (of: number) => amounts(of)[0] * 4 + amounts(of)[1]
const percent = (of: number, kept: number) => 100 * (value(of) / kept - 1)

type Row = Readonly<Record<string, string | number | null>>
const table = (columns: string, ...rows: readonly (readonly (string | number | null)[])[]): Row[] =>
  rows.map((row) => Object.fromEntries(columns.split(' ').map((name, i) => [name, row[i] ?? null])))

const WORKED: Readonly<Record<string, Row[]>> = {
  position_pools: table('token_id pool', ['1', A], ['2', A], ['3', A], ['4', A], ['5', B], ['6', null], ['7', null], ['8', A]),
  event_fees: table(
    'id token_id pool fees0 fees1 fees_usd',
    ['2-b', '2', A, '5000000', '3000000', 13],
    ['2-c', '2', A, '0', '10000000', 10],
    ['2-e', '2', A, '10000000', '1000000', 41],
    // No price of Z: no dollars.
    ['5-b', '5', B, '7', '340282366920938463463374607431768211455', null],
    // Burnt, but its event names the pool: 1 X at 2. That of position 7 does not, so it has no fees.
    ['6-a', '6', A, '1000000', '0', 2],
  ),
  // 100 X at 4 and 210 U: 610 dollars went in within 24 hours (neither exactly 24 hours ago nor later than now). 610 x 0.3 % = 1.83.
  pool_volume: table('pool volume_usd_24h fees_usd_24h swaps_24h unpriced_24h', [A, 610, 1.83, '2', '0'], [B, 0, 0, '1', '1']),
  // 1.83 x 365 / 365,000 = 0.183 %. 50 x 365 / 365,000 = 5 %. B has nothing locked, so no APR.
  pool_apr: table('pool fee_apr incentive_apr apr', [A, 0.183, 5, 5.183], [B, null, null, null]),
  position_range: table(
    'token_id pool status',
    ['1', A, 'IN_RANGE'],
    ['2', A, 'IN_RANGE'],
    // At its upper tick a position is out, at its lower one in.
    ['3', A, 'OUT_OF_RANGE'],
    ['4', A, 'IN_RANGE'],
    ['5', B, 'IN_RANGE'],
    ['8', A, 'OUT_OF_RANGE'],
  ),
  position_amounts: table(
    'token_id amount0 amount1 value_usd held_usd il_usd il_percent',
    // The textbook: over all prices, deposited at 1 and now at 4. x = L / 2, y = L x 2: 500,000 X at 4 and 2,000,000 U are 4,000,000;
    // the 1,000,000 of each that were deposited would be 5,000,000. 2 sqrt(4) / (1 + 4) - 1 = -20 %.
    ['1', 500_000, 2_000_000, 4_000_000, 5_000_000, -1_000_000, -20],
    // Deposited 1,500 X and 6,100 U less 100 X and 50 U: 1,400 x 4 + 6,050 = 11,650.
    ['2', ...amounts(2), value(2), 11_650, value(2) - 11_650, percent(2, 11_650)],
    // Above its range: all of it is U. L x (1.0001^(13863/2) - 1) = 10^9 x 0.99993...
    ['3', 0, amounts(3)[1], value(3), 1_000, value(3) - 1_000, percent(3, 1_000)],
    ['4', ...amounts(4), value(4), 1_000, value(4) - 1_000, percent(4, 1_000)],
    // Closed: 1 X more was taken out than put in, as far as its events say.
    ['8', 0, 0, 0, -4, 4, null],
  ),
  vesting: table(
    'id wallet vested locked unlocked withdrawable_now penalty',
    // 90 of 360 days: 90 vested, 30 of them withdrawn. Now out: 60 + half of 270, the other half is burnt.
    ['a', ANN, 90, 270, 60, 195, 135],
    ['b', ANN, 0, 360, 0, 180, 180],
    ['c', BOB, 360, 0, 260, 260, 0],
    // Has left early: nothing is locked any more.
    ['d', BOB, 90, 0, 0, 0, 0],
  ),
  unclaimed_fees: table(
    'token_id day amount0 amount1 principal0 principal1',
    ...[1, 2, 3, 4, 5].map((id) => [`${id}`, '2026-01-01', `${id * 2_000_000}`, `${id * 3_000_000}`, ...held(id).map(String)]),
    // Taken out and not collected yet.
    ['8', '2026-01-01', '16000000', '24000000', null, null],
  ),
  position_health: table(
    'token_id status edge_percent score',
    // 873,357 of 887,220 ticks to the nearer edge, less the loss of 20 %.
    ['1', 'IN_RANGE', 100 * (1.0001 ** 873_357 - 1), 98.43747886657199 - 20],
    // In the middle: 60 ticks either way, 1.0001^60 = 1.00601774.
    ['2', 'IN_RANGE', 100 * (1.0001 ** 60 - 1), 100 + Math.min(0, percent(2, 11_650))],
    ['3', 'OUT_OF_RANGE', 0, 0],
    ['4', 'IN_RANGE', 0, 0],
    // 10 ticks either way; no price, so no loss is known.
    ['5', 'IN_RANGE', 100 * (1.0001 ** 10 - 1), 100],
    ['8', 'OUT_OF_RANGE', 100 * (1.0001 ** -13_803 - 1), 0],
  ),
  position_snapshots: table(
    'day token_id owner pool status value_usd il_percent fees_usd unclaimed_usd apr score',
    // Unclaimed: 2 X at 4 and 3 U for each number of the position. Collected by the second one: 13 + 10 + 41.
    ['2026-01-01', '1', ANN, A, 'IN_RANGE', 4_000_000, -20, 0, 11, 5.183, 78.43747886657199],
    ['2026-01-01', '2', ANN, A, 'IN_RANGE', value(2), percent(2, 11_650), 64, 22, 5.183, 100 + Math.min(0, percent(2, 11_650))],
    ['2026-01-01', '3', BOB, A, 'OUT_OF_RANGE', value(3), percent(3, 1_000), 0, 33, 5.183, 0],
    ['2026-01-01', '4', BOB, A, 'IN_RANGE', value(4), percent(4, 1_000), 0, 44, 5.183, 0],
  ),
}

/** Texts are equal; numbers to 1e-9 of their size, and those that are small differences to 1e-9 of what differs, below 1e4. */
function expectWorked(found: TableContent | undefined, worked: readonly Row[] = []) {
  const like = (value: string | null, number: number) => Math.abs(Number(value) - number) <= Math.max(1e-9 * Math.abs(number), 1e-8)
  const rows = found?.rows.map((row, i) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => {
        const expected = worked[i]?.[name]
        return [name, typeof expected === 'number' && like(value, expected) ? expected : value]
      }),
    ),
  )
  expect(rows).toEqual(worked)
}

const abi = parseAbi([
  'function positions(uint256)',
  'function collect((uint256 tokenId, address recipient, uint128 amount0Max, uint128 amount1Max))',
  'function decreaseLiquidity((uint256 tokenId, uint128 liquidity, uint256 amount0Min, uint256 amount1Min, uint256 deadline))',
  'function getPool(address, address, uint24)',
  'function factory()',
])

/** What the pipeline asks. */
function callsOf({ positions }: PoolWorld): (Omit<Answered, 'result'> & { readonly to: string })[] {
  const [max128, max256] = [2n ** 128n - 1n, 2n ** 256n - 1n]
  const ofPositions = positions.flatMap(({ id: tokenId, owner, liquidity }) => {
    const collect = { tokenId, recipient: owner as `0x${string}`, amount0Max: max128, amount1Max: max128 }
    const decrease = { tokenId, liquidity, amount0Min: 0n, amount1Min: 0n, deadline: max256 }
    return [
      { to: MANAGER, from: undefined, data: encodeFunctionData({ abi, functionName: 'positions', args: [tokenId] }) },
      { to: MANAGER, from: owner, data: encodeFunctionData({ abi, functionName: 'collect', args: [collect] }) },
      { to: MANAGER, from: owner, data: encodeFunctionData({ abi, functionName: 'decreaseLiquidity', args: [decrease] }) },
    ]
  })
  const ofPools = pools.flatMap(({ address: to, token0, token1, fee }) => {
    const args = [token0.address as `0x${string}`, token1.address as `0x${string}`, fee] as const
    return [
      { to: FACTORY, from: undefined, data: encodeFunctionData({ abi, functionName: 'getPool', args }) },
      { to, from: undefined, data: encodeFunctionData({ abi, functionName: 'factory' }) },
    ]
  })
  return [...ofPositions, ...ofPools]
}

/** A real node, whose contracts are code that answers as those of the sandbox do. */
async function anvil(): Promise<DemoNode> {
  const chain = enrichmentChain(WORLD)
  const node = await startDemoNode({ execPath: process.execPath, blocks: 1, chainId: 14 })
  const calls = callsOf(WORLD).flatMap((call) => {
    const result = chain.call(call, 1n)
    return typeof result === 'string' ? { ...call, result } : []
  })
  for (const to of [MANAGER, FACTORY, A, B]) {
    const code = codeOf(calls.filter((call) => call.to === to))
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'anvil_setCode', params: [to, code] })
    await fetch(node.url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  }
  return node
}

const engines = [
  {
    name: 'DuckDB, from anvil',
    node: anvil,
    url: () => Promise.resolve('duckdb:data/e.duckdb'),
    uint256: 'bignum',
    sql: async (cwd: string, _: string, text: string) => {
      mkdirSync(join(cwd, 'data'), { recursive: true })
      const instance = await DuckDBInstance.create(join(cwd, 'data/e.duckdb'))
      const connection = await instance.connect()
      await connection.run(text)
      connection.closeSync()
      instance.closeSync()
    },
    read: (cwd: string) => readDuckdb(join(cwd, 'data/e.duckdb'), { tables: RESULTS }),
  },
  {
    name: 'Postgres, from the sandbox',
    node: () => enrichmentChain(WORLD).serve(),
    url: () => postgresDatabase(),
    uint256: 'numeric(78,0)',
    sql: async (_: string, url: string, text: string) => void (await ask(url, text)),
    read: (_: string, url: string) => readPostgres(url, RESULTS),
  },
]

describe.each(engines)('pipelines/enrichment.yaml on $name', ({ node: open, url, uint256, sql, read }) => {
  it('gives the ten results that were worked by hand; the next day a step that fails keeps back only what needs it', async () => {
    const [cwd, warehouse] = [temporaryFolder(), await url()]
    const node = await open()
    const cli = (day: number, ...args: string[]) =>
      pipe([args[0] ?? '', file, ...args.slice(1)], {
        cwd,
        env: { DATABASE_URL: warehouse, FLARE_RPC_URL: node.url },
        clock: { ...systemClock, now: () => NOW + day * DAY },
      })
    await sql(cwd, warehouse, own(uint256))
    expect((await cli(0, 'migrate')).code).toBe(0)
    await sql(cwd, warehouse, `DELETE FROM positions; ${ROWS}`)
    const first = await cli(0, 'run')
    expect([first.code, first.code === 0 ? '' : first.out + first.err]).toEqual([0, ''])
    const worked = await read(cwd, warehouse)
    for (const name of RESULTS) expectWorked(worked[name], WORKED[name])

    // Position 2 was sold, and the table does not know it: its manager refuses who is none of its owners.
    await sql(cwd, warehouse, `UPDATE positions SET owner = '${BOB}' WHERE token_id = 2`)
    const second = await cli(1, 'run', '--output', 'json')
    expect(second.code).toBe(1)
    const ends = second.out.split('\n').flatMap((line) => {
      const event = line.startsWith('{') ? (JSON.parse(line) as { type: string; step?: string; outcome?: string }) : undefined
      return event?.type === 'step:ended' ? [[event.step, event.outcome] as const] : []
    })
    expect(Object.fromEntries(ends)).toEqual({
      ...{ pool_attribution: 'complete', fees_usd: 'complete', pool_volume: 'complete', apr: 'complete', range_status: 'complete' },
      ...{ impermanent_loss: 'complete', rflr_vesting: 'complete', position_health: 'complete' },
      ...{ unclaimed_fees: 'incomplete', position_snapshots: 'blocked' },
    })
    expect(second.out).toMatch(/key:quarantined.*2,2026-01-02.*execution reverted/)
    const after = await read(cwd, warehouse)
    expect(after.unclaimed_fees?.rows.filter(({ day }) => day === '2026-01-02').map(({ token_id: id }) => id)).toEqual([
      '1',
      '3',
      '4',
      '5',
      '8',
    ])
    expect(after.position_snapshots).toEqual(worked.position_snapshots)
    await node.close()
  }, 300_000)
})

it('takes DATABASE_URL after WAREHOUSE_URL, and ANKR_HTTP_URL before FLARE_RPC_URL, both by 5,000 blocks', async () => {
  const of = async (env: Readonly<Record<string, string>>) => {
    const { pipeline, problems } = await readPipeline(file, { cwd: projectFolder, env, environment: 'require' })
    expect(problems).toEqual([])
    const endpoints = pipeline?.chains.get('flare')?.endpoints.map(({ url, priority, maxBlockRange }) => [url, priority, maxBlockRange])
    return [pipeline?.warehouse, endpoints]
  }
  expect(await of({})).toEqual(['duckdb:data/enrichment.duckdb', [['https://flare-api.flare.network/ext/C/rpc', 2, 5000]]])
  const [ANKR_HTTP_URL, FLARE_RPC_URL, DATABASE_URL] = ['http://ankr/', 'http://flare/', 'postgres://h/positions']
  const endpoints = [
    [ANKR_HTTP_URL, 1, 5000],
    [FLARE_RPC_URL, 2, 5000],
  ]
  expect(await of({ ANKR_HTTP_URL, FLARE_RPC_URL, DATABASE_URL })).toEqual([DATABASE_URL, endpoints])
  expect((await of({ DATABASE_URL, WAREHOUSE_URL: 'duckdb:mine' }))[0]).toBe('duckdb:mine')
})

it('its demo, tried with --limit 10 and then run to the end, holds exactly what the contracts would pay out; again it changes nothing', async () => {
  const cwd = temporaryFolder()
  const cli = (...args: string[]) => pipe([args[0] ?? '', file, '--demo', ...args.slice(1)], { cwd })
  const limited = await cli('run', '--limit', '10')
  expect([limited.code, limited.out]).toEqual([
    1,
    expect.stringMatching(/enrichment: incomplete[^]*pool_attribution +limited: --limit left 50 rows out/),
  ])
  const read = () => readDuckdb(join(cwd, 'data/enrichment-demo.duckdb'), { tables: [...TABLES, ...RESULTS] })
  expect((await read()).position_snapshots?.rows.length).toBe(10)
  const whole = await cli('run')
  expect([whole.code, whole.code === 0 ? '' : whole.out + whole.err]).toEqual([0, ''])
  const tables = await read()
  const hashes = (of: typeof tables) => Object.fromEntries(RESULTS.map((name) => [name, of[name]?.hash]))

  // Of 60 positions two are burnt, one of them with events that name its pool; nothing else is left of 'unknown'.
  expect(tables.position_pools?.rows.filter(({ pool }) => pool === null).map(({ token_id: id }) => id)).toEqual([
    '9000000059',
    '9000000060',
  ])
  expect(tables.position_events?.rows.filter(({ pool }) => pool === 'unknown').length).toBeGreaterThan(90)
  const known = new Set(tables.event_fees?.rows.map(({ id }) => id))
  const collected = tables.position_events?.rows.filter(({ event_type: type }) => type === 'COLLECT').map(({ id }) => id ?? '') ?? []
  expect(collected.filter((id) => !known.has(id))).toEqual(['9000000059-2'])

  // Floats to 1e-9 of what decreaseLiquidity says in whole numbers, over every pool, range and price of the sample.
  const pools = new Map(tables.pools?.rows.map((row) => [row.pool, row]))
  const pool = new Map(tables.position_pools?.rows.map(({ token_id: id, pool: of }) => [id, pools.get(of ?? '')]))
  const amounts = new Map(tables.position_amounts?.rows.map((row) => [row.token_id, row]))
  let compared = 0
  for (const { token_id: id, principal0, principal1 } of tables.unclaimed_fees?.rows ?? []) {
    if (principal0 === null || principal1 === null) continue
    const { decimals0, decimals1 } = pool.get(id ?? '') ?? {}
    const [one, other] = [
      Number(amounts.get(id)?.amount0) * 10 ** Number(decimals0),
      Number(amounts.get(id)?.amount1) * 10 ** Number(decimals1),
    ]
    expect(Math.abs(one - Number(principal0))).toBeLessThanOrEqual(1 + 1e-9 * Number(principal0))
    expect(Math.abs(other - Number(principal1))).toBeLessThanOrEqual(1 + 1e-9 * Number(principal1))
    compared++
  }
  expect(compared).toBe(57)

  const again = await cli('run')
  expect([again.code, again.out.match(/ no missing rows, \d+ done before/g)?.length]).toEqual([0, 10])
  expect(hashes(await read())).toEqual(hashes(tables))
}, 300_000)
