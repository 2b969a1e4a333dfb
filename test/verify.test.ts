import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { paginateCursor } from '../plugins/paginate-cursor/paginate-cursor.js'
import { fakeApi, fakeChain, type FakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import type { VerifyReport } from '../src/verify/report.js'
import { atEnd } from './support/cleanup.js'
import { expectedBalances, minersFile, pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { schemaErrors } from './support/json-schema.js'
import { dataFolder, loadMainnet } from './support/mainnet.js'
import { readDuckdb } from './support/read-duckdb.js'

let chain: FakeChain
let node: FakeEndpoint

beforeAll(async () => {
  chain = fakeChain({ seed: 7, blocks: 210, transactions: 2 })
  node = await chain.serve()
})
afterAll(() => node.close())

/** A folder in which a pipeline was run. */
class World {
  readonly cwd = temporaryFolder()
  readonly file: string
  env: Record<string, string>

  constructor(file = minersFile, env: Record<string, string> = { ETH_RPC_URL: node.url }) {
    this.file = file
    this.env = env
  }

  pipe(...args: string[]) {
    return pipe(args, this)
  }

  async ran(...args: string[]): Promise<this> {
    const { code, out, err } = await this.pipe('run', this.file, ...args)
    expect({ code, text: code === 0 ? '' : out + err }).toEqual({ code: 0, text: '' })
    return this
  }

  /** Changes the database behind our back. */
  async doctor(...statements: string[]): Promise<void> {
    const instance = await DuckDBInstance.create(join(this.cwd, 'data/miners.duckdb'))
    const connection = await instance.connect()
    for (const statement of statements) await connection.run(statement)
    connection.closeSync()
    instance.closeSync()
  }

  async rows(): Promise<readonly Readonly<Record<string, string | null>>[]> {
    return (await readDuckdb(join(this.cwd, 'data/miners.duckdb'))).txs?.rows ?? []
  }

  async verify(...args: string[]): Promise<VerifyReport> {
    const { code, out, err } = await this.pipe('verify', this.file, '--json', ...args)
    expect(err).toBe('')
    const report = JSON.parse(out) as VerifyReport
    expect([code, schemaErrors('verify', report)]).toEqual([report.ok ? 0 : 1, []])
    return report
  }

  /** Does what the findings say, each command once, in their order. */
  async follow({ findings }: VerifyReport): Promise<void> {
    const commands = [...new Set(findings.flatMap(({ fix }) => fix))]
    // A run mends only what was reset before it.
    const order = [
      ...commands.filter((command) => !/^(pipe|#) /.test(command)),
      ...commands.filter((command) => /^pipe (reset|retry)/.test(command)),
      ...commands.filter((command) => command.startsWith('pipe run')),
    ]
    for (const command of order) {
      if (!command.startsWith('pipe ')) await this.doctor(command)
      else {
        const words = command.split(' ').map((word) => word.replace(/^'(.*)'$/, '$1'))
        const { code, out, err } = await this.pipe(...words.slice(1))
        expect({ command, code, text: code === 0 ? '' : out + err }).toEqual({ command, code: 0, text: '' })
      }
    }
  }
}

const brief = ({ findings }: VerifyReport) => findings.map(({ check, step, table, unit, key }) => [check, step, table, unit, key])

/** Finds exactly these, and nothing once the advice was followed. */
async function mended(world: World, report: VerifyReport, ...sample: string[]): Promise<void> {
  await world.follow(report)
  expect(brief(await world.verify(...sample))).toEqual([])
}

describe('pipe verify pipelines/miners.yaml', () => {
  it('says nothing after a run, also when the chain has grown since', async () => {
    const growing = fakeChain({ seed: 9, blocks: 120 })
    const own = await growing.serve()
    const world = await new World(minersFile, { ETH_RPC_URL: own.url }).ran()
    growing.add(40)
    const report = await world.verify()
    expect(report).toMatchObject({
      ok: true,
      findings: [],
      steps: [{ id: 'blocks', units: 1 }, { id: 'balances', units: 1 }, { id: 'complete' }],
    })
    const text = await world.pipe('verify', minersFile)
    expect([text.code, text.out.endsWith('\nnothing found\n')]).toEqual([0, true])
    await own.close()
  })

  it('says that nothing was run yet, asks nothing, makes nothing, and so do retry and reset', async () => {
    const world = new World(minersFile, {})
    for (const [verb, ...more] of [['verify'], ['retry'], ['reset', '--step', 'blocks']] as const) {
      const { code, err } = await world.pipe(verb, minersFile, ...more)
      expect({ code, err }).toEqual({
        code: 2,
        err: expect.stringContaining(
          `error: nothing was run into duckdb:${join(world.cwd, 'data/miners.duckdb')} yet, so there is nothing to ${verb} (USAGE)\n`,
        ) as string,
      })
      expect(existsSync(join(world.cwd, 'data'))).toBe(false)
    }
    mkdirSync(join(world.cwd, 'data'))
    writeFileSync(join(world.cwd, 'data/miners-demo.duckdb'), '')
    expect((await world.pipe('verify', minersFile)).err).toContain('a demo was run into data/miners-demo.duckdb')
  })

  it('looks at what a demo filled with --demo, as retry and reset do, and its advice says --demo', async () => {
    const world = await new World().ran()
    await world.doctor('DELETE FROM blocks WHERE number = 5', 'DELETE FROM miners_balance WHERE block_number = 5')
    renameSync(join(world.cwd, 'data/miners.duckdb'), join(world.cwd, 'data/miners-demo.duckdb'))
    const report = await world.verify('--demo', '--param', 'to=200')
    const display = `duckdb:${join(world.cwd, 'data/miners-demo.duckdb')}`
    expect(report.warehouse).toBe(display)
    expect(report.findings[0]?.fix).toEqual([
      `pipe reset ${minersFile} --demo --step blocks --range 5..5 --param to=200`,
      `pipe run ${minersFile} --demo --param to=200`,
    ])
    world.env = {}
    expect(await world.pipe('reset', minersFile, '--demo', '--step', 'blocks', '--range', '5..5')).toMatchObject({
      code: 0,
      out: expect.stringContaining(`1 unit in ${display} will be replaced by: pipe run ${minersFile} --demo\n`) as string,
    })
    expect((await world.pipe('retry', minersFile, '--demo')).out).toBe(`nothing is in quarantine in ${display}\n`)
    expect(existsSync(join(world.cwd, 'data/miners.duckdb'))).toBe(false)
  })

  it('says which variable an endpoint is missing for, where it must ask one', async () => {
    const world = await new World().ran()
    const { code, err } = await world.pipe('verify', minersFile, '--state', 'sqlite:other.db')
    expect({ code, err }).toMatchObject({ code: 0, err: '' })
    world.env = {}
    expect(await world.pipe('verify', minersFile, '--state', 'sqlite:other.db')).toMatchObject({
      code: 2,
      err: expect.stringContaining(
        'error: chain ethereum: no endpoint answers: there is none, since ETH_RPC_URL is not set (RPC_UNREACHABLE)\n',
      ) as string,
    })
  })

  it('changes nothing, and asks no endpoint when a run is known', async () => {
    const world = await new World().ran()
    const before = [await readDuckdb(join(world.cwd, 'data/miners.duckdb')), node.log.length]
    await world.verify()
    expect([await readDuckdb(join(world.cwd, 'data/miners.duckdb')), node.log.length]).toEqual(before)
  })

  it('names the blocks whose rows were deleted, whatever the size of their unit', async () => {
    const world = await new World().ran()
    await world.doctor('DELETE FROM blocks WHERE number IN (5, 6, 100)', 'DELETE FROM miners_balance WHERE block_number IN (5, 6, 100)')
    const report = await world.verify()
    expect(brief(report)).toEqual([
      ['missing', 'blocks', 'blocks', '5-6', null],
      ['missing', 'blocks', 'blocks', '100-100', null],
    ])
    expect(report.findings[0]).toMatchObject({
      problem: 'blocks 5-6 are done by the ledger, and blocks has no rows for them',
      fix: [`pipe reset ${minersFile} --step blocks --range 5..6`, `pipe run ${minersFile}`],
    })
    await mended(world, report)
  })

  it('names rows of a query that the table lacks', async () => {
    const world = await new World().ran()
    await world.doctor('DELETE FROM miners_balance WHERE block_number = 18')
    const report = await world.verify()
    expect(report.findings).toMatchObject([
      { check: 'gap', step: 'balances', table: 'miners_balance', key: '18', fix: [`pipe run ${minersFile}`] },
    ])
    await mended(world, report)
  })

  it('finds a block whose hash was changed, by the row that was copied from it', async () => {
    const world = await new World().ran()
    await world.doctor(`UPDATE blocks SET hash = '0x${'ab'.repeat(32)}' WHERE number = 30`)
    expect(brief(await world.verify('--step', 'balances'))).toEqual([['gap', 'balances', 'miners_balance', '0-9999', '30']])
    const report = await world.verify('--step', 'blocks', '--sample', '1')
    expect(report.findings).toMatchObject([
      {
        check: 'sample',
        key: '30',
        unit: '30-30',
        difference: { column: 'hash', stored: `0x${'ab'.repeat(32)}`, fetched: chain.block(30).hash },
      },
    ])
    await mended(world, report, '--sample', '1')
  })

  it('finds a changed value by what is computed from it, without asking anyone', async () => {
    const world = await new World().ran()
    await world.doctor('UPDATE miners_balance SET balance_before = balance_before + 1 WHERE block_number = 17')
    const report = await world.verify()
    expect(brief(report)).toEqual([['computed', 'balances', 'miners_balance', '17-17', '17']])
    await mended(world, report)
  })

  it('finds units that the ledger lost, rows or not, and has what lies there replaced', async () => {
    const world = await new World().ran('--param', 'from=0')
    await world.doctor("DELETE FROM _pipe_units WHERE step = 'blocks'")
    const report = await world.verify()
    expect(report.findings).toMatchObject([
      {
        check: 'gap',
        step: 'blocks',
        unit: '0-200',
        problem: 'blocks 0-200 asked for and not in the ledger, though blocks has 201 rows there',
        fix: [`pipe reset ${minersFile} --step blocks --range 0..200 --param from=0`, `pipe run ${minersFile} --param from=0`],
      },
    ])
    await mended(world, report)
  })

  it('finds rows that no unit brought', async () => {
    const world = await new World().ran()
    await world.doctor('INSERT INTO blocks SELECT 5000, hash, parent_hash, timestamp, miner FROM blocks WHERE number = 7')
    const report = await world.verify('--step', 'blocks')
    expect(report.findings).toMatchObject([
      { check: 'orphan', table: 'blocks', unit: '5000-5000', fix: ['DELETE FROM "blocks" WHERE "number" >= 5000 AND "number" <= 5000'] },
    ])
    await mended(world, report)
  })

  it('finds nulls in required columns where the table lets them in', async () => {
    const world = await new World().ran()
    await world.doctor(
      'ALTER TABLE blocks ALTER COLUMN parent_hash DROP NOT NULL',
      'UPDATE blocks SET parent_hash = NULL WHERE number = 44',
    )
    const report = await world.verify()
    expect(brief(report)).toEqual([['null', 'blocks', 'blocks', '44-44', '44']])
    await mended(world, report)
  })

  it('finds rows of one key in a table that lost it, and says how it gets it back', async () => {
    const world = await new World().ran()
    await world.doctor(
      'CREATE TABLE copy AS SELECT * FROM blocks UNION ALL SELECT * FROM blocks WHERE number = 9',
      'DROP TABLE blocks',
      'ALTER TABLE copy RENAME TO blocks',
    )
    const report = await world.verify()
    expect(brief(report)).toEqual([
      ['schema', 'blocks', 'blocks', null, null],
      ['duplicate', 'blocks', 'blocks', '9-9', '9'],
    ])
    await world.doctor(report.findings[1]?.fix[0] ?? '')
    await mended(world, report)
  })

  it('finds neighbours of different forks in the ledger', async () => {
    const world = await new World().ran('--param', 'to=99')
    await world.ran('--param', 'from=0', '--param', 'to=150')
    const hash = `0x${'cd'.repeat(32)}`
    await world.doctor(`UPDATE _pipe_units SET last_hash = '${hash}' WHERE unit = '0-99'`)
    const problem = `0-99 ends with block 99, ${hash}, and 100-150 goes on from ${chain.block(99).hash}: one of them is of another fork`
    const report = await world.verify()
    expect(report.findings).toMatchObject([
      {
        check: 'seam',
        unit: '0-99',
        problem,
      },
    ])
    // A run has nothing to read, and does not call that done.
    const ran = await world.pipe('run', minersFile, '--param', 'from=0', '--param', 'to=150', '--output', 'json')
    expect([ran.code, ran.out]).toEqual([1, expect.stringContaining('whether what was read contradicts itself')])
    await mended(world, report)
  })

  it('lists what is in quarantine, and says how it comes out', async () => {
    const own = await chain.serve()
    own.fault({
      kind: 'error',
      error: { code: -32000, message: 'block is corrupt' },
      methods: ['eth_getBlockByNumber'],
      if: ({ params }) => params[0] === '0x64',
    })
    const world = new World(minersFile, { ETH_RPC_URL: own.url })
    expect((await world.pipe('run', minersFile)).code).toBe(1)
    const report = await world.verify('--step', 'blocks')
    expect(report.findings).toMatchObject([
      { check: 'quarantine', step: 'blocks', unit: '100-100', fix: [`pipe retry ${minersFile} --step blocks`, `pipe run ${minersFile}`] },
    ])
    expect(report.findings[0]?.problem).toContain('block is corrupt')
    own.clear()
    await mended(world, report)
    await own.close()
  })

  it('--sample asks the endpoint that the ledger does not name, and shows both values with both hosts', async () => {
    const [honest, liar] = [await chain.serve(), await chain.serve()]
    const host = (endpoint: FakeEndpoint) => new URL(endpoint.url).host
    liar.fault({
      kind: 'result',
      result: '0x1',
      methods: ['eth_getBalance'],
      if: ({ params }) => params[1] === '0x32' && params[0] === chain.block(50).miner,
    })
    const both = { ETH_RPC_URL: `${honest.url},${liar.url}` }
    const truth = String(chain.balance(chain.block(50).miner, 50))
    for (const [first, other, stored, fetched] of [
      [liar, honest, '1', truth],
      [honest, liar, truth, '1'],
    ] as const) {
      const world = await new World(minersFile, { ETH_RPC_URL: first.url }).ran()
      world.env = both
      const before = first.log.length
      const report = await world.verify('--step', 'balances', '--sample', '1')
      const found = report.findings.filter(({ key, difference }) => key === '50' && difference?.column === 'balance_after')
      expect(found).toMatchObject([
        {
          check: 'sample',
          unit: '50-50',
          problem: `balance_after of miners_balance is ${stored} (from ${host(first)}), and ${host(other)} says ${fetched}`,
          difference: { column: 'balance_after', stored, fetched, storedFrom: host(first), fetchedFrom: host(other) },
        },
      ])
      expect(report.steps[0]?.sampled).toEqual({ units: 1, rows: 200 })
      // Not one balance of the endpoint that gave the unit.
      expect(first.log.slice(before).flatMap(({ calls }) => calls.filter(({ method }) => method === 'eth_getBalance'))).toEqual([])
      if (first === liar) {
        world.env = { ETH_RPC_URL: honest.url }
        await mended(world, report, '--sample', '1')
        expect((await readDuckdb(join(world.cwd, 'data/miners.duckdb'))).miners_balance?.rows).toEqual(expectedBalances(chain, 1, 200))
      }
    }
    await Promise.all([honest.close(), liar.close()])
  })

  it('--sample says that it could not look when no endpoint answers, and does not call that nothing', async () => {
    const own = await chain.serve()
    const world = await new World(minersFile, { ETH_RPC_URL: own.url }).ran()
    own.fault({ kind: 'http', status: 401 })
    const report = await world.verify('--step', 'blocks', '--sample', '1')
    expect(report.findings).toMatchObject([{ check: 'sample', unit: '0-200' }])
    expect(report.findings[0]?.problem).toContain(`could not be fetched again from ${new URL(own.url).host}`)
    await own.close()
  })

  it('refuses a step that is not there (2), and a file that another process holds (3)', async () => {
    const world = await new World().ran()
    const unknown = await world.pipe('verify', minersFile, '--step', 'balance')
    expect([unknown.code, unknown.err]).toEqual([2, 'error: --step balance: no such step (USAGE)\n  did you mean "balances"?\n'])
    const holder = spawn(
      process.execPath,
      [
        '-e',
        `require('@duckdb/node-api').DuckDBInstance.create(process.argv[1]).then(() => { console.log('held'); setInterval(() => {}, 1000) })`,
        join(world.cwd, 'data/miners.duckdb'),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    atEnd(() => holder.kill('SIGKILL'))
    await new Promise((resolve) => holder.stdout.once('data', resolve))
    const held = await world.pipe('verify', minersFile)
    expect([held.code, held.err]).toEqual([3, expect.stringContaining(`is held by process ${holder.pid}`)])
    // Who only looks has it for a moment, which a run waits for.
    const running = world.pipe('run', minersFile)
    setTimeout(() => holder.kill('SIGKILL'), 300)
    const { code, err } = await running
    expect([code, err]).toEqual([0, expect.not.stringContaining('is held')])
  })
})

describe('pipe verify on 8,192 real mainnet blocks', () => {
  it.skipIf(!dataFolder)(
    'finds nothing after a run, and one wei too much by asking again',
    async () => {
      const { chain: mainnet } = loadMainnet(dataFolder ?? '')
      const own = await mainnet.serve()
      const world = await new World(minersFile, { ETH_RPC_URL: own.url }).ran('--param', 'from=0', '--param', 'to=8191')
      const clean = await world.verify('--sample', '2')
      expect([brief(clean), clean.steps.map(({ units, sampled }) => [units, sampled])]).toEqual([
        [],
        [
          // Of nine units, the eight behind the reorg horizon are joined.
          [2, { units: 2, rows: expect.any(Number) as number }],
          [1, { units: 1, rows: 1_000 }],
          [0, { units: 0, rows: 0 }],
        ],
      ])
      // Both balances, so that what is computed from them stays as it was.
      await world.doctor(
        'UPDATE miners_balance SET balance_before = balance_before + 1, balance_after = balance_after + 1 WHERE block_number BETWEEN 100 AND 8100',
      )
      expect(brief(await world.verify())).toEqual([])
      const report = await world.verify('--step', 'balances', '--sample', '1')
      // So many that all of their unit is to be read again.
      expect(report.findings[0]).toMatchObject({
        check: 'sample',
        difference: { column: 'balance_before' },
        fix: [
          `pipe reset ${minersFile} --step balances --range 0..9999 --param from=0 --param to=8191`,
          `pipe run ${minersFile} --param from=0 --param to=8191`,
        ],
      })
      expect(report.findings.length + (report.steps[0]?.more ?? 0)).toBeGreaterThan(1_000)
      await own.close()
    },
    120_000,
  )
})

/** Several rows a block, of several chains, in one table; and blocks that expire. */
const transactions = (more: string) => `name: txs
params: { to: { type: block, default: 99 } }
warehouse: duckdb:data/miners.duckdb
chains:
  ethereum: { rpc: "\${ETH_RPC_URL}" }
  base: { rpc: "\${BASE_RPC_URL}" }
tables:
  txs: { columns: { origin: text, block: bigint, position: int, hash: hash, seen: "timestamp?" }, key: [origin, block, position]${more} }
steps:
  - id: txs
    type: rpc-batch
    matrix: { chain: [ethereum, base] }
    with:
      over: { blocks: { from: 0, to: $to }, chunk: 25 }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, true] }
      rows:
        - into: txs
          each: { tx: block.transactions }
          row: { origin: $chain.name, block: block.number, position: index, hash: tx.hash, seen: block.timestamp }
`

describe('pipe verify where a block has several rows', () => {
  let base: FakeEndpoint
  beforeAll(async () => {
    base = await fakeChain({ seed: 8, chainId: 8453, blocks: 120, transactions: 1 }).serve()
  })
  afterAll(() => base.close())

  const world = (more = '') => {
    const made = new World('txs.yaml', { ETH_RPC_URL: node.url, BASE_RPC_URL: base.url })
    writeFileSync(join(made.cwd, 'txs.yaml'), transactions(more))
    return made
  }

  it('finds the unit of one deleted row and of one extra row, in the chain it belongs to, and what it advises works as it stands', async () => {
    const here = world()
    const chosen = 'params: { chain: { type: text, list: true, default: ethereum }, '
    writeFileSync(
      join(here.cwd, 'txs.yaml'),
      transactions('').replace('params: { ', chosen).replace('chain: [ethereum, base]', 'chain: $chain'),
    )
    const both = '--param chain=ethereum,base'
    await here.ran(...both.split(' '))
    expect(brief(await here.verify())).toEqual([])
    const rows = await here.rows()
    const within = (origin: string, from: number, to: number) =>
      rows.filter((row) => row.origin === origin && Number(row.block) >= from && Number(row.block) <= to).length
    await here.doctor(
      "DELETE FROM txs WHERE origin = 'base' AND block = 30 AND position = 0",
      "INSERT INTO txs SELECT origin, block, 77, hash, seen FROM txs WHERE origin = 'ethereum' AND block = 60 AND position = 0",
      "INSERT INTO txs SELECT origin, 700, position, hash, seen FROM txs WHERE origin = 'ethereum' AND block = 60 AND position = 0",
    )
    const report = await here.verify()
    expect(brief(report)).toEqual([
      ['surplus', 'txs[ethereum]', 'txs', '50-74', null],
      ['orphan', 'txs[ethereum]', 'txs', '700-700', null],
      ['missing', 'txs[base]', 'txs', '25-49', null],
    ])
    expect(report.findings.map(({ problem }) => problem)).toEqual([
      `txs has ${within('ethereum', 50, 74) + 1} rows of it, and the unit brought ${within('ethereum', 50, 74)}`,
      'txs has 1 row (block 700 to 700) that no unit of txs[ethereum] brought',
      `txs has ${within('base', 25, 49) - 1} rows of it, and the unit brought ${within('base', 25, 49)}`,
    ])
    expect(report.findings[2]?.fix).toEqual([`pipe reset txs.yaml --step 'txs[base]' --range 25..49 ${both}`, `pipe run txs.yaml ${both}`])
    await mended(here, report)
  })

  it('quotes the names in the SQL that it gives: a column may be called as a word of SQL', async () => {
    const here = world()
    writeFileSync(join(here.cwd, 'txs.yaml'), transactions('').replaceAll('origin', 'group'))
    await here.ran()
    await here.doctor(`INSERT INTO txs SELECT "group", 700, position, hash, seen FROM txs WHERE "group" = 'base' AND position = 0 LIMIT 1`)
    const report = await here.verify()
    expect(report.findings.map(({ fix }) => fix)).toEqual([
      [`DELETE FROM "txs" WHERE "block" >= 700 AND "block" <= 700 AND "group" = 'base'`],
    ])
    await mended(here, report)
  })

  it('counts a key once that a block gives twice, as the table does', async () => {
    const here = world()
    writeFileSync(join(here.cwd, 'txs.yaml'), transactions(', on_conflict: last').replace('position: index', 'position: 0'))
    await here.ran()
    const rows = await here.rows()
    const { _pipe_units: units } = await readDuckdb(join(here.cwd, 'data/miners.duckdb'))
    const ledger = units?.rows.reduce((sum, row) => sum + (JSON.parse(row.rows ?? '{}') as { txs: number }).txs, 0)
    // Every block of both chains has transactions, most of them several.
    expect([brief(await here.verify()), rows.length, ledger]).toEqual([[], 198, 198])
    await here.doctor("DELETE FROM txs WHERE origin = 'base' AND block = 30")
    expect(brief(await here.verify())).toEqual([['missing', 'txs[base]', 'txs', '25-49', null]])
  })

  it('takes no row for lost that gave its place to one of another block, where the table says so', async () => {
    const here = world()
    const [head = ''] = transactions('').split('tables:')
    writeFileSync(
      join(here.cwd, 'txs.yaml'),
      `${head}tables:
  txs: { columns: { miner: address, block: bigint }, key: [miner], range: block, on_conflict: last }
steps:
  - id: txs
    type: rpc-batch
    chain: ethereum
    into: txs
    with:
      over: { blocks: { from: 0, to: $to }, chunk: 25 }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { miner: block.miner, block: block.number }
`,
    )
    await here.ran()
    expect(brief(await here.verify())).toEqual([])
    await here.doctor('DELETE FROM txs')
    expect(brief(await here.verify()).map(([check]) => check)).toContain('missing')
  })

  it('counts exactly what a killed and resumed, a split and a reset unit brought', async () => {
    const here = world()
    await here.pipe('run', 'txs.yaml', '--limit', '40')
    await here.ran()
    await here.pipe('reset', 'txs.yaml', '--step', 'txs[base]', '--range', '10..30')
    await here.ran()
    const report = await here.verify()
    expect(brief(report)).toEqual([])
  })

  it('--sample finds a changed value among several rows of a block', async () => {
    const here = await world().ran()
    await here.doctor(`UPDATE txs SET hash = '0x${'ef'.repeat(32)}' WHERE origin = 'base' AND block = 30`)
    const report = await here.verify('--sample', '4')
    expect(brief(report)).toEqual([['sample', 'txs[base]', 'txs', '30-30', 'base, 30, 0']])
    const rows = await here.rows()
    expect(report.steps.map(({ sampled }) => sampled)).toEqual(
      ['ethereum', 'base'].map((origin) => ({ units: 4, rows: rows.filter((row) => row.origin === origin).length })),
    )
  })

  it('leaves out what the retention of a table has let go', async () => {
    const here = await world().ran()
    // Declared since then: the next run would delete all of it.
    writeFileSync(join(here.cwd, 'txs.yaml'), transactions(', retention: { seen: 1h }'))
    await here.doctor('DELETE FROM txs WHERE block < 50')
    const report = await here.verify()
    expect([brief(report), report.steps.map(({ notes }) => notes)]).toEqual([
      [],
      [['txs: all of it is older than its retention'], ['txs: all of it is older than its retention']],
    ])
    // Blocks 60 and later are not old yet; one of them is gone.
    await here.doctor('UPDATE txs SET seen = now() WHERE block >= 60', "DELETE FROM txs WHERE block = 80 AND origin = 'base'")
    const later = await here.verify()
    expect(brief(later)).toEqual([['missing', 'txs[base]', 'txs', '75-99', null]])
  })
})

/** Blocks an hour apart, and what SQL makes of them: by day, as a whole, and upserted. */
const rollups = `name: rollups
params: { to: { type: block, default: 99 } }
warehouse: duckdb:data/miners.duckdb
chains:
  ethereum: { rpc: "\${ETH_RPC_URL}" }
tables:
  headers: { columns: { number: bigint, time: timestamp, miner: address }, key: [number] }
  daily: { columns: { day: date, miner: address, blocks: bigint, share: float }, key: [day, miner] }
  miners: { columns: { miner: address, blocks: bigint }, key: [miner] }
  latest: { columns: { miner: address, number: bigint }, key: [miner] }
steps:
  - id: headers
    type: rpc-batch
    chain: ethereum
    into: headers
    with:
      over: { blocks: { from: 0, to: $to } }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, false] }
      row: { number: block.number, time: block.timestamp, miner: block.miner }
  - id: daily
    type: sql-upsert
    needs: [headers]
    into: daily
    with:
      interval: { by: 1d, of: { headers: time } }
      sql: |
        SELECT CAST(time AS date) AS day, miner, count(*) AS blocks, sum(CAST(0.1 AS float8) * number) AS share
        FROM headers WHERE time >= $start AND time < $end GROUP BY 1, 2
  - id: miners
    type: sql-upsert
    needs: [headers]
    into: miners
    with: { sql: "SELECT miner, count(*) AS blocks FROM headers GROUP BY 1" }
  - id: latest
    type: sql-upsert
    needs: [headers]
    into: latest
    with: { mode: upsert, sql: "SELECT miner, max(number) AS number FROM headers GROUP BY 1" }
`

describe('pipe verify of what SQL made', () => {
  let hourly: FakeEndpoint
  beforeAll(async () => {
    hourly = await fakeChain({ seed: 5, blocks: 120, blockTime: 3_600, genesisTime: 1_599_955_200, miners: 3 }).serve()
  })
  afterAll(() => hourly.close())

  const world = async () => {
    const made = new World('rollups.yaml', { ETH_RPC_URL: hourly.url })
    writeFileSync(join(made.cwd, 'rollups.yaml'), rollups)
    return made.ran()
  }

  it('says nothing after a run, whether it is computed again or only counted', async () => {
    const here = await world()
    const report = await here.verify('--sample', '9')
    expect([brief(report), report.steps.map(({ id, units, sampled }) => [id, units, sampled.units])]).toEqual([
      [],
      [
        ['headers', 1, 1],
        ['daily', 5, 5],
        ['miners', 1, 1],
        ['latest', 1, 1],
      ],
    ])
  })

  it('finds rows that are gone and rows that are too many, by interval and as a whole', async () => {
    const here = await world()
    await here.doctor(
      "DELETE FROM daily WHERE day = '2020-09-14' AND miner = (SELECT min(miner) FROM daily WHERE day = '2020-09-14')",
      "INSERT INTO daily VALUES ('2020-09-15', '0xaa', 1, 1), ('2021-01-01', '0xaa', 1, 1)",
      'DELETE FROM miners WHERE miner = (SELECT min(miner) FROM miners)',
    )
    const report = await here.verify()
    expect(brief(report)).toEqual([
      ['missing', 'daily', 'daily', '2020-09-14', null],
      ['surplus', 'daily', 'daily', '2020-09-15', null],
      ['orphan', 'daily', 'daily', null, null],
      ['missing', 'miners', 'miners', 'all', null],
    ])
    expect(report.findings.map(({ fix }) => fix[0])).toEqual([
      'pipe reset rollups.yaml --step daily --range 2020-09-14..2020-09-14',
      'pipe reset rollups.yaml --step daily --range 2020-09-15..2020-09-15',
      `DELETE FROM "daily" WHERE "day" >= '2021-01-01' AND "day" <= '2021-01-01'`,
      'pipe reset rollups.yaml --step miners',
    ])
    await mended(here, report)
  })

  it('--sample computes again and finds what was changed, took its place, or was not upserted', async () => {
    const here = await world()
    const [first] = (await readDuckdb(join(here.cwd, 'data/miners.duckdb'))).miners?.rows ?? []
    await here.doctor(
      "UPDATE daily SET blocks = blocks + 1 WHERE day = '2020-09-13'",
      `UPDATE miners SET miner = '0xbb' WHERE miner = '${first?.miner}'`,
      `DELETE FROM latest WHERE miner = '${first?.miner}'`,
      // What an upsert leaves of before is no mistake.
      "INSERT INTO latest VALUES ('0xcc', 3)",
    )
    expect(brief(await here.verify())).toEqual([])
    const report = await here.verify('--sample', '9')
    expect(
      new Set(report.findings.map(({ step, key, problem }) => `${step} ${key === '0xbb' ? key : ''} ${problem.replace(/\d+/g, 'N')}`)),
    ).toEqual(
      new Set([
        'daily  blocks of daily is N, and its SQL says N',
        'miners  its SQL gives a row that miners does not have',
        'miners 0xbb miners has a row that its SQL does not give',
        'latest  its SQL gives a row that latest does not have',
      ]),
    )
    await mended(here, report, '--sample', '9')
  })

  it('calls what inputs touched, and no run has computed yet, a gap', async () => {
    const here = await world()
    await here.ran('--param', 'to=119', '--select', 'headers')
    expect((await here.verify('--step', 'daily')).findings).toMatchObject([
      {
        check: 'gap',
        unit: '2020-09-17',
        problem: expect.stringMatching(/^was computed before its inputs changed last: .*, and the next run computes it again$/) as string,
        fix: ['pipe run rollups.yaml --param to=119'],
      },
    ])
  })
})

describe('pipe verify of a list that was paged through', () => {
  it('finds stretches that the ledger lost and nulls, and reads a part again', async () => {
    const api = fakeApi({ seed: 5 })
    for (let i = 0; i < 40; i++) api.add(10, { at: 1_699_000_000 + i * 3_600 })
    const server = await api.serve()
    const world = new World('transfers.yaml', { API_URL: server.url })
    const times = api.transactions.map(({ time }) => time)
    const [from, to] = [Math.min(...times), Math.max(...times)].map((time) => new Date(time * 1000).toISOString().slice(0, 10))
    const text = paginateCursor.example
      .replace('data/transfers', 'data/miners')
      .replace('from: 2023-11-01, to: 2023-12-01', `from: ${from}, to: ${to}`)
    writeFileSync(join(world.cwd, 'transfers.yaml'), text)
    await world.ran()
    const clean = await world.verify('--sample', '1')
    expect([brief(clean), clean.steps[0]?.notes, clean.steps[0]?.sampled.units]).toEqual([[], [], 1])
    await world.doctor(
      'ALTER TABLE transfers ALTER COLUMN sender DROP NOT NULL',
      'UPDATE transfers SET sender = NULL WHERE id = (SELECT min(id) FROM transfers)',
    )
    const empty = await world.verify()
    expect(brief(empty).map(([check]) => check)).toEqual(['null'])
    await mended(world, empty)
    await world.doctor('DELETE FROM _pipe_units')
    const lost = await world.verify()
    expect(new Set(brief(lost).map(([check]) => check))).toEqual(new Set(['gap']))
    await mended(world, lost)
    await server.close()
  })
})
