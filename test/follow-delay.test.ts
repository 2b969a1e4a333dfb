import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readPipeline } from '../src/pipeline/read.js'
import { fakeChain } from '../src/sandbox/index.js'
import { openSession } from '../src/session/session.js'
import { fakeIo } from './cli/fake-io.js'
import { temporaryFolder } from './support/folder.js'

const YAML = `name: live
params:
  from: { type: block, default: covered }
  to: { type: block, default: head }
warehouse: duckdb:live.duckdb
chains: { devnet: { id: 1, rpc: "\${RPC}", confirmations: 0, block_time: 2s } }
tables:
  heads: { columns: { number: bigint, time: timestamp }, key: [number] }
  minutes: { columns: { minute: timestamp, blocks: bigint }, key: [minute] }
steps:
  - id: heads
    type: rpc-batch
    chain: devnet
    into: heads
    with:
      over: { blocks: { from: $from, to: $to } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, time: block.timestamp }
  - id: minutes
    type: sql-upsert
    needs: [heads]
    into: minutes
    with:
      interval: { by: 1m, of: { heads: time } }
      sql: SELECT $start AS minute, count(*) AS blocks FROM heads WHERE time >= $start AND time < $end HAVING count(*) > 0
`
const BLOCKS = 7

/** From a new head to its row, of several heads, and to the rollup of its minute, in milliseconds, the shortest first. */
async function delays(socket: boolean, waitMs: number) {
  const chain = fakeChain({ blocks: 20 })
  const node = await chain.serve()
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'live.yaml'), YAML)
  const io = fakeIo({ cwd, env: { RPC: socket ? `${node.url},${node.url.replace('http', 'ws')}` : node.url } })
  const { pipeline } = await readPipeline('live.yaml', { cwd, env: io.env, environment: 'require' })
  if (!pipeline) throw new Error('the pipeline has mistakes')
  const session = await openSession(pipeline, io, { state: 'sqlite:state.db' })
  const rows: number[] = []
  const rollups: number[] = []
  let addedAt: number | undefined
  let next: NodeJS.Timeout | undefined
  session.subscribe((event) => {
    if (event.type === 'batch:committed' && addedAt !== undefined) {
      const ms = performance.now() - addedAt
      if (event.rows.heads === 1) rows.push(ms)
      if (event.rows.minutes === 1) rollups.push(ms)
    }
    if (event.type === 'round:started') clearInterval(next)
    if (event.type !== 'round:ended') return
    addedAt = undefined
    if (rows.length >= BLOCKS) return session.stop()
    // Some time after the round, so that a wait has begun. Those that come before the socket is heard are not measured.
    next = setInterval(() => {
      if (event.round > 1) addedAt = performance.now()
      if (event.round > 1) clearInterval(next)
      chain.add(1)
    }, 150)
  })
  const { exitCode } = await session.run({ params: {}, select: undefined, limit: undefined, follow: true, waitMs })
  await session.close()
  await node.close()
  const sorted = (some: readonly number[]) => some.toSorted((a, b) => a - b)
  return { exitCode, rows: sorted(rows), rollups: sorted(rollups) }
}

test('a row is there within a second of its head where a WebSocket tells of it, else within a poll and a second, and the rollup of its minute in the same round', async () => {
  const POLL_MS = 300
  for (const { socket, waitMs, least } of [
    // No poll can have found them: they are found because they were told of, each of them.
    { socket: true, waitMs: 60_000, least: 0 },
    { socket: false, waitMs: POLL_MS, least: POLL_MS },
  ]) {
    const { exitCode, rows, rollups } = await delays(socket, waitMs)
    expect([exitCode, rows.length, rollups.length]).toEqual([0, BLOCKS, BLOCKS])
    // Of seven the median: a machine that does other things makes some of them longer.
    expect(rows[3]).toBeLessThan(least + 1_000)
    expect(rollups[3]).toBeLessThan(least + 1_000)
    expect(rollups[6]).toBeLessThan(20_000)
  }
}, 180_000)
