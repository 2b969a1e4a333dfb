import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { fakeChain } from '../src/sandbox/index.js'
import { openWarehouse } from '../src/warehouse/open.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'
import { restoreVersion1, type Version1, version1 } from './support/version-1.js'

/** A folder with what the released version 1 left, and the chain that it was read from. */
async function left(name: Version1) {
  const cwd = temporaryFolder()
  const { chain, yaml = '' } = version1(name)
  writeFileSync(join(cwd, 'p.yaml'), yaml)
  const warehouse = await openWarehouse(`duckdb:${join(cwd, 'chained.duckdb')}`, { mode: 'write' })
  await restoreVersion1(warehouse, name, 'all')
  await warehouse.close()
  const own = await fakeChain(chain).serve({ log: true })
  const env = { ETH_RPC_URL: own.url }
  /** Blocks and balances that were asked for. The genesis block is asked for at each start. */
  const asked = () => {
    const calls = own.log.flatMap((request) => request.calls)
    return calls.filter(({ method, params }) => /^eth_get/.test(method) && JSON.stringify(params) !== '["0x0",false]')
  }
  return { cwd, env, own, asked, run: (...args: string[]) => pipe([...args, 'p.yaml'], { cwd, env }) }
}

const units = async (cwd: string) => (await readDuckdb(join(cwd, 'chained.duckdb'), { tables: ['_pipe_units'] }))._pipe_units?.rows ?? []

it('what version 1 had done is done: nothing is asked again, by a plan or by a run', async () => {
  const { cwd, own, asked, run } = await left('chained')
  expect((await run('plan')).out).toContain('nothing to do')
  const { code, out } = await run('run')
  // One key was in quarantine, and stays there.
  expect([code, out.includes('balances  incomplete: 1 in quarantine'), asked()]).toEqual([1, true, []])
  const rows = (await units(cwd)).filter(({ step }) => step === 'headers').sort((a, b) => Number(a.first) - Number(b.first))
  // Those behind the reorg horizon are one now.
  expect(rows.map(({ unit, first, last, state }) => [unit, `${first}-${last}`, state])).toEqual(
    ['0-47', '48-71', '72-95', '96-119', '120-143'].map((unit) => [unit, unit, 'done']),
  )
  expect((await run('verify')).out).toContain('quarantine')
  await own.close()
})

it('what version 1 was killed in goes on where its commits ended', async () => {
  const { cwd, own, asked, run } = await left('killed')
  expect((await run('run')).code).toBe(0)
  // The block behind each group proves its last one.
  const numbers = [...new Set(asked().map(({ params }) => Number((params as readonly string[])[0])))].sort((a, b) => a - b)
  expect(numbers).toEqual(Array.from({ length: 1000 }, (_, n) => 200 + n))
  const { headers } = await readDuckdb(join(cwd, 'chained.duckdb'), { tables: ['headers'] })
  expect(headers?.rows.map(({ number }) => Number(number))).toEqual(Array.from({ length: 1200 }, (_, n) => n))
  await own.close()
})

it('what version 1 put in quarantine is there, and `pipe retry` lets it out', async () => {
  const { own, asked, run } = await left('quarantined')
  const { code, out } = await run('run')
  expect([code, out.includes('1 in quarantine'), asked()]).toEqual([1, true, []])
  expect((await run('retry')).code).toBe(0)
  expect((await run('run')).code).toBe(0)
  // With the one behind it, which proves it; the run ends with a look whether the newest one is still of the chain.
  expect(asked().map(({ params }) => params)).toEqual([
    ['0x64', false],
    ['0x65', false],
    ['0x64', false],
  ])
  await own.close()
})
