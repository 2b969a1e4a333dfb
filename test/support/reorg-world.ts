import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fakeChain, type FakeChain, type FakeEndpoint } from '../../src/sandbox/index.js'
import { atEnd } from './cleanup.js'
import { pipe } from './cli.js'
import { temporaryFolder } from './folder.js'
import { readDuckdb, type TableContent } from './read-duckdb.js'

/** Blocks, what is read for each of them, and what SQL computes from both by the minute and in all. */
const FILE = `name: reorg
warehouse: "\${WAREHOUSE}"
params:
  from: { type: block, default: 0 }
  to: { type: block, default: head }
chains:
  fake: { id: 1, block_time: 12s, rpc: "\${RPC_URLS}", confirmations: CONFIRMATIONS }
tables:
  blocks: { columns: { number: bigint, hash: hash, parent_hash: hash, miner: address, time: timestamp }, key: [number] }
  balances: { columns: { miner: address, number: bigint, balance: uint256 }, key: [miner, number], range: number }
  minutes: { columns: { minute: timestamp, blocks: bigint, miner: address }, key: [minute] }
  miners: { columns: { miner: address, blocks: bigint }, key: [miner] }
steps:
  - id: blocks
    type: rpc-batch
    chain: fake
    into: blocks
    with:
      over: { blocks: { from: $from, to: $to }, chunk: CHUNK }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash, parent_hash: block.parentHash, miner: block.miner, time: block.timestamp }
  - id: balances
    type: rpc-batch
    chain: fake
    needs: [blocks]
    into: balances
    with:
      over: { sql: "SELECT number, miner FROM blocks WHERE number > 0", key: [number] }
      calls: { balance: { method: eth_getBalance, params: [$miner, $number] } }
      row: { miner: miner, number: number, balance: balance }
  - id: minutes
    type: sql-upsert
    needs: [blocks]
    into: minutes
    with:
      interval: { by: 1m, of: { blocks: time } }
      sql: SELECT $start AS minute, count(*) AS blocks, max(miner) AS miner FROM blocks WHERE time >= $start AND time < $end HAVING count(*) > 0
  - id: miners
    type: sql-upsert
    needs: [blocks]
    into: miners
    with: { sql: "SELECT miner, count(*) AS blocks FROM blocks GROUP BY miner" }
`

const SEED = 5

export interface ReorgWorld {
  readonly chain: FakeChain
  readonly node: FakeEndpoint
  readonly cwd: string
  readonly file: string
  run(args?: readonly string[], urls?: string): Promise<{ readonly code: number; readonly out: string; readonly err: string }>
}

/** The node of a chain, which ends with the test file. */
export async function served(chain: FakeChain): Promise<FakeEndpoint> {
  const node = await chain.serve()
  atEnd(() => node.close())
  return node
}

/** Another fork of the chain of `reorgWorld`, with a node of its own. */
export async function otherFork({ blocks, depth, grown }: { readonly blocks: number; readonly depth: number; readonly grown: number }) {
  const chain = fakeChain({ seed: SEED, blocks })
  chain.fork(depth, grown)
  return { chain, node: await served(chain) }
}

/** Does something once, at the first request for which it is time. */
export function strikeOnce(
  node: FakeEndpoint,
  { methods, when = () => true }: { readonly methods?: readonly string[]; readonly when?: () => boolean },
  strike: () => void,
): void {
  let armed = true
  const look = () => {
    if (armed && when()) {
      armed = false
      strike()
    }
    return false
  }
  node.fault({ kind: 'latency', ms: 0, methods, if: look })
}

/** A chain, its node, and a folder with a pipeline that reads it into DuckDB, or into `warehouse`. */
export async function reorgWorld(
  options: {
    readonly seed?: number
    readonly blocks?: number
    readonly chunk?: number
    readonly confirmations?: number
    readonly warehouse?: string
  } = {},
): Promise<ReorgWorld> {
  const { seed = SEED, blocks = 120, chunk = 1000, confirmations = 0, warehouse = 'duckdb:reorg.duckdb' } = options
  const chain = fakeChain({ seed, blocks })
  const node = await served(chain)
  const cwd = temporaryFolder()
  const file = join(cwd, 'reorg.yaml')
  writeFileSync(file, FILE.replace('CHUNK', String(chunk)).replace('CONFIRMATIONS', String(confirmations)))
  return {
    chain,
    node,
    cwd,
    file,
    run: (args = [], urls = node.url) =>
      pipe(['run', file, '--output', 'json', ...args], { cwd, env: { RPC_URLS: urls, WAREHOUSE: warehouse } }),
  }
}

export const TABLES = ['blocks', 'balances', 'minutes', 'miners']

/** What the tables hold, as DuckDB prints it. */
export const stored = (cwd: string) => readDuckdb(join(cwd, 'reorg.duckdb'), { tables: TABLES })

/** What they must hold for blocks up to one, by the chain's own books. */
export function expected(chain: FakeChain, last = Number(chain.head)): Record<string, readonly Record<string, string>[]> {
  const all = Array.from({ length: last + 1 }, (_, number) => chain.block(number))
  const time = (seconds: bigint) => new Date(Number(seconds) * 1000).toISOString().replace('T', ' ').replace('.000Z', '')
  const by = <K>(key: (block: (typeof all)[number]) => K) => {
    const groups = new Map<K, (typeof all)[number][]>()
    for (const block of all) groups.set(key(block), [...(groups.get(key(block)) ?? []), block])
    return groups
  }
  const sorted = (column: string) => (a: Record<string, string>, b: Record<string, string>) =>
    (a[column] ?? '') < (b[column] ?? '') ? -1 : 1
  return {
    blocks: all.map(({ number, hash, parentHash, miner, timestamp }) => ({
      number: String(number),
      hash,
      parent_hash: parentHash,
      miner,
      time: time(timestamp),
    })),
    balances: all
      .slice(1)
      .map(({ number, miner }) => ({ miner, number: String(number), balance: String(chain.balance(miner, number)) }))
      .sort((a, b) => (a.miner === b.miner ? Number(a.number) - Number(b.number) : a.miner < b.miner ? -1 : 1)),
    minutes: [...by(({ timestamp }) => timestamp - (timestamp % 60n))]
      .map(([minute, some]) => ({
        minute: time(minute),
        blocks: String(some.length),
        miner:
          some
            .map(({ miner }) => miner)
            .sort()
            .at(-1) ?? '',
      }))
      .sort(sorted('minute')),
    miners: [...by(({ miner }) => miner)].map(([miner, some]) => ({ miner, blocks: String(some.length) })).sort(sorted('miner')),
  }
}

/** The rows of tables alone. */
export const rowsOf = (content: Readonly<Record<string, TableContent>>) =>
  Object.fromEntries(Object.entries(content).map(([name, { rows }]) => [name, rows]))

/** The events of a type. */
export const events = (out: string, type: string): Record<string, unknown>[] =>
  out
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((event) => event.type === type)
