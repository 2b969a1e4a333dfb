import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RunEvent } from '../src/sdk/index.js'
import { ask, startAnvil } from './support/anvil.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'
import { type PipeProcess, spawnPipe } from './support/spawn-pipe.js'

const YAML = `name: live
params:
  from: { type: block, default: covered }
  to: { type: block, default: head }
warehouse: duckdb:live.duckdb
chains: { devnet: { id: 1, rpc: "\${RPC}", confirmations: 0, block_time: 500ms } }
tables:
  heads: { columns: { number: bigint, hash: hash, parent_hash: hash }, key: [number] }
  tens: { columns: { ten: bigint, blocks: bigint }, key: [ten] }
steps:
  - id: heads
    type: rpc-batch
    chain: devnet
    into: heads
    with:
      over: { blocks: { from: $from, to: $to } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash, parent_hash: block.parentHash }
  - id: tens
    type: sql-upsert
    needs: [heads]
    into: tens
    with:
      sql: SELECT number - number % 10 AS ten, count(*) AS blocks FROM heads GROUP BY 1
`
const POLL_MS = 500
/** A block that comes before the node has heard what is wanted is told of to nobody. */
const SUBSCRIBED_MS = 500

test('follows a real node: rows within a poll and a second, by newHeads without a poll; stopped or killed, it goes on without a gap and nothing twice', async () => {
  const node = await startAnvil(20)
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'live.yaml'), YAML)
  const mine = (blocks: number) => ask(node, 'anvil_mine', `0x${blocks.toString(16)}`)
  const start = (rpc = node.url, ...args: string[]) =>
    spawnPipe(['run', 'live.yaml', '--follow', '--output', 'json', ...args], { cwd, env: { RPC: rpc } })
  const eventsOf = ({ stdout }: PipeProcess) =>
    stdout
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as RunEvent)
  const complete = (run: PipeProcess, round: number) => run.saw(new RegExp(`"type":"round:ended","round":${round},`))

  /** From block to row, of three, the shortest first. A machine that does other things makes each of them longer. */
  const delays = async (run: PipeProcess) => {
    const found: number[] = []
    for (let i = 0; i < 3; i++) {
      const minedAt = Date.now()
      await mine(1)
      await complete(run, i + 2)
      const commit = eventsOf(run).findLast((event) => event.type === 'batch:committed' && event.step === 'heads')
      found.push((commit?.at ?? Infinity) - minedAt)
    }
    return found.toSorted((a, b) => a - b)
  }

  // It looks at the head once in half a minute, unless it is told of one.
  const first = start(`${node.url},${node.url.replace('http', 'ws')}`, '--wait', '30s')
  await complete(first, 1)
  await new Promise((resolve) => setTimeout(resolve, SUBSCRIBED_MS))
  // Each of them came by the socket, then. How long that takes is measured in test/follow-delay.test.ts, without a process beside it.
  expect((await delays(first))[2]).toBeLessThan(10_000)
  first.kill('SIGINT')
  expect((await first.exit).code).toBe(0)

  await mine(7)
  const second = start()
  await complete(second, 1)
  expect((await delays(second))[1]).toBeLessThan(POLL_MS + 1_000)
  await mine(5)
  // Somewhere in the round that reads them, or just before it or after it.
  await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  second.kill('SIGKILL')
  await second.exit

  await mine(6)
  const third = start()
  await complete(third, 1)
  third.kill('SIGTERM')
  expect((await third.exit).code).toBe(0)

  const head = Number(await ask(node, 'eth_blockNumber'))
  const { heads, tens } = await readDuckdb(join(cwd, 'live.duckdb'))
  const rows = heads?.rows.toSorted((a, b) => Number(a.number) - Number(b.number)) ?? []
  const expected: unknown[] = []
  for (let number = Number(rows[0]?.number); number <= head; number++) {
    const block = (await ask(node, 'eth_getBlockByNumber', `0x${number.toString(16)}`, false)) as {
      readonly hash: string
      readonly parentHash: string
    }
    expected.push({ number: String(number), hash: block.hash, parent_hash: block.parentHash })
  }
  expect(rows.map(({ number, hash, parent_hash }) => ({ number: String(number), hash, parent_hash }))).toEqual(expected)
  expect(rows.length).toBe(1 + 3 + 7 + 3 + 5 + 6)
  expect(tens?.rows.reduce((sum, { blocks }) => sum + Number(blocks), 0)).toBe(rows.length)
}, 60_000)
