import { DuckDBInstance } from '@duckdb/node-api'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import { enrichmentChain } from '../src/demo/enrichment.js'
import { pipe } from './support/cli.js'
import { projectFolder, temporaryFolder } from './support/folder.js'
import { exactAmounts } from './support/liquidity.js'
import { dataFolder } from './support/mainnet.js'
import { readDuckdb } from './support/read-duckdb.js'
import { csv, type CsvRow, POOL } from './support/uniswap-day.js'

if (!dataFolder)
  process.stderr.write(
    'SKIPPED: positions against a real day of Uniswap v3 events, for there is no ../shared/data/uniswap-v3-position-day\n',
  )

const file = join(projectFolder, 'pipelines/enrichment.yaml')
const [MANAGER, FACTORY] = ['0xd9770b1c7a6ccd33c75b5bcb1c0078f46be46657', '0x17aa157ac8c54034381b840cb8f6bf7fc355f0de']
const [USDC, WETH] = ['0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48', '0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2']
const [ELSEWHERE, OTHER, OWNER] = ['0x', '0x0', '0x00'].map((start) => start.padEnd(42, 'e')) as [string, string, string]

/** keccak256 of `IncreaseLiquidity(uint256,uint128,uint256,uint256)` and so on. Each ends with both amounts. */
const TYPES: Readonly<Record<string, string>> = {
  '0x3067048beee31b25b2f1681f88dac838c8bba36af25bfb2b7cf7473a5847e35f': 'INCREASE',
  '0x26f6a048ee9138f2c0ce266f322cb99228e8d619ae2bff30c67f8dcf9d2377b4': 'DECREASE',
  '0x40d0efd1a53d60ecbf40971b9daf7dc90178c3aadc7aab1765632738fa8b8f01': 'COLLECT',
}

interface Event {
  readonly id: string
  readonly token: bigint
  readonly type: string
  readonly time: string
  readonly transaction: string
  readonly amounts: readonly [bigint, bigint]
}

const read = (path: string) => csv(gunzipSync(readFileSync(join(dataFolder ?? '', path))).toString())

/** What the manager of positions logged, in order. */
function loadEvents(): Event[] {
  return read('uniswap-v3-position-day/raw.csv.gz').map((row) => {
    const [topic = '', token = ''] = row.topics?.match(/0x[0-9a-f]{64}/g) ?? []
    const words = (row.data ?? '').slice(2).match(/.{64}/g) ?? []
    const [amount0, amount1] = words.slice(-2).map((word) => BigInt(`0x${word}`))
    return {
      id: `${row.block_number}-${(row.log_index ?? '').padStart(4, '0')}`,
      token: BigInt(token),
      type: TYPES[topic] ?? topic,
      time: row.block_timestamp ?? '',
      transaction: row.transaction_hash ?? '',
      amounts: [amount0 ?? 0n, amount1 ?? 0n],
    }
  })
}

/** Fees of each COLLECT by a ledger of what is owed: a payout is of what was taken out first, and fees beyond that. */
function feesByLedger(events: readonly Event[]): Map<string, string> {
  const owed = new Map<bigint, readonly bigint[]>()
  const fees = new Map<string, string>()
  for (const { id, token, type, amounts } of events) {
    const before = owed.get(token) ?? [0n, 0n]
    if (type === 'DECREASE')
      owed.set(
        token,
        before.map((each, i) => each + (amounts[i] ?? 0n)),
      )
    if (type !== 'COLLECT') continue
    const beyond = amounts.map((amount, i) => (amount > (before[i] ?? 0n) ? amount - (before[i] ?? 0n) : 0n))
    owed.set(
      token,
      before.map((each, i) => each - (amounts[i] ?? 0n) + (beyond[i] ?? 0n)),
    )
    fees.set(id, beyond.join())
  }
  return fees
}

/** An integer that went through a float: `621101.0`. */
const idOf = (row: CsvRow) => BigInt(parseInt(row.position_id ?? ''))

