import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { type FakeChain, fakeChain } from '../src/sandbox/index.js'
import { atEnd } from './support/cleanup.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'
import { events, expected, otherFork, reorgWorld, rowsOf, served, stored, strikeOnce } from './support/reorg-world.js'

/** Steps that read no header themselves: of rows of a query with a key that is no block, and of blocks. */
const file = (steps: string) => `name: rows
warehouse: duckdb:rows.duckdb
params: { to: { type: block, default: head } }
chains: { fake: { id: 1, block_time: 12s, rpc: "\${RPC_URLS}", confirmations: 0 } }
tables:
  blocks: { columns: { number: bigint, hash: hash, miner: address }, key: [number] }
  latest: { columns: { miner: address, at: bigint?, balance: uint256 }, key: [miner] }
  wealth: { columns: { number: bigint, balance: uint256 }, key: [number] }
steps:
${steps}`
const BLOCKS = `  - id: blocks
    type: rpc-batch
    chain: fake
    into: blocks
    with:
      over: { blocks: { from: 1, to: $to } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash, miner: block.miner }
`
const LATEST = (row: string) => `  - id: latest
    type: rpc-batch
    chain: fake
    needs: [blocks]
    into: latest
    with:
      over: { sql: "SELECT miner, max(number) AS number FROM blocks GROUP BY miner", key: [miner] }
      calls: { balance: { method: eth_getBalance, params: [$miner, $number] } }
      row: ${row}
`
const WEALTH = (address: string) => `  - id: wealth
    type: rpc-batch
    chain: fake
    into: wealth
    with:
      over: { blocks: { from: 0, to: $to }, chunk: 10 }
      calls: { balance: { method: eth_getBalance, params: ["${address}", $number] } }
      row: { number: number, balance: balance }
`

async function worldOf(steps: (chain: FakeChain) => string, blocks = 20) {
  const chain = fakeChain({ seed: 5, blocks, miners: 4 })
  const node = await served(chain)
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'rows.yaml'), file(steps(chain)))
  const run = () => pipe(['run', join(cwd, 'rows.yaml'), '--output', 'json'], { cwd, env: { RPC_URLS: node.url } })
  const rows = async (table: string) => (await readDuckdb(join(cwd, 'rows.duckdb'), { tables: [table] }))[table]?.rows
  return { chain, node, run, rows }
}

const reasons = (out: string) => events(out, 'step:ended').map(({ step, outcome, reason }) => [step, outcome, reason])

it('rows of a query are read again for replaced blocks, whatever their key is', async () => {
  const { chain, run, rows } = await worldOf(() => BLOCKS + LATEST('{ miner: miner, at: number, balance: balance }'))
  const truth = () => {
    const last = new Map<string, number>()
    for (let number = 1; number <= Number(chain.head); number++) last.set(chain.block(number).miner, number)
    return [...last]
      .map(([miner, at]) => ({ miner, at: String(at), balance: String(chain.balance(miner as `0x${string}`, at)) }))
      .sort((a, b) => (a.miner < b.miner ? -1 : 1))
  }
  expect(reasons((await run()).out)).toEqual([
    ['blocks', 'complete', undefined],
    ['latest', 'complete', undefined],
  ])
  expect(await rows('latest')).toEqual(truth())
  for (const depth of [9, 2]) {
    chain.fork(depth, depth)
    expect({ depth, code: (await run()).code }).toEqual({ depth, code: 0 })
    expect({ depth, rows: await rows('latest') }).toEqual({ depth, rows: truth() })
  }
}, 60_000)

it('rows of a query that say no block stop the chain after a reorg, and nothing is deleted', async () => {
  const { chain, run, rows } = await worldOf(() => BLOCKS + LATEST('{ miner: miner, balance: balance }'))
  await run()
  const before = [await rows('blocks'), await rows('latest')]
  chain.fork(3, 4)
  const { code, out } = await run()
  expect(code).toBe(1)
  expect(reasons(out)[0]?.[2]).toContain(
    'step latest: blocks were replaced by a reorg, and table latest has no column by which their rows can be found; nothing was deleted',
  )
  expect([await rows('blocks'), await rows('latest')]).toEqual(before)
}, 60_000)

it('a step of blocks that asks for no header finds a reorg, also one while it reads', async () => {
  const { chain, node, run, rows } = await worldOf((of) => WEALTH(of.miners[0] ?? ''), 90)
  const truth = () =>
    Array.from({ length: Number(chain.head) + 1 }, (_, number) => ({
      number: String(number),
      balance: String(chain.balance(chain.miners[0] ?? '0x', number)),
    }))
  expect((await run()).code).toBe(0)
  expect(await rows('wealth')).toEqual(truth())
  chain.fork(7, 7)
  const ran = await run()
  expect([ran.code, events(ran.out, 'reorg')[0]]).toMatchObject([0, { block: '84', replaced: 7 }])
  expect(await rows('wealth')).toEqual(truth())
  chain.add(20)
  strikeOnce(node, { methods: ['eth_getBalance'] }, () => chain.fork(5, 5))
  expect((await run()).code).toBe(0)
  expect(await rows('wealth')).toEqual(truth())
}, 60_000)

it('a reorg between two steps of a run, after which nothing is new, is in all of its tables when it ends', async () => {
  const { chain, node, run, cwd } = await reorgWorld({ blocks: 20 })
  strikeOnce(node, { methods: ['eth_getBalance'] }, () => chain.fork(6, 6))
  const { code, out } = await run()
  expect([code, events(out, 'reorg')]).toMatchObject([0, [{ block: '15', replaced: 6 }]])
  expect(rowsOf(await stored(cwd))).toEqual(expected(chain))
}, 60_000)

it('what was read of a fork that came and went between two steps is of the fork that stayed', async () => {
  const { chain, node, run, cwd } = await reorgWorld({ blocks: 20 })
  const other = await otherFork({ blocks: 20, depth: 6, grown: 6 })
  // The other fork from the first balance on, until all of them were read, and some headers.
  let balances = 0
  let headers = 0
  const server = createServer((request, response) => {
    void (async () => {
      let body = ''
      for await (const part of request) body += String(part)
      balances += body.split('eth_getBalance').length - 1
      const there = balances > 0 && headers < 5
      if (balances >= 20 && body.includes('eth_getBlockByNumber')) headers++
      const answer = await fetch(there ? other.node.url : node.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      response.setHeader('content-type', 'application/json').end(await answer.text())
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const ran = await run([], `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  expect([ran.code, headers >= 5]).toEqual([0, true])
  expect(rowsOf(await stored(cwd))).toEqual(expected(chain))
}, 60_000)
