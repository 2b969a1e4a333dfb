import { join } from 'node:path'
import type { FakeChain, FakeChainOptions } from '../../src/sandbox/index.js'
import { chdbMissing } from './clickhouse-server.js'
import { postgresDatabase } from './postgres.js'
import { readChdb } from './read-clickhouse.js'
import { readDuckdb, type TableContent } from './read-duckdb.js'
import { readPostgres } from './read-postgres.js'

/** Every table of `pipelines/chain-metrics.yaml`, and every view of its migrations. */
export const CHAIN_METRICS_TABLES = [
  'blocks',
  'transactions',
  'prices',
  'chain_metrics_block',
  'contract_metrics_block',
  'active_addresses',
  ...['1m', '1h', '1d', '1m_v', '1h_v', '1d_v'].flatMap((each) => [`chain_metrics_${each}`, `contract_metrics_${each}`]),
]

const missing = chdbMissing()
if (missing !== undefined) process.stderr.write(`SKIPPED: chain metrics in embedded ClickHouse, for chdb does not load here: ${missing}\n`)

/** Where they are kept. `url` is of an empty one in the folder that is read. */
export const metricsWarehouses = [
  {
    name: 'DuckDB',
    url: () => Promise.resolve('duckdb:data/m.duckdb'),
    read: (cwd: string) => readDuckdb(join(cwd, 'data/m.duckdb'), { tables: CHAIN_METRICS_TABLES }),
    skip: false,
  },
  {
    name: 'Postgres',
    url: () => postgresDatabase(),
    read: (_: string, url: string) => readPostgres(url, CHAIN_METRICS_TABLES),
    skip: false,
  },
  {
    name: 'ClickHouse',
    url: () => Promise.resolve('chdb:data/ch'),
    read: (cwd: string) => readChdb(join(cwd, 'data/ch'), { tables: CHAIN_METRICS_TABLES }),
    skip: missing !== undefined,
  },
] as const

/** Transactions of every kind that counts: calls and creations, dear and free, with a share of L1 (of a rollup) and without; each fork has its own. */
export function variedCosts(rollup: boolean): NonNullable<FakeChainOptions['costs']> {
  return (block, index, fork) => ({
    gas: 21_000 + ((Number(block) * 7 + index * 13 + fork * 29) % 90) * 1_003,
    // One is free, as those of the system are.
    price: index === 3 ? 0n : 1_000_000_000n + block * 1_000_003n + BigInt(index + fork * 101),
    ...(rollup ? { l1Fee: index === 3 ? 0n : 10n ** 12n * (block % 17n) + BigInt(index) } : {}),
    creates: (Number(block) + index + fork) % 11 === 0,
  })
}

/** A chain with the blocks that are to be in the tables, and the prices of its coin: milliseconds and US dollars. */
export interface MeasuredChain {
  readonly name: string
  readonly chain: FakeChain
  readonly from: number
  readonly to: number
  /** A block among them that is not there. */
  readonly without?: number | undefined
  readonly prices: readonly (readonly [ms: number, usd: number])[]
}

type Line = Readonly<Record<string, string | null>>

const HOUR = 3600
const SPANS = { '1m': 60, '1h': HOUR, '1d': 24 * HOUR }

