import { join } from 'node:path'
import { expect, test } from 'vitest'
import * as proof from '../../src/proof/index.js'
import { fakeChain } from '../../src/sandbox/index.js'
import { pipe } from '../../test/support/cli.js'
import { projectFolder, temporaryFolder } from '../../test/support/folder.js'
import { readDuckdb } from '../../test/support/read-duckdb.js'

const file = join(projectFolder, 'examples/erc20/erc20.yaml')
const USDC = '0x833589fcd6edb6e08f4c7c32d4f71b54bda02913'
const TRANSFER = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
const word = (value: bigint) => `0x${value.toString(16).padStart(64, '0')}`

test('the transfers of one token of another chain are read, those of other tokens are not', async () => {
  const log = (address: string, value: bigint) => ({ address, topics: [TRANSFER, word(1n), word(2n)], data: word(value) })
  const chain = fakeChain({
    seed: 3,
    chainId: 8453,
    blocks: 60,
    hasher: proof,
    logs: (block) => (block % 3n === 0n ? [log(USDC, block * 10n), log(`0x${'e'.repeat(40)}`, 1n), log(USDC, block * 10n + 1n)] : []),
  })
  const node = await chain.serve()
  const cwd = temporaryFolder()
  const { code, out } = await pipe(['run', file, '--param', 'from=10'], { cwd, env: { BASE_RPC_URL: node.url } })
  expect({ code, out: code === 0 ? '' : out }).toEqual({ code: 0, out: '' })
  const { transfers } = await readDuckdb(join(cwd, 'data/erc20.duckdb'), { tables: ['transfers'] })
  const blocks = Array.from({ length: 13 }, (_, i) => BigInt(12 + 3 * i))
  expect(transfers?.rows.map(({ block_number, log_index, value }) => [block_number, log_index, value])).toEqual(
    blocks.flatMap((block) => [
      [String(block), '0', String(block * 10n)],
      [String(block), '2', String(block * 10n + 1n)],
    ]),
  )
  await node.close()
})
