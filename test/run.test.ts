import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fakeChain, type FakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import { expectedBalances, minersFile, pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'

let chain: FakeChain
let node: FakeEndpoint

beforeAll(async () => {
  chain = fakeChain({ seed: 7, blocks: 500 })
  node = await chain.serve()
})
afterAll(() => node.close())

const world = (env: Record<string, string> = {}) => ({ cwd: temporaryFolder(), env: { ETH_RPC_URL: node.url, ...env } })
const tables = async (cwd: string) => readDuckdb(join(cwd, 'data/miners.duckdb'))
const balances = async (cwd: string) => (await tables(cwd)).miners_balance?.rows
const callsSince = (from: number) => {
  const counts: Record<string, number> = {}
  for (const { calls } of node.log.slice(from)) for (const { method } of calls) counts[method] = (counts[method] ?? 0) + 1
  return counts
}

describe('pipe run pipelines/miners.yaml', () => {
  it('gives every block of the range its miner’s balances, digit for digit', async () => {
    const here = world()
    const { code, out } = await pipe(['run', minersFile], here)
    expect({ code, out: code === 0 ? '' : out }).toEqual({ code: 0, out: '' })
    expect(await balances(here.cwd)).toEqual(expectedBalances(chain, 1, 490))
  })

  it('a second run asks for no block and no balance, and says so', async () => {
    const here = world()
    await pipe(['run', minersFile], here)
    const before = node.log.length
    const { code, out } = await pipe(['run', minersFile], here)
    expect(code).toBe(0)
    expect(out).toContain('no missing blocks')
    const { eth_getBlockByNumber, eth_getBalance } = callsSince(before)
    // One look at block 0, to see that this is still the same chain, and one at the newest block that was read.
    expect([eth_getBlockByNumber ?? 0, eth_getBalance ?? 0]).toEqual([2, 0])
  })

  it('shows who wrote beside the ledger, one row however often it runs', async () => {
    const here = world()
    await pipe(['run', minersFile, '--param', 'from=480'], here)
    await pipe(['run', minersFile, '--param', 'from=470'], here)
    const { _pipe_workers: workers } = await tables(here.cwd)
    const host = String(workers?.rows[0]?.host)
    expect(workers?.rows).toMatchObject([
      { worker: `miners@${host}`, pipeline: 'miners', step: 'blocks', unit: expect.any(String) as string },
    ])
  })

  it('asks the same balance once: what a miner had after N is what it has before N+1', async () => {
    const alone = fakeChain({ seed: 3, miners: 1, blocks: 60 })
    const own = await alone.serve()
    const cwd = temporaryFolder()
    await pipe(['run', minersFile], { cwd, env: { ETH_RPC_URL: own.url } })
    const asked = own.log.flatMap(({ calls }) => calls).filter(({ method }) => method === 'eth_getBalance')
    expect(new Set(asked.map(({ params }) => JSON.stringify(params))).size).toBe(asked.length)
    expect(asked.length).toBe(51)
    await own.close()
  })

  it('reads only what the head has moved on, in a unit that says exactly what it holds', async () => {
    const growing = fakeChain({ seed: 9, blocks: 120 })
    const own = await growing.serve()
    const here = { cwd: temporaryFolder(), env: { ETH_RPC_URL: own.url } }
    await pipe(['run', minersFile, '--param', 'from=0'], here)
    growing.add(30)
    const before = own.log.length
    await pipe(['run', minersFile, '--param', 'from=0'], here)
    const numbers = own.log
      .slice(before)
      .flatMap(({ calls }) => calls.filter(({ method }) => method === 'eth_getBlockByNumber').map(({ params }) => Number(params[0])))
    // And the one behind, which says that the last is of the chain. Looked at are the newest that was read before, and the highest block
    // that no reorg reaches.
    const moved = Array.from({ length: 31 }, (_, i) => 111 + i)
    expect([...new Set(numbers.filter((n) => n > 0))].sort((a, b) => a - b)).toEqual([76, 110, ...moved])
    const { _pipe_units: units, miners_balance: rows } = await tables(here.cwd)
    expect(units?.rows.filter(({ step }) => step === 'blocks').map(({ unit, state }) => [unit, state])).toEqual([
      ['0-110', 'done'],
      ['111-140', 'done'],
    ])
    expect(rows?.rows).toEqual(expectedBalances(growing, 1, 140))
    await own.close()
  })

  it('--limit reads that many blocks, newest first, exits 1, and the next run reads the rest', async () => {
    const here = world()
    const first = await pipe(['run', minersFile, '--limit', '25'], here)
    expect(first.code).toBe(1)
    const { blocks, miners_balance: rows } = await tables(here.cwd)
    expect(blocks?.rows.map(({ number }) => Number(number))).toEqual(Array.from({ length: 25 }, (_, i) => 466 + i))
    expect(rows?.rows.length).toBe(25)
    const second = await pipe(['run', minersFile], here)
    expect(second.code).toBe(0)
    expect(await balances(here.cwd)).toEqual(expectedBalances(chain, 1, 490))
  })

  it('--select shows the steps that act, and none that would wait for ever', async () => {
    const here = world()
    const { code, out } = await pipe(['run', minersFile, '--select', 'blocks'], here)
    expect([code, out.includes('waiting'), out.includes('balances')]).toEqual([0, false, false])
    const status = await pipe(['status', minersFile], here)
    expect([status.code, status.out.includes('waiting'), status.out.includes('blocks')]).toEqual([0, false, true])
  })

  it('an incomplete run says how to go on with the same values, which the file alone would not ask for', async () => {
    const here = world()
    const { code, out } = await pipe(
      ['run', minersFile, '--param', 'from=100', '--param', 'to=200', '--select', 'blocks', '--limit', '5'],
      here,
    )
    expect(code).toBe(1)
    expect(out).toContain(`  pipe run ${minersFile} --param from=100 --param to=200 --select blocks\n`)
  })

  it('--select runs only the named steps, and does not jump a gate', async () => {
    const here = world()
    expect((await pipe(['run', minersFile, '--select', 'blocks'], here)).code).toBe(0)
    expect((await tables(here.cwd)).miners_balance?.rows).toEqual([])
    // Balances are missing, so the gate stays closed, and says why.
    const gate = await pipe(['run', minersFile, '--select', 'complete'], here)
    expect(gate.code).toBe(1)
    expect(gate.out).toContain('balances')
  })

  it('a block that fails for good is set aside with its error, the others are read, and no run asks for it again until retry', async () => {
    const here = world({ ETH_RPC_URL: '' })
    const own = await chain.serve()
    const env = { ETH_RPC_URL: own.url }
    const fault = own.fault({
      kind: 'error',
      error: { code: -32000, message: 'block is corrupt' },
      methods: ['eth_getBlockByNumber'],
      if: ({ params }) => params[0] === '0x64',
    })
    const first = await pipe(['run', minersFile], { cwd: here.cwd, env })
    expect(first.code).toBe(1)
    expect(first.out).toContain('block is corrupt')
    const { _pipe_units: units, blocks } = await tables(here.cwd)
    expect(units?.rows.filter(({ step }) => step === 'blocks').map(({ unit, state, attempts }) => [unit, state, attempts])).toEqual([
      ['0-99', 'done', '0'],
      ['100-100', 'quarantined', '5'],
      ['101-490', 'done', '0'],
    ])
    expect(blocks?.rows.length).toBe(490)
    const before = own.log.length
    expect((await pipe(['run', minersFile], { cwd: here.cwd, env })).code).toBe(1)
    const asked = own.log
      .slice(before)
      .flatMap(({ calls }) => calls.filter(({ method, params }) => method === 'eth_getBlockByNumber' && params[0] === '0x64'))
    expect(asked).toEqual([])
    own.clear()
    void fault
    const retry = await pipe(['retry', minersFile], { cwd: here.cwd, env })
    expect(retry.code).toBe(0)
    expect(retry.out).toContain('100-100')
    expect((await pipe(['run', minersFile], { cwd: here.cwd, env })).code).toBe(0)
    expect(await balances(here.cwd)).toEqual(expectedBalances(chain, 1, 490))
    await own.close()
  })

  it('a balance that fails for good is quarantined by its key, the gate says so, and retry brings it back', async () => {
    const cwd = temporaryFolder()
    const own = await chain.serve()
    const env = { ETH_RPC_URL: own.url }
    own.fault({
      kind: 'error',
      error: { code: -32000, message: 'account is broken' },
      methods: ['eth_getBalance'],
      if: ({ params }) => params[1] === '0x32',
    })
    const first = await pipe(['run', minersFile], { cwd, env })
    expect(first.code).toBe(1)
    const found = await tables(cwd)
    // Balance at 50 is needed by block 50, and by block 51 when its miner is the same.
    const lost = found._pipe_quarantine?.rows.map(({ step, key }) => [step, key])
    expect(lost?.[0]).toEqual(['balances', '50'])
    expect(found.miners_balance?.rows.length).toBe(490 - (lost?.length ?? 0))
    const before = own.log.length
    expect((await pipe(['run', minersFile], { cwd, env })).code).toBe(1)
    expect(
      own.log
        .slice(before)
        .flatMap(({ calls }) => calls)
        .filter(({ method }) => method === 'eth_getBalance'),
    ).toEqual([])
    own.clear()
    await pipe(['retry', minersFile, '--step', 'balances'], { cwd, env })
    expect((await pipe(['run', minersFile], { cwd, env })).code).toBe(0)
    expect(await balances(cwd)).toEqual(expectedBalances(chain, 1, 490))
    await own.close()
  })

  it('what failed and was done since is failed no more: the ledger holds done units only, and retry finds nothing', async () => {
    const cwd = temporaryFolder()
    const own = await chain.serve()
    const env = { ETH_RPC_URL: own.url }
    own.fault({
      kind: 'error',
      error: { code: -32600, message: 'Monthly capacity limit exceeded.' },
      methods: ['eth_getBalance'],
      if: ({ params }) => Number(params[1]) <= 50,
    })
    expect((await pipe(['run', minersFile], { cwd, env })).code).toBe(1)
    const states = async () =>
      (await tables(cwd))._pipe_units?.rows.filter(({ step }) => step === 'balances').map(({ unit, state }) => `${unit} ${state}`)
    expect(await states()).toEqual(['0-9999 failed'])
    own.clear()
    expect((await pipe(['run', minersFile], { cwd, env })).code).toBe(0)
    expect((await states())?.filter((row) => !row.endsWith(' done'))).toEqual([])
    expect((await pipe(['retry', minersFile], { cwd, env })).out).toMatch(/^nothing is in quarantine/)
    expect(await balances(cwd)).toEqual(expectedBalances(chain, 1, 490))
    await own.close()
  })

  it('reset marks units, deletes nothing until they are read again, and the plan says why', async () => {
    const here = world()
    await pipe(['run', minersFile, '--param', 'from=0'], here)
    expect((await pipe(['reset', minersFile, '--step', 'blocks', '--range', '100..149'], here)).code).toBe(0)
    expect((await tables(here.cwd)).blocks?.rows.length).toBe(491)
    const plan = JSON.parse((await pipe(['plan', minersFile, '--param', 'from=0', '--json'], here)).out) as {
      steps: { id: string; units: unknown[]; reasons: unknown }[]
    }
    const piece = { kind: 'stretch', of: 'numbers', from: '100', to: '149', order: 'newest-first' }
    expect(plan.steps[0]?.units).toEqual([{ unit: '100-149', piece, size: 50, reason: 'reset' }])
    const before = node.log.length
    expect((await pipe(['run', minersFile, '--param', 'from=0'], here)).code).toBe(0)
    // The one behind says that the last is of the chain; block 0 says which chain it is, the newest before and after that it is the same.
    expect(callsSince(before).eth_getBlockByNumber).toBe(54)
    expect((await tables(here.cwd)).blocks?.rows.length).toBe(491)
    expect(JSON.parse((await pipe(['plan', minersFile, '--param', 'from=0', '--json'], here)).out)).toMatchObject({ work: false })
  })

  it('a changed step is done again with the reason in the plan; its old rows go in the transaction that writes the new ones', async () => {
    const cwd = temporaryFolder()
    const env = { ETH_RPC_URL: node.url }
    const file = join(cwd, 'p.yaml')
    const yaml = (field: string, to: number) => `name: p
warehouse: duckdb:p.duckdb
chains: { ethereum: { rpc: "\${ETH_RPC_URL}" } }
tables: { b: { columns: { n: bigint, v: text }, key: [n] } }
steps:
  - id: b
    type: rpc-batch
    chain: ethereum
    into: b
    with:
      over: { blocks: { from: 10, to: ${to} } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { n: block.number, v: block.${field} }
`
    writeFileSync(file, yaml('hash', 59))
    expect((await pipe(['run', file], { cwd, env })).code).toBe(0)
    writeFileSync(file, yaml('miner', 59))
    const plan = JSON.parse((await pipe(['plan', file, '--json'], { cwd, env })).out) as { steps: { units: unknown[] }[] }
    const piece = { kind: 'stretch', of: 'numbers', from: '10', to: '59', order: 'oldest-first' }
    expect(plan.steps[0]?.units).toEqual([{ unit: '10-59', piece, size: 50, reason: 'changed: row' }])
    expect((await pipe(['run', file], { cwd, env })).code).toBe(0)
    const { b, _pipe_units: units } = await readDuckdb(join(cwd, 'p.duckdb'))
    expect(b?.rows).toEqual(Array.from({ length: 50 }, (_, i) => ({ n: String(10 + i), v: chain.block(10 + i).miner })))
    expect(units?.rows.map(({ unit, state }) => [unit, state])).toEqual([['10-59', 'done']])
    // What is asked for, order and sizes are no part of what a checkpoint was made under.
    writeFileSync(file, yaml('miner', 69).replace('to: 69 } }', 'to: 69 }, order: newest-first, chunk: 7 }'))
    const more = JSON.parse((await pipe(['plan', file, '--json'], { cwd, env })).out) as { steps: { pieces: number; done: number }[] }
    expect(more.steps[0]).toMatchObject({ pieces: 10, done: 50 })
  })

  it('rows deleted by hand are fetched again where the table decides', async () => {
    const here = world()
    await pipe(['run', minersFile], here)
    const { DuckDBInstance } = await import('@duckdb/node-api')
    const db = await DuckDBInstance.create(join(here.cwd, 'data/miners.duckdb'))
    const connection = await db.connect()
    await connection.run('DELETE FROM miners_balance WHERE block_number IN (17, 18, 300)')
    connection.closeSync()
    db.closeSync()
    const { code } = await pipe(['run', minersFile], here)
    expect(code).toBe(0)
    expect(await balances(here.cwd)).toEqual(expectedBalances(chain, 1, 490))
  })

  it('a closed gate gives exit code 1 and names the check with its value', async () => {
    const cwd = temporaryFolder()
    const file = join(cwd, 'gate.yaml')
    writeFileSync(
      file,
      `name: gate
warehouse: duckdb:gate.duckdb
tables: { t: { columns: { n: bigint }, key: [n] } }
steps:
  - id: closed
    type: gate
    with:
      checks:
        - { name: nothing is there, sql: SELECT count(*) FROM t, expect: ">= 1" }
        - { name: only a warning, sql: SELECT count(*) FROM t, expect: ">= 1", severity: warn }
        - { name: no number, sql: SELECT max(n) FROM t, expect: 1 }
`,
    )
    const { code, out } = await pipe(['run', file], { cwd })
    expect(code).toBe(1)
    expect(out).toContain('nothing is there')
    expect(out).toContain('NULL')
  })

  it('plan changes nothing: no database is made, no block is read', async () => {
    const here = world()
    const before = node.log.length
    const { code, out } = await pipe(['plan', minersFile], here)
    expect(code).toBe(0)
    expect(out).toContain('0 now + up to 491 from blocks')
    expect(Object.keys(callsSince(before)).sort()).toEqual(['eth_blockNumber', 'eth_chainId'])
    const { existsSync } = await import('node:fs')
    expect(existsSync(join(here.cwd, 'data'))).toBe(false)
    expect((await pipe(['plan', minersFile, '--detailed-exitcode'], here)).code).toBe(4)
  })

  it('plan says which blocks are above the head', async () => {
    const { code, out } = await pipe(['plan', minersFile, '--param', 'from=490', '--param', 'to=9999'], world())
    expect(code).toBe(0)
    expect(out).toContain('the head of ethereum is 500: blocks 501-9999 are not there yet, and a run that asks for them ends incomplete')
  })

  it('another chain behind the same database is refused before anything is fetched', async () => {
    const here = world()
    await pipe(['run', minersFile, '--limit', '5'], here)
    const other = fakeChain({ seed: 99, blocks: 500, genesisTime: 1_500_000_000 })
    const own = await other.serve()
    const { code, out, err } = await pipe(['run', minersFile], { cwd: here.cwd, env: { ETH_RPC_URL: own.url } })
    expect(code).toBe(1)
    expect(out + err).toContain('genesis 0x')
    expect(own.log.flatMap(({ calls }) => calls).filter(({ method }) => method === 'eth_getBalance')).toEqual([])
    await own.close()
  })

  it('with many units open at once gives no warning of a leak', async () => {
    const here = world()
    const file = join(here.cwd, 'many.yaml')
    writeFileSync(file, readFileSync(minersFile, 'utf8').replace('order: newest-first }', 'order: newest-first, chunk: 2 }'))
    const warnings: Error[] = []
    const listen = (warning: Error) => void warnings.push(warning)
    process.on('warning', listen)
    const { code } = await pipe(['run', file], here)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect({ code, warnings: warnings.map(({ name }) => name) }).toEqual({ code: 0, warnings: [] })
  })

  it('a mistake in a param or a selection ends with exit code 2 before anything is asked', async () => {
    const here = world()
    const before = node.log.length
    expect((await pipe(['run', minersFile, '--param', 'form=5'], here)).err).toContain('did you mean "from"')
    expect((await pipe(['run', minersFile, '--select', 'balance'], here)).err).toContain('did you mean "balances"')
    expect((await pipe(['run', minersFile, '--param', 'from=latest'], here)).code).toBe(2)
    expect(node.log.length).toBe(before)
  })
})
