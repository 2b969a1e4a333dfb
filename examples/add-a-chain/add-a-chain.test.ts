import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fakeChain } from '../../src/sandbox/index.js'
import { pipe } from '../../test/support/cli.js'
import { projectFolder, temporaryFolder } from '../../test/support/folder.js'
import { readDuckdb } from '../../test/support/read-duckdb.js'

const file = join(projectFolder, 'examples/add-a-chain/blocks.yaml')

test('one step with a matrix reads two chains into one table, each up to its own head', async () => {
  const ethereum = fakeChain({ seed: 1, chainId: 1, blocks: 150 })
  const base = fakeChain({ seed: 2, chainId: 8453, blocks: 40, genesisTime: 1_650_000_000 })
  const [one, two] = [await ethereum.serve(), await base.serve()]
  const cwd = temporaryFolder()
  const { code, out } = await pipe(['run', file], { cwd, env: { ETH_RPC_URL: one.url, BASE_RPC_URL: two.url } })
  expect({ code, out: code === 0 ? '' : out }).toEqual({ code: 0, out: '' })
  const { blocks } = await readDuckdb(join(cwd, 'data/blocks-by-chain.duckdb'), { tables: ['blocks'] })
  const rows = (name: string, chain: typeof base, from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, i) => [name, String(from + i), chain.block(from + i).hash])
  expect(blocks?.rows.map(({ chain, number, hash }) => [chain, number, hash])).toEqual([
    ...rows('base', base, 0, 30),
    ...rows('ethereum', ethereum, 41, 140),
  ])
  await Promise.all([one.close(), two.close()])
})

test('the wrong chain behind a URL is refused, and the other chain is read all the same', async () => {
  const ethereum = fakeChain({ seed: 1, chainId: 1, blocks: 150 })
  const one = await ethereum.serve()
  const cwd = temporaryFolder()
  const { code, out } = await pipe(['run', file], { cwd, env: { ETH_RPC_URL: one.url, BASE_RPC_URL: one.url } })
  expect(code).toBe(1)
  expect(out).toContain('8453')
  const { blocks } = await readDuckdb(join(cwd, 'data/blocks-by-chain.duckdb'), { tables: ['blocks'] })
  expect(new Set(blocks?.rows.map(({ chain }) => chain))).toEqual(new Set(['ethereum']))
  expect(blocks?.rows.length).toBe(100)
  await one.close()
})