const SIGNS: Readonly<Record<string, bigint>> = { COLLECT: 1n, BURN: -1n }

function paidBeyondBurnt(rows: readonly CsvRow[]): string {
  const sum = (field: 'amount0' | 'amount1') =>
    rows.reduce((all, row) => all + (SIGNS[row.tx_type ?? ''] ?? 0n) * BigInt(row[field] ?? 0), 0n)
  return `${sum('amount0')},${sum('amount1')}`
}

it.skipIf(!dataFolder)(
  'of a real day, each position gets its pool, deposits are what liquidity, ticks and price say, and each COLLECT has the fees that the pool paid',
  async () => {
    const events = loadEvents()
    const moves = read('uniswap-v3-day/tick.csv.gz')
    const mine = moves.filter(({ position_id: id }) => id)
    const last = moves.at(-1) ?? {}
    const tick = parseInt(last.current_tick ?? '')
    const pool = {
      address: POOL,
      token0: { address: USDC },
      token1: { address: WETH },
      fee: 500,
      sqrtPrice: BigInt(last.sqrtPriceX96 ?? 0),
    }
    const elsewhere = { ...pool, address: ELSEWHERE, token1: { address: OTHER } }

    // The pool's own logs of each deposit: its amounts follow from liquidity, ticks and the price that the swap before left.
    const mints = mine.filter(({ tx_type: type }) => type === 'MINT')
    const held = mints.map((row) => ({
      ...{ id: idOf(row), lower: parseInt(row.tick_lower ?? ''), upper: parseInt(row.tick_upper ?? '') },
      ...{ liquidity: BigInt((row.liquidity ?? '').replace(/\.0$/, '')), pool: { sqrtPrice: BigInt(row.sqrtPriceX96 ?? 0) } },
    }))
    for (const [i, mint] of mints.entries()) {
      const [amount0, amount1] = exactAmounts(held[i] as (typeof held)[number])
      // Deposits are rounded up.
      expect([BigInt(mint.amount0 ?? 0) - amount0, BigInt(mint.amount1 ?? 0) - amount1].every((more) => more === 0n || more === 1n)).toBe(
        true,
      )
    }
    expect(mints.length).toBe(25)

    const deposits = new Map(held.map((each) => [each.id, { ...each, pool }]))
    const inPool = new Set(mine.map(idOf))
    const known = [...new Set(events.map(({ token }) => token))].map((id) => ({
      ...{ id, owner: OWNER, owed: [0n, 0n] as const, burnt: false, lower: 0, upper: 10, liquidity: 0n, ...deposits.get(id) },
      pool: inPool.has(id) ? pool : elsewhere,
    }))
    const node = await enrichmentChain({ manager: MANAGER, factory: FACTORY, pools: [pool, elsewhere], positions: known }).serve({
      log: false,
    })
    const cwd = temporaryFolder()
    const cli = (...args: string[]) =>
      pipe([args[0] ?? '', file, ...args.slice(1)], {
        cwd,
        env: { FLARE_RPC_URL: node.url },
        clock: { ...systemClock, now: () => Date.UTC(2026, 0, 1) },
      })
    expect((await cli('migrate')).code).toBe(0)
    const instance = await DuckDBInstance.create(join(cwd, 'data/enrichment.duckdb'))
    const connection = await instance.connect()
    await connection.run(`
      DELETE FROM pools; DELETE FROM positions; DELETE FROM position_events; DELETE FROM prices;
      INSERT INTO pools VALUES ('${POOL}', '${USDC}', '${WETH}', 6, 18, 500, ${tick}, '${last.sqrtPriceX96}', 1), ('${ELSEWHERE}', '${USDC}', '${OTHER}', 0, 0, 500, 0, '1', 1);
      INSERT INTO positions VALUES ${[...deposits.values()].map(({ id, lower, upper, liquidity }) => `(${id}, '${OWNER}', ${lower}, ${upper}, '${liquidity}')`).join()};
      INSERT INTO prices VALUES ('${USDC}', '2024-01-01', 1), ('${WETH}', '2024-01-01', 2250);
      INSERT INTO position_events VALUES ${events.map(({ id, token, type, time, amounts }) => `('${id}', ${token}, 'unknown', '${type}', '${time}', '${amounts[0]}', '${amounts[1]}')`).join()};`)
    connection.closeSync()
    instance.closeSync()
    const { code, out, err } = await cli('run', '--select', 'pool_attribution,fees_usd,range_status,impermanent_loss')
    await node.close()
    expect([code, code === 0 ? '' : out + err]).toEqual([0, ''])
    const tables = await readDuckdb(join(cwd, 'data/enrichment.duckdb'))

    const attributed = tables.position_pools?.rows.filter(({ pool: of }) => of === POOL).map(({ token_id: id }) => BigInt(id ?? ''))
    expect(new Set(attributed)).toEqual(inPool)

    const fees = new Map(tables.event_fees?.rows.map(({ id, fees0, fees1 }) => [id ?? '', `${fees0},${fees1}`]))
    const ledger = feesByLedger(events)
    // Within a second nothing tells the pipeline their order, and it lets what was taken out come first: once that day it did not.
    expect([...ledger].filter(([id, fee]) => fees.get(id) !== fee).map(([id]) => id)).toEqual(['18944005-0599', '18944005-0606'])
    const sum = (of: ReadonlyMap<string, string>) =>
      ['18944005-0599', '18944005-0606'].reduce(
        (all, id) => (of.get(id) ?? '').split(',').map((fee, i) => BigInt(fee) + (all[i] ?? 0n)),
        [0n, 0n],
      )
    expect(sum(fees)).toEqual(sum(ledger))
    expect(fees.size).toBe(1_421)

    // The pool's own logs know nothing of the manager's books: what it paid for a position less what was burnt of it, in one transaction.
    const collects = mine.filter(({ tx_type: type }) => type === 'COLLECT')
    const differing = collects.flatMap((collect) => {
      const sameOf = ({ position_id: id }: CsvRow) => id === collect.position_id
      const beside = mine.filter((row) => row.transaction_hash === collect.transaction_hash && sameOf(row))
      const event = events.find(
        ({ type, transaction, token }) => type === 'COLLECT' && transaction === collect.transaction_hash && token === idOf(collect),
      )
      return fees.get(event?.id ?? '') === paidBeyondBurnt(beside)
        ? []
        : [{ fee: fees.get(event?.id ?? ''), all: paidBeyondBurnt(mine.filter(sameOf)) }]
    })
    // Of one of them the burn was a transaction of its own, before.
    expect([collects.length, differing]).toEqual([36, [{ fee: '610233054,272358063659533757', all: '610233054,272358063659533757' }]])

    for (const row of tables.position_amounts?.rows ?? []) {
      const [amount0, amount1] = exactAmounts(deposits.get(BigInt(row.token_id ?? '')) as (typeof held)[number])
      expect(Math.abs(Number(row.amount0) * 1e6 - Number(amount0))).toBeLessThanOrEqual(1 + 1e-9 * Number(amount0))
      expect(Math.abs(Number(row.amount1) * 1e18 - Number(amount1))).toBeLessThanOrEqual(1 + 1e-9 * Number(amount1))
    }
    expect(tables.position_amounts?.rows.length).toBe(deposits.size)
    const inside = [...deposits.values()].filter(({ lower, upper }) => lower <= tick && tick < upper)
    expect(tables.position_range?.rows.filter(({ status }) => status === 'IN_RANGE').map(({ token_id: id }) => BigInt(id ?? ''))).toEqual(
      inside.map(({ id }) => id).sort((one, other) => Number(one - other)),
    )
    expect(inside.length).toBe(15)
  },
  300_000,
)
