import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { bloomOf, emptyBloom } from '../../src/sandbox/bloom.js'
import type { ChainSource } from '../../src/sandbox/index.js'
import { matchesFilter } from '../../src/sandbox/source.js'

/** USDC/WETH 0.05 %. */
export const POOL = '0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640'

/** A table that others made of the pool's day: rows by column, as they print them. */
export type CsvRow = Readonly<Record<string, string>>

export interface UniswapDay {
  /** A node that has the pool's logs of 2024-01-05, and no receipts. */
  readonly chain: ChainSource
  /** One a log, decoded. */
  readonly ticks: readonly CsvRow[]
  /** One a minute, aggregated. */
  readonly minutes: readonly CsvRow[]
}

interface Log {
  readonly address: string
  readonly topics: readonly string[]
  readonly transactionHash: string
  readonly json: string
}

/** Seconds of a slot. */
const SLOT = 12
/** How many blocks the chain has behind the last one of the day. */
const BEHIND = 1_000

/**
 * Loads the day. Blocks with logs have the recorded times, and those between them lie evenly; the chain begins when Ethereum
 * did. The hash of a block is its number.
 */
export function loadUniswapDay(folder: string): UniswapDay {
  const read = (name: string): CsvRow[] => csv(gunzipSync(readFileSync(join(folder, 'uniswap-v3-day', name))).toString())
  const raw = read('raw.csv.gz')
  const blocks = new Map<bigint, Log[]>()
  const known: [block: number, seconds: number][] = [[0, 1_438_269_973]]
  for (const row of raw) {
    const number = BigInt(row.block_number!)
    const logs = blocks.get(number)
    if (logs) logs.push(logOf(row))
    else blocks.set(number, [logOf(row)])
    if (!logs) known.push([Number(number), Date.parse(`${row.block_timestamp}Z`) / 1000])
  }
  // The slots beside the first and the last of them are not missed.
  const [first, last] = [known[1]!, known.at(-1)!]
  known.splice(1, 0, [first[0] - 1, first[1] - SLOT])
  known.push([last[0] + BEHIND, last[1] + BEHIND * SLOT])
  return { chain: chainOf(blocks, known), ticks: read('tick.csv.gz'), minutes: read('minute.csv.gz') }
}

function chainOf(blocks: ReadonlyMap<bigint, readonly Log[]>, known: readonly (readonly [block: number, seconds: number])[]): ChainSource {
  const head = BigInt(known.at(-1)![0])
  return {
    chainId: 1,
    head,
    blockJson: (number) => {
      if (number > head) return undefined
      const logs = blocks.get(number) ?? []
      return JSON.stringify({
        number: hex(number),
        hash: hashOf(number),
        parentHash: hashOf(number - 1n),
        timestamp: hex(BigInt(timeOf(Number(number), known))),
        logsBloom: logs.length === 0 ? emptyBloom : bloomOf(logs.flatMap(({ address, topics }) => [address, ...topics])),
        transactions: [...new Set(logs.map(({ transactionHash }) => transactionHash))],
      })
    },
    numberOf: (hash) => BigInt(hash) - 1n,
    balance: () => 0n,
    call: () => undefined,
    receiptsJson: () => undefined,
    receiptJson: () => undefined,
    logsJson: (number, filter) => (blocks.get(number) ?? []).filter((log) => matchesFilter(log, filter)).map(({ json }) => json),
  }
}

const hex = (value: bigint): string => `0x${value.toString(16)}`
const hashOf = (number: bigint): string => `0x${(number + 1n).toString(16).padStart(64, '0')}`

/** In unix seconds, whole; between two blocks whose times are known, evenly. */
function timeOf(block: number, known: readonly (readonly [block: number, seconds: number])[]): number {
  let [low, high] = [0, known.length - 1]
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if (known[middle]![0] <= block) low = middle
    else high = middle
  }
  const [[from, since], [to, until]] = [known[low]!, known[high]!]
  return since + Math.round(((block - from) * (until - since)) / (to - from))
}

function logOf(row: CsvRow): Log {
  // A list as Python prints it.
  const topics = row.topics!.match(/0x[0-9a-f]{64}/g) ?? []
  const number = BigInt(row.block_number!)
  const transactionHash = row.transaction_hash!
  const json = JSON.stringify({
    address: POOL,
    topics,
    data: row.data,
    blockNumber: hex(number),
    blockHash: hashOf(number),
    transactionHash,
    transactionIndex: hex(BigInt(row.transaction_index!)),
    logIndex: hex(BigInt(row.log_index!)),
    removed: false,
  })
  return { address: POOL, topics, transactionHash, json }
}

/** Rows by column name. A field in quotes holds commas and no quote. */
export function csv(text: string): CsvRow[] {
  const [names = [], ...rows] = text
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => Array.from(`,${line}`.matchAll(/,(?:"([^"]*)"|([^,]*))/g), ([, quoted, plain]) => quoted ?? plain ?? ''))
  return rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]!])))
}
