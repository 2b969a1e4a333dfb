import { copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readPipeline } from '../../src/pipeline/read.js'
import { fakeChain } from '../../src/sandbox/index.js'
import { pipe } from '../../test/support/cli.js'
import { projectFolder, temporaryFolder } from '../../test/support/folder.js'
import { readDuckdb } from '../../test/support/read-duckdb.js'

const folder = join(projectFolder, 'examples/megaeth')

/** The example in a folder of its own, with this list of endpoints. */
function copied(list: unknown): string {
  const cwd = temporaryFolder()
  copyFileSync(join(folder, 'megaeth.yaml'), join(cwd, 'megaeth.yaml'))
  writeFileSync(join(cwd, 'rpcs.json'), typeof list === 'string' ? list : JSON.stringify(list))
  return cwd
}

const problems = async (list: unknown) => {
  const cwd = copied(list)
  const { code, out, err } = await pipe(['validate', 'megaeth.yaml'], { cwd })
  return { code, said: (out + err).split('\n')[0] }
}

test('the list of endpoints is taken as it is, with workers and priorities', async () => {
  const { pipeline } = await readPipeline('megaeth.yaml', { cwd: folder, env: {}, environment: 'require' })
  expect(pipeline?.chains.get('megaeth')?.endpoints.map(({ url, maxWorkers, priority }) => ({ url, maxWorkers, priority }))).toEqual([
    { url: 'https://mainnet.megaeth.com/rpc', maxWorkers: 5, priority: 1 },
    { url: 'https://megaeth.example.com/your-own-key', maxWorkers: 2, priority: 2 },
  ])
})

test('what it lists is asked, and what is paid is gas used by effective price', async () => {
  const chain = fakeChain({ seed: 1, chainId: 4326, blocks: 40, blockTime: 1, transactions: 3 })
  const [first, second] = [await chain.serve(), await chain.serve()]
  const cwd = copied({ rpcs: [first, second].map(({ url }, i) => ({ url, max_workers: 2, priority: i + 1 })) })
  const { code, out } = await pipe(['run', 'megaeth.yaml', '--param', 'from=1'], { cwd })
  expect({ code, out: code === 0 ? '' : out }).toEqual({ code: 0, out: '' })
  const { transactions, metrics_1m: metrics } = await readDuckdb(join(cwd, 'data/megaeth.duckdb'), {
    tables: ['transactions', 'metrics_1m'],
  })
  const paid = 21_000n * 2_000_000_000n
  expect(new Set(transactions?.rows.map(({ fee }) => fee))).toEqual(new Set([String(paid)]))
  const sum = (name: string) => metrics?.rows.reduce((all, row) => all + BigInt(row[name] ?? 0), 0n)
  expect([sum('txcount'), sum('fees')]).toEqual([BigInt(transactions?.rows.length ?? 0), BigInt(transactions?.rows.length ?? 0) * paid])
  await Promise.all([first.close(), second.close()])
})

test('a mistake in the list is named with its place there, and a file that is not there by the line that asks for it', async () => {
  expect(await problems({ rpcs: [{ url: 'ftp://a' }] })).toEqual({
    code: 2,
    said: 'rpcs.json:1:17  chains.megaeth.rpc[0].url: must be an http or https URL (is ftp://…) (write it whole: https://host/path)',
  })
  expect(await problems({ rpcs: [{ url: 'http://a', max_workers: 'many' }] })).toEqual({
    code: 2,
    said: expect.stringMatching(/^rpcs\.json:1:\d+ {2}chains\.megaeth\.rpc\[0\]\.max_workers: /),
  })
  expect(await problems({ urls: [] })).toEqual({
    code: 2,
    said: expect.stringContaining('chains.megaeth.rpc.file: "rpcs.json" has no list of endpoints'),
  })
  const cwd = temporaryFolder()
  copyFileSync(join(folder, 'megaeth.yaml'), join(cwd, 'megaeth.yaml'))
  const { code, out, err } = await pipe(['validate', 'megaeth.yaml'], { cwd })
  expect([code, out + err]).toEqual([2, expect.stringContaining('chains.megaeth.rpc.file: there is no file "rpcs.json"')])
})
