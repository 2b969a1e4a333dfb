import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { fakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import { temporaryFolder } from './support/folder.js'
import { ask, postgresDatabase } from './support/postgres.js'
import { runPipe } from './support/spawn-pipe.js'

const PIPELINE = `name: heights
warehouse: \${WAREHOUSE_URL}
chains:
  ethereum: { rpc: "\${RPC_URL}" }
tables:
  blocks: { columns: { number: bigint, hash: hash }, key: [number] }
steps:
  - id: blocks
    type: rpc-batch
    chain: ethereum
    into: blocks
    with:
      over: { blocks: { from: 0, to: 99 } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash }
  - id: complete
    type: gate
    needs: [blocks]
    with: { checks: [{ name: all there, sql: SELECT count(*) FROM blocks, expect: 100 }] }
`

let node: FakeEndpoint
let warehouse: string
let state: string

beforeAll(async () => {
  node = await fakeChain({ seed: 3, blocks: 200 }).serve()
  warehouse = await postgresDatabase()
  state = await postgresDatabase()
}, 120_000)
afterAll(() => node.close())

test('the built command keeps rows and runs in Postgres, and finds nothing to do the second time', async () => {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'heights.yaml'), PIPELINE)
  const env = { RPC_URL: node.url, WAREHOUSE_URL: warehouse }
  const run = () => runPipe(['--state', state, 'run', 'heights.yaml', '--output', 'plain'], { cwd, env })

  expect(await run()).toMatchObject({ code: 0, stderr: '' })
  const content = await ask(warehouse, 'SELECT count(*) AS rows, count(DISTINCT number) AS numbers FROM blocks')
  expect(content).toEqual([{ rows: '100', numbers: '100' }])

  const asked = node.count('eth_getBlockByNumber')
  const again = await run()
  expect(again).toMatchObject({ code: 0, stderr: '' })
  expect(again.stdout).toContain('everything was done before')
  // Whether the newest block that was read is still of the chain is one request.
  expect(node.count('eth_getBlockByNumber')).toBe(asked + 1)
}, 60_000)