/** What the tables must hold, from the chains' own blocks and receipts alone. */
export function chainMetrics(chains: readonly MeasuredChain[]): Readonly<Record<string, readonly Line[]>> {
  const tables: Record<string, Line[]> = Object.fromEntries(CHAIN_METRICS_TABLES.map((name) => [name, []]))
  const into = (table: string, line: Readonly<Record<string, unknown>>) =>
    tables[table]?.push(Object.fromEntries(Object.entries(line).map(([name, value]) => [name, textOf(value)])))
  const rollups = new Map<string, Rollup>()
  const rollUp = (table: string, key: Record<string, unknown>, at: number, values: Record<string, Sum>) => {
    for (const [name, seconds] of Object.entries(SPANS)) {
      const bucket = { ...key, timestamp: timeOf(at - (at % seconds)) }
      const id = JSON.stringify([table, name, bucket])
      const found: Rollup = rollups.get(id) ?? { table: `${table}_${name}`, key: bucket, sums: {} }
      for (const [column, value] of Object.entries(values)) found.sums[column] = sumOf(found.sums[column], value)
      rollups.set(id, found)
    }
  }
  for (const { name: origin_key, chain, from, to, without, prices } of chains) {
    const token = 'ethereum'
    for (const [ms, usd] of prices) into('prices', { origin_key, token, time: timeOf(ms / 1000), usd })
    for (let number = from; number <= to; number++) {
      if (number === without) continue
      const block = JSON.parse(chain.blockJson(BigInt(number), false) ?? '') as Header
      const receipts = JSON.parse(chain.receiptsJson(BigInt(number)) ?? '') as readonly Receipt[]
      const at = Number(block.timestamp)
      const timestamp = timeOf(at)
      const [gas_used, base_fee] = [BigInt(block.gasUsed), BigInt(block.baseFeePerGas)]
      into('blocks', {
        origin_key,
        number,
        hash: block.hash,
        parent_hash: block.parentHash,
        timestamp,
        gas_used,
        base_fee,
        transactions: block.transactions.length,
      })
      let fees = 0n
      const contracts = new Map<string, { txcount: bigint; gas: bigint; fees: bigint }>()
      const senders = new Map<string, number>()
      receipts.forEach((receipt, tx_index) => {
        const [gas, price] = [BigInt(receipt.gasUsed), BigInt(receipt.effectiveGasPrice)]
        const l1_fee = receipt.l1Fee === undefined ? null : BigInt(receipt.l1Fee)
        const fee = gas * price + (l1_fee ?? 0n)
        fees += fee
        const { from: from_address, to: to_address } = receipt
        into('transactions', {
          origin_key,
          block_number: number,
          tx_index,
          timestamp,
          from_address,
          to_address,
          gas_used: gas,
          gas_price: price,
          l1_fee,
          fee,
        })
        senders.set(from_address, (senders.get(from_address) ?? 0) + 1)
        if (to_address === null) return
        const sums = contracts.get(to_address) ?? { txcount: 0n, gas: 0n, fees: 0n }
        contracts.set(to_address, { txcount: sums.txcount + 1n, gas: sums.gas + gas, fees: sums.fees + fee })
      })
      const quoted = prices.filter(([ms]) => ms <= at * 1000 && ms > (at - 2 * HOUR) * 1000).at(-1)
      const fees_usd = quoted === undefined ? null : (Number(fees) / 1e18) * quoted[1]
      const txcount = BigInt(receipts.length)
      into('chain_metrics_block', { origin_key, block_number: number, timestamp, txcount, gas_used, base_fee, fees, fees_usd })
      rollUp('chain_metrics', { origin_key }, at, {
        blocks: 1n,
        txcount,
        gas_used,
        fees,
        fees_usd,
        unpriced_blocks: quoted === undefined ? 1n : 0n,
      })
      for (const [contract_address, sums] of contracts) {
        into('contract_metrics_block', { origin_key, block_number: number, timestamp, contract_address, ...sums })
        rollUp('contract_metrics', { origin_key, contract_address }, at, sums)
      }
      for (const [address, count] of senders)
        into('active_addresses', { origin_key, block_number: number, timestamp, address, txcount: count })
    }
  }
  for (const { table, key, sums } of rollups.values()) {
    into(table, { ...key, ...sums })
    into(`${table}_v`, { ...key, ...sums, fees_native: Number(sums.fees) / 1e18 })
  }
  return comparable(tables)
}

type Sum = bigint | number | null

interface Rollup {
  readonly table: string
  readonly key: Readonly<Record<string, unknown>>
  readonly sums: Record<string, Sum>
}

/** Nothing and something is something; nothing and nothing is nothing. */
function sumOf(before: Sum | undefined, value: Sum): Sum {
  if (before === undefined || before === null) return value
  if (value === null) return before
  return typeof before === 'bigint' && typeof value === 'bigint' ? before + value : Number(before) + Number(value)
}

/** Rows whose columns have an order, floats with as many digits as their sums agree in, all sorted. */
export function comparable(tables: Readonly<Record<string, readonly Line[]>>): Readonly<Record<string, readonly Line[]>> {
  const FLOATS = new Set(['usd', 'fees_usd', 'fees_native'])
  const line = (row: Line): Line =>
    Object.fromEntries(
      Object.entries(row)
        .map(([name, value]) => [name, value !== null && FLOATS.has(name) ? Number(value).toPrecision(9) : value] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    )
  return Object.fromEntries(
    Object.entries(tables).map(([name, rows]) => [
      name,
      rows
        .map((row) => JSON.stringify(line(row)))
        .sort()
        .map((text) => JSON.parse(text) as Line),
    ]),
  )
}

export const rowsIn = (content: Readonly<Record<string, TableContent>>) =>
  comparable(Object.fromEntries(Object.entries(content).map(([name, { rows }]) => [name, rows])))

/** As databases print a time of UTC: `2024-03-01 00:00:00.123`. */
function timeOf(seconds: number): string {
  return new Date(Math.round(seconds * 1000))
    .toISOString()
    .replace('T', ' ')
    .replace(/\.?0*Z$/, '')
}

const textOf = (value: unknown): string | null => (value === null ? null : String(value as string | number | bigint))

interface Header {
  readonly hash: string
  readonly parentHash: string
  readonly timestamp: string
  readonly gasUsed: string
  readonly baseFeePerGas: string
  readonly transactions: readonly string[]
}

interface Receipt {
  readonly from: string
  readonly to: string | null
  readonly gasUsed: string
  readonly effectiveGasPrice: string
  readonly l1Fee?: string
}
