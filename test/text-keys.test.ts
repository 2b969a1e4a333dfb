import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { fakeChain } from '../src/sandbox/index.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'

it('a text key that looks like a range of blocks is a text: it is verified by a sample, reset by its name, and done again', async () => {
  const chain = fakeChain({ seed: 3, blocks: 20 })
  const node = await chain.serve({ log: true })
  const cwd = temporaryFolder()
  writeFileSync(
    join(cwd, 'p.yaml'),
    `name: p
warehouse: duckdb:p.duckdb
chains: { ethereum: { rpc: "\${ETH_RPC_URL}" } }
tables:
  headers: { columns: { number: bigint, miner: address }, key: [number] }
  balances: { columns: { id: text, number: bigint, balance: uint256 }, key: [id] }
steps:
  - id: headers
    type: rpc-batch
    chain: ethereum
    into: headers
    with:
      over: { blocks: { from: 0, to: 9 } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, miner: block.miner }
  - id: balances
    type: rpc-batch
    needs: [headers]
    chain: ethereum
    into: balances
    with:
      over: { sql: "SELECT CAST(101 + number AS VARCHAR) || '-901' AS id, number, miner FROM headers", key: [id], chunk: 5 }
      calls: { balance: { method: eth_getBalance, params: [$miner, $number] } }
      row: { id: id, number: number, balance: balance }
`,
  )
  const run = (...args: string[]) => pipe(args, { cwd, env: { ETH_RPC_URL: node.url } })
  expect((await run('run', 'p.yaml')).code).toBe(0)
  const { _pipe_units: units } = await readDuckdb(join(cwd, 'p.duckdb'), { tables: ['_pipe_units'] })
  expect(units?.rows.filter(({ step }) => step === 'balances').map(({ unit, first, last }) => [unit, first, last])).toEqual([
    ['101-901', null, null],
    ['106-901', null, null],
  ])
  const sampled = await run('verify', 'p.yaml', '--sample', '2')
  expect([sampled.code, sampled.err]).toEqual([0, ''])
  expect((await run('reset', 'p.yaml', '--step', 'balances', '--range', '101-901..105-901')).code).toBe(0)
  const before = node.log.length
  expect((await run('run', 'p.yaml')).code).toBe(0)
  const again = node.log.slice(before).flatMap(({ calls }) => calls.filter(({ method }) => method === 'eth_getBalance'))
  expect(again.length).toBeGreaterThanOrEqual(5)
  expect((await run('verify', 'p.yaml')).code).toBe(0)
  await node.close()
})
