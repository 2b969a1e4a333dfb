import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { ask, startAnvil } from './support/anvil.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'
import { events } from './support/reorg-world.js'

/** The first two accounts of every anvil. */
const [FROM, TO] = ['0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266', '0x70997970c51812dc3a010c7d01b50e0d17dc79c8']

const YAML = `name: real
warehouse: duckdb:real.duckdb
params: { to: { type: block, default: head } }
chains: { devnet: { id: 1, rpc: "\${RPC_URLS}", confirmations: 0, block_time: 1s } }
tables:
  blocks: { columns: { number: bigint, hash: hash, parent_hash: hash, txs: bigint }, key: [number] }
  balances: { columns: { number: bigint, balance: uint256 }, key: [number] }
  total: { columns: { one: int, blocks: bigint, highest: uint256 }, key: [one] }
steps:
  - id: blocks
    type: rpc-batch
    chain: devnet
    into: blocks
    with:
      over: { blocks: { from: 0, to: $to } }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, false] }
        count: { method: eth_getBlockTransactionCountByNumber, params: [$number] }
      row: { number: block.number, hash: block.hash, parent_hash: block.parentHash, txs: count }
  - id: balances
    type: rpc-batch
    chain: devnet
    needs: [blocks]
    into: balances
    with:
      over: { sql: "SELECT number FROM blocks", key: [number] }
      calls: { balance: { method: eth_getBalance, params: ["${TO}", $number] } }
      row: { number: number, balance: balance }
  - id: total
    type: sql-upsert
    needs: [balances]
    into: total
    with: { sql: "SELECT 1 AS one, (SELECT count(*) FROM blocks) AS blocks, max(balance) AS highest FROM balances" }
`

it('anvil_reorg: the tables are those of the real node after each of several reorgs', async () => {
  const node = await startAnvil(20)
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'real.yaml'), YAML)
  const truth = async () => {
    const head = Number(await ask(node, 'eth_blockNumber'))
    const blocks = await Promise.all(
      Array.from({ length: head + 1 }, async (_, number) => {
        const at = `0x${number.toString(16)}`
        const block = (await ask(node, 'eth_getBlockByNumber', at, false)) as { hash: string; parentHash: string; transactions: unknown[] }
        return {
          block: { number: String(number), hash: block.hash, parent_hash: block.parentHash, txs: String(block.transactions.length) },
          balance: { number: String(number), balance: String(BigInt((await ask(node, 'eth_getBalance', TO, at)) as string)) },
        }
      }),
    )
    const highest = blocks.reduce((high, { balance }) => (BigInt(balance.balance) > high ? BigInt(balance.balance) : high), 0n)
    return {
      blocks: blocks.map(({ block }) => block),
      balances: blocks.map(({ balance }) => balance),
      total: [{ one: '1', blocks: String(head + 1), highest: String(highest) }],
    }
  }
  const run = () => pipe(['run', join(cwd, 'real.yaml'), '--output', 'json'], { cwd, env: { RPC_URLS: node.url } })
  const tables = async () => {
    const content = await readDuckdb(join(cwd, 'real.duckdb'), { tables: ['blocks', 'balances', 'total'] })
    return Object.fromEntries(Object.entries(content).map(([name, { rows }]) => [name, rows]))
  }
  expect((await run()).code).toBe(0)
  for (const depth of [1, 5]) {
    const head = Number(await ask(node, 'eth_blockNumber'))
    await ask(node, 'anvil_reorg', depth, [[{ from: FROM, to: TO, value: `0x${(depth * 1_000).toString(16)}` }, 0]])
    const { code, out } = await run()
    expect([code, events(out, 'reorg')]).toMatchObject([0, [{ chain: 'devnet', block: String(head - depth + 1), replaced: depth }]])
    expect(await tables()).toEqual(await truth())
  }
}, 60_000)
