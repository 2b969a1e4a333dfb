import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { minersFile, pipe } from './support/cli.js'
import { startAnvil } from './support/anvil.js'
import { temporaryFolder } from './support/folder.js'
import { dataFolder, loadMainnet } from './support/mainnet.js'
import { postgresDatabase, withParams } from './support/postgres.js'
import { readDuckdb } from './support/read-duckdb.js'
import { readPostgres } from './support/read-postgres.js'
import { runPipe } from './support/spawn-pipe.js'

describe('pipelines/miners.yaml on a real Ethereum node', () => {
  it('--demo fills miners_balance with what the node says; a second run says there are no missing blocks; Postgres gets the same', async () => {
    const cwd = temporaryFolder()
    const first = await runPipe(['run', minersFile, '--demo'], { cwd })
    expect({ code: first.code, text: first.code === 0 ? '' : first.stdout + first.stderr }).toEqual({ code: 0, text: '' })
    const file = join(cwd, 'data/miners-demo.duckdb')
    const { miners_balance: found } = await readDuckdb(file, { tables: ['miners_balance'] })

    // The demo's chain is the same at every start, so another node can be asked.
    const node = await startAnvil(300)
    const ask = async (method: string, ...params: unknown[]): Promise<unknown> => {
      const response = await fetch(node.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      })
      return ((await response.json()) as { result: unknown }).result
    }
    const hex = (n: number) => `0x${n.toString(16)}`
    const expected = []
    for (let n = 1; n <= 290; n++) {
      const block = (await ask('eth_getBlockByNumber', hex(n), false)) as { miner: string; hash: string }
      const [before, after] = [
        BigInt((await ask('eth_getBalance', block.miner, hex(n - 1))) as string),
        BigInt((await ask('eth_getBalance', block.miner, hex(n))) as string),
      ]
      expected.push({
        block_number: String(n),
        miner: block.miner,
        block_hash: block.hash,
        balance_before: String(before),
        balance_after: String(after),
        balance_increase: String(after - before),
      })
    }
    expect(found?.rows).toEqual(expected)
    expect(new Set(expected.map(({ miner }) => miner)).size).toBeGreaterThan(2)
    expect(expected.filter(({ balance_increase: gain }) => BigInt(gain) > 0n).length).toBeGreaterThan(200)

    const second = await runPipe(['run', minersFile, '--demo'], { cwd })
    expect(second.code).toBe(0)
    expect(second.stdout).toContain('no missing blocks')
    expect((await readDuckdb(file, { tables: ['miners_balance'] })).miners_balance?.hash).toBe(found?.hash)
    const again = await runPipe(['verify', minersFile, '--demo', '--sample', '1'], { cwd })
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('1 unit fetched again')])

    const url = withParams(await postgresDatabase(), { schema: 'demo' })
    const third = await runPipe(['run', minersFile, '--demo'], { cwd, env: { WAREHOUSE_URL: url } })
    expect({ code: third.code, text: third.code === 0 ? '' : third.stdout + third.stderr }).toEqual({ code: 0, text: '' })
    expect((await readPostgres(url, ['miners_balance'])).miners_balance?.hash).toBe(found?.hash)
  }, 120_000)
})

describe('pipelines/miners.yaml on 8,192 real mainnet blocks', () => {
  it.skipIf(!dataFolder)(
    'gives the balances that the blocks’ state roots prove',
    async () => {
      const { chain, expected } = loadMainnet(dataFolder ?? '')
      const node = await chain.serve()
      const cwd = temporaryFolder()
      const { code, out } = await pipe(['run', minersFile, '--param', 'from=0', '--param', 'to=8191'], {
        cwd,
        env: { ETH_RPC_URL: node.url },
      })
      expect({ code, out: code === 0 ? '' : out }).toEqual({ code: 0, out: '' })
      const { miners_balance: found, blocks } = await readDuckdb(join(cwd, 'data/miners.duckdb'), { tables: ['miners_balance', 'blocks'] })
      expect(found?.rows).toEqual(
        expected.map((row) => ({
          block_number: String(row.number),
          miner: row.miner,
          block_hash: row.hash,
          balance_before: String(row.balanceBefore),
          balance_after: String(row.balanceAfter),
          balance_increase: String(row.balanceIncrease),
        })),
      )
      expect(blocks?.rows.length).toBe(8_192)
      await node.close()
    },
    120_000,
  )
})
