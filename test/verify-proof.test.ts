import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { headerHash, receiptsRoot, transactionsRoot } from '../src/proof/index.js'
import { event } from '../src/sdk/authors.js'
import { fakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import type { VerifyReport } from '../src/verify/report.js'
import { startAnvil } from './support/anvil.js'
import { atEnd } from './support/cleanup.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { schemaErrors } from './support/json-schema.js'
import { type Lie, lyingNode, type LyingNode, noMethod } from './support/lying-node.js'

const BLOCKS = 12

/** Everything that a block's hashes hold: headers, transactions, receipts, and balances at blocks. */
const pipeline = `name: chain
warehouse: duckdb:chain.duckdb
chains:
  ethereum: { id: 1, rpc: "\${RPC}", confirmations: 0 }
tables:
  blocks: { columns: { number: bigint, hash: hash, miner: address, gas_used: bigint }, key: [number] }
  txs: { columns: { block: bigint, position: int, hash: hash, sender: address, recipient: address, value: uint256, status: int, price: bigint }, key: [block, position], range: block }
  balances: { columns: { number: bigint, miner: address, before: uint256, after: uint256 }, key: [number] }
steps:
  - id: blocks
    type: rpc-batch
    chain: ethereum
    into: blocks
    with:
      over: { blocks: { from: 0, to: ${BLOCKS} }, chunk: 10 }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash, miner: block.miner, gas_used: block.gasUsed }
  - id: txs
    type: rpc-batch
    chain: ethereum
    with:
      over: { blocks: { from: 0, to: ${BLOCKS} }, chunk: 10 }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, true] }
        receipts: { method: eth_getBlockReceipts, params: [$number] }
      rows:
        - into: txs
          each: { tx: block.transactions, receipt: receipts }
          row: { block: tx.blockNumber, position: index, hash: tx.hash, sender: tx.from, recipient: tx.to, value: tx.value, status: receipt.status, price: receipt.effectiveGasPrice }
  - id: balances
    type: rpc-batch
    chain: ethereum
    needs: [blocks]
    into: balances
    with:
      over: { sql: "SELECT number, number - 1 AS parent, miner FROM blocks WHERE number > 1", key: [number] }
      calls:
        before: { method: eth_getBalance, params: [$miner, $parent] }
        after: { method: eth_getBalance, params: [$miner, $number] }
      row: { number: number, miner: miner, before: before, after: after }
`

/** What is asked by a block's hash. */
const byHash = `  - id: counts
    type: rpc-batch
    chain: ethereum
    into: counts
    with:
      over: { blocks: { from: 0, to: ${BLOCKS} } }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, false] }
        count: { method: eth_getBlockTransactionCountByHash, params: [$block.hash] }
        first: { method: eth_getTransactionByBlockHashAndIndex, params: [$block.hash, 0], on_null: null }
      row: { number: number, count: count, first: first.hash }
defaults: { retry: { attempts: 2, wait: 5ms, max_wait: 10ms } }
`

/** Of the blocks of a chain: how many were chosen and what became of them. */
const results = (report: VerifyReport) =>
  report.steps.map(({ id, proof }) => [id, proof?.chosen, proof?.proved, proof?.wrong, proof?.unproved])

class World {
  readonly cwd = temporaryFolder()
  readonly file = 'chain.yaml'
  readonly database: string
  rpc: string

  constructor(rpc: string, text = pipeline) {
    this.rpc = rpc
    this.database = join(this.cwd, 'chain.duckdb')
    writeFileSync(join(this.cwd, this.file), text)
  }

  pipe(...args: string[]) {
    return pipe(args, { cwd: this.cwd, env: { RPC: this.rpc } })
  }

  async run(...args: string[]): Promise<void> {
    const { code, out, err } = await this.pipe(...args)
    expect({ args, code, text: code === 0 ? '' : out + err }).toEqual({ args, code: 0, text: '' })
  }

  async ran(): Promise<this> {
    await this.run('run', this.file)
    return this
  }

  async sql(text: string): Promise<readonly (readonly string[])[]> {
    const instance = await DuckDBInstance.create(this.database)
    const connection = await instance.connect()
    const rows = (await connection.runAndReadAll(text)).getRows().map((row) => row.map(String))
    connection.closeSync()
    instance.closeSync()
    return rows
  }

  async verify(...args: string[]): Promise<VerifyReport> {
    const { code, out, err } = await this.pipe('verify', this.file, '--json', ...args)
    expect(err).toBe('')
    const report = JSON.parse(out) as VerifyReport
    expect([code, schemaErrors('verify', report)]).toEqual([report.ok ? 0 : 1, []])
    return report
  }

  /** Does what the findings say, resets first. */
  async follow({ findings }: VerifyReport): Promise<void> {
    const commands = [...new Set(findings.flatMap(({ fix }) => fix))]
    const runs = (command: string) => command.startsWith('pipe run')
    for (const command of [...commands.filter((one) => !runs(one)), ...commands.filter(runs)])
      await this.run(...command.split(' ').slice(1))
  }
}

describe('pipe verify --proof on a real node', () => {
  let node: LyingNode
  let real: LyingNode
  let world: World

  beforeAll(async () => {
    const { url } = await startAnvil(BLOCKS + 2)
    ;[node, real] = await Promise.all([lyingNode(url), lyingNode(url)])
    world = await new World(node.url).ran()
  })
  afterEach(() => {
    node.lie = null
    node.log.length = 0
  })

  it('proves headers, transactions, receipts and balances, and says what that means and rests on', async () => {
    const report = await world.verify('--proof', 'all')
    expect([report.ok, results(report)]).toEqual([
      true,
      [
        ['blocks', BLOCKS + 1, BLOCKS + 1, 0, 0],
        ['txs', BLOCKS + 1, BLOCKS + 1, 0, 0],
        ['balances', BLOCKS - 1, BLOCKS - 1, 0, 0],
      ],
    ])
    world.rpc = `${node.url},${real.url}`
    const { out } = await world.pipe('verify', world.file, '--proof', '10', '--seed', '7', '--step', 'blocks')
    world.rpc = node.url
    expect(out.split('\n').slice(1)).toEqual([
      '--seed 7 chooses what is proved here again',
      '',
      'blocks  2 units, nothing found',
      '  10 of 10 blocks proved: with 95 % confidence fewer than 26 % differ (of 13)',
      '  proofs rest on the hashes of 10 blocks: 10 the same at 2 of 2 endpoints; the next block goes on from 10 of them',
      '',
      'nothing found',
      '',
    ])
  })

  it('proves the same blocks again with the same seed, and others with another', async () => {
    const chosen = async (...args: string[]) => {
      node.log.length = 0
      await world.verify('--step', 'txs', '--proof', '3', ...args)
      const whole = node.log.filter(({ method, params }) => method === 'eth_getBlockByNumber' && params[1] === true)
      return [...new Set(whole.map(({ params }) => String(params[0])))].sort()
    }
    const first = await chosen('--seed', '5')
    expect(first).toHaveLength(3)
    expect(await chosen('--seed', '5')).toEqual(first)
    expect(await chosen('--seed', '6')).not.toEqual(first)
  })

  it.each([
    ['blocks', 'blocks', 'miner', 'number = 5', `'0x${'ab'.repeat(20)}'`, '5-5'],
    ['txs', 'txs', 'value', 'block = 5 AND position = 0', '12345', '5-5'],
    ['balances', 'balances', 'after', 'number = 5', '77', '5-5'],
  ])(
    'names block, field and both values of a value that was changed in step %s, and its advice mends it',
    async (step, table, column, where, value, unit) => {
      const get = `SELECT "${column}" FROM ${table} WHERE ${where}`
      const [[truth]] = (await world.sql(get)) as [[string]]
      await world.sql(`UPDATE ${table} SET "${column}" = ${value} WHERE ${where}`)
      const stored = value.replaceAll("'", '')
      const report = await world.verify('--step', step, '--proof', 'all')
      expect(report.findings).toMatchObject([
        {
          check: 'proof',
          table,
          unit,
          problem: `${column} of ${table} is ${stored}, and the chain says ${truth}`,
          fix: [`pipe reset chain.yaml --step ${step} --range 5..5`, 'pipe run chain.yaml'],
          difference: { column, stored, fetched: truth, fetchedFrom: 'the chain' },
        },
      ])
      expect([report.steps[0]?.proof?.wrong, report.steps[0]?.proof?.differsBelow]).toEqual([1, null])
      await world.follow(report)
      expect([(await world.verify('--proof', 'all')).findings, await world.sql(get)]).toEqual([[], [[truth]]])
    },
  )

  it('finds a row that the table lacks, and one that the chain does not have', async () => {
    await world.sql('DELETE FROM txs WHERE block = 5 AND position = 0')
    await world.sql(`INSERT INTO txs SELECT 7, 99, hash, sender, recipient, value, status, price FROM txs WHERE block = 7 AND position = 0`)
    const report = await world.verify('--step', 'txs', '--proof', 'all')
    const proofs = report.findings.filter(({ check }) => check === 'proof')
    expect(proofs.map(({ unit, key, problem }) => [unit, key, problem])).toEqual([
      ['5-5', '5, 0', 'the chain gives a row that txs does not have'],
      ['7-7', '7, 99', 'txs has a row that the chain does not give'],
    ])
    await world.follow(report)
    expect((await world.verify('--step', 'txs', '--proof', 'all')).findings).toEqual([])
  })

  const change =
    (method: string, index: number, block: string, field: string, value: string): Lie =>
    (call, result) => {
      if (call.method !== method || call.params[index] !== block) return result
      const change = (one: unknown) => ({ ...(one as object), [field]: value })
      return Array.isArray(result) ? [change(result[0]), ...result.slice(1)] : change(result)
    }
  const inTransactions =
    (block: string, field: string, value: string): Lie =>
    (call, result) => {
      const { transactions } = (result ?? {}) as { readonly transactions?: readonly unknown[] }
      if (call.params[0] !== block || typeof transactions?.[0] !== 'object') return result
      return { ...(result as object), transactions: [{ ...transactions[0], [field]: value }, ...transactions.slice(1)] }
    }

  /** Each about a block of its own. */
  const lies: Lie[] = [
    change('eth_getBlockByNumber', 0, '0x3', 'miner', `0x${'ab'.repeat(20)}`),
    change('eth_getBlockReceipts', 0, '0x5', 'status', '0x0'),
    change('eth_getBlockReceipts', 0, '0x6', 'effectiveGasPrice', '0x9'),
    inTransactions('0x9', 'value', '0x1'),
    inTransactions('0xa', 'from', `0x${'ab'.repeat(20)}`),
    ({ method, params }, result) => (method === 'eth_getBalance' && params[1] === '0x7' ? '0x4d' : result),
  ]

  it('catches a node that lies, though the tables were filled from it, and mends them from another', async () => {
    const liar = await lyingNode(node.real)
    liar.lie = (call, result) => lies.reduce((told, lie) => lie(call, told), result)
    const own = await new World(liar.url).ran()
    expect((await own.verify()).findings).toEqual([])
    const alone = await own.verify('--proof', 'all')
    const starts = (step: string, unit: string, text: string) => ({ step, unit, problem: expect.stringMatching(`^${text}`) as string })
    expect(alone.findings).toMatchObject([
      starts('blocks', '3-3', 'block 3 is not proved: hash is 0x'),
      starts('blocks', '9-9', 'block 9 is not proved: transactionsRoot is 0x'),
      starts('txs', '3-3', 'block 3 is not proved: hash is 0x'),
      starts('txs', '5-5', 'block 5 is not proved: receiptsRoot is 0x'),
      starts('txs', '6-6', 'price of txs is 9, and the chain says '),
      starts('txs', '9-9', 'block 9 is not proved: transactionsRoot is 0x'),
      starts('txs', '10-10', `sender of txs is 0x${'ab'.repeat(20)}, and the chain says 0x`),
      starts('balances', '3-3', 'block 3 is not proved: hash is 0x'),
      starts('balances', '4-4', 'block 3 is not proved: hash is 0x'),
      starts('balances', '7-7', 'after of balances is 77, and the chain says '),
      starts('balances', '8-8', 'before of balances is 77, and the chain says '),
    ])
    own.rpc = `${liar.url},${real.url}`
    const both = await own.verify('--proof', 'all')
    const found = both.findings.map(({ step, unit, difference }) => [step, unit, difference?.column, difference?.stored])
    expect(found.filter(([step]) => step !== 'txs')).toEqual([
      ['blocks', '3-3', 'miner', `0x${'ab'.repeat(20)}`],
      ['balances', '7-7', 'after', '77'],
      ['balances', '8-8', 'before', '77'],
    ])
    expect(new Set(found.filter(([step]) => step === 'txs').map(([, unit, column]) => `${unit} ${column}`))).toEqual(
      new Set(['5-5 status', '6-6 price', '9-9 value', '10-10 sender']),
    )
    own.rpc = real.url
    await own.follow(both)
    expect((await own.verify('--proof', 'all')).findings).toEqual([])
  })

  it('finds nothing where the step itself proves (verify: proof): what the liar forges is not stored, and read from a node without eth_getBlockReceipts', async () => {
    const [liar, apart] = await Promise.all([lyingNode(node.real), lyingNode(node.real)])
    liar.lie = (call, result) => lies.reduce((told, lie) => lie(call, told), result)
    apart.lie = ({ method }, result) => (method === 'eth_getBlockReceipts' ? noMethod : result)
    const proving = pipeline
      .slice(0, pipeline.indexOf('  - id: balances'))
      .replaceAll(', chunk: 10 }', ', chunk: 10 }\n      verify: proof')
      .replace('tables:', 'tables:\n  counts: { columns: { number: bigint, count: bigint, first: hash? }, key: [number] }')
    const own = new World(liar.url, `${proving}${byHash}`)
    const { code, out, err } = await own.pipe('run', own.file)
    expect(code).toBe(1)
    for (const words of [
      /block 3: hash is 0x.*, and from the rest follows 0x/,
      /block 5: receiptsRoot is 0x/,
      /block 6: receipts\[0\].effectiveGasPrice is 0x9, and/,
      /block 9: transactionsRoot is 0x/,
      /block 10: receipts\[0\].from is 0x/,
    ])
      expect((out + err).replace(/\s+/g, ' ')).toMatch(words)
    const forged = [3, 5, 6, 9, 10]
    const stored = await own.sql('SELECT DISTINCT block FROM txs ORDER BY 1')
    expect(stored.map(([block]) => Number(block)).filter((block) => forged.includes(block))).toEqual([])
    own.rpc = `${liar.url},${apart.url}`
    await own.run('run', own.file)
    own.rpc = apart.url
    const report = await own.verify('--proof', 'all')
    const all = BLOCKS + 1
    expect([report.findings, results(report)]).toEqual([[], ['blocks', 'txs', 'counts'].map((step) => [step, all, all, 0, 0])])
    await own.sql('UPDATE txs SET status = 0 WHERE block = 7 AND position = 0')
    expect((await own.verify('--proof', 'all')).findings).toMatchObject([
      { unit: '7-7', difference: { column: 'status', stored: '0', fetched: '1' } },
    ])
    expect(apart.log.some(({ method }) => method === 'eth_getTransactionReceipt')).toBe(true)
  })

  it('calls nothing proved that is not: balances of a node without eth_getProof are counted with the reason', async () => {
    const withoutProofs: Lie = ({ method }, result) => (method === 'eth_getProof' ? noMethod : result)
    node.lie = withoutProofs
    await world.sql('UPDATE balances SET "after" = 1 WHERE number = 5')
    const changed = await world.verify('--step', 'balances', '--proof', 'all')
    expect(results(changed)).toEqual([['balances', BLOCKS - 1, 0, 1, BLOCKS - 2]])
    const reason = 'no endpoint gives eth_getProof of its block (RPC_METHOD_MISSING)'
    expect(changed.steps[0]?.proof?.reasons).toEqual([{ reason, count: BLOCKS - 2 }])
    expect(changed.findings.map(({ unit, difference }) => [unit, difference?.stored])).toEqual([['5-5', '1']])
    expect(changed.findings[0]?.problem).toContain(`the chain, unproved (${reason}), says `)
    node.lie = null
    await world.follow(changed)
    node.lie = withoutProofs
    const { code, out } = await world.pipe('verify', world.file, '--step', 'balances', '--proof', '4')
    expect(code).toBe(0)
    expect(out).toContain(`0 of 4 rows proved\n  4 rows could not be proved:\n    4 rows: ${reason}`)
    expect(out).toContain('\nnothing found, though 4 of what was chosen could not be proved\n')
  })

  it('tells endpoints that give different blocks of one number, each of them whole in itself', async () => {
    const other = await lyingNode(node.real)
    other.lie = ({ method, params }, result) => {
      if (method !== 'eth_getBlockByNumber' || params[0] !== '0x5') return result
      const block = { ...(result as object), extraData: '0x01' }
      return { ...block, hash: headerHash({ ...block, hash: undefined }) }
    }
    world.rpc = `${real.url},${other.url}`
    const report = await world.verify('--step', 'blocks', '--proof', 'all')
    world.rpc = node.url
    const [five] = await world.sql('SELECT hash FROM blocks WHERE number = 5')
    expect(report.findings.map(({ unit, problem }) => [unit, problem])).toEqual([
      ['5-5', expect.stringMatching(`^block 5: ${real.host} says that it is ${five?.[0]}, ${other.host} says that it is 0x`)],
    ])
  })

  it('asks for what it needs: --seed with --proof, and a number or all', async () => {
    for (const [args, says] of [
      [['--seed', '3'], '--seed chooses the blocks of --proof'],
      [['--proof', '0'], 'It must be a whole number of 1 or more, or `all`.'],
      [['--proof', '3', '--seed', 'x'], 'It must be a whole number, as verify printed it.'],
    ] as const) {
      const { code, err } = await world.pipe('verify', world.file, ...args)
      expect([code, err]).toEqual([2, expect.stringContaining(says)])
    }
  })
})

it('says that nothing was proved of steps that read no chain', async () => {
  const world = await new World('http://127.0.0.1:1', COMPUTED).ran()
  const { code, out } = await world.pipe('verify', world.file, '--proof', 'all')
  expect([code, out]).toEqual([0, expect.stringContaining('nothing was proved: no step that was looked at reads blocks, logs or balances')])
})

const COMPUTED = `name: chain
warehouse: duckdb:chain.duckdb
tables:
  n: { columns: { number: bigint }, key: [number] }
steps:
  - id: fill
    type: sql-upsert
    into: n
    with: { sql: SELECT 1 AS number }
`

describe('pipe verify --proof of logs', () => {
  const coin = `0x${'2a'.repeat(20)}`
  const transfer = 'Transfer(address indexed from, address indexed to, uint256 value)'
  const word = (value: bigint) => `0x${value.toString(16).padStart(64, '0')}`
  const topics = [event(transfer).topic0 as string, word(1n), word(2n)]
  const logs = (block: bigint) => [0n, 1n, 2n].map((i) => ({ address: coin, topics, data: word(block * 10n + i) }))
  const text = (over: string) => `name: chain
warehouse: duckdb:chain.duckdb
chains: { ethereum: { id: 1, rpc: "\${RPC}", confirmations: 0 } }
tables:
  transfers: { columns: { block: bigint, log_index: int, value: uint256 }, key: [block, log_index], range: block }
steps:
  - id: transfers
    type: shard-days
    chain: ethereum
    with:
      over: ${over}
      verify: none
      events:
        - event: ${transfer}
          contracts: ["${coin}"]
          into: transfers
          row: { block: log.blockNumber, log_index: log.logIndex, value: args.value }
`
  // Twelve hours from block to block: blocks 2 and 3 are those of the second day.
  const open = (blocks = 9) => {
    const chain = fakeChain({
      blocks,
      logs,
      hasher: { headerHash, receiptsRoot, transactionsRoot },
      genesisTime: 1_709_251_200,
      blockTime: 43_200,
    })
    return {
      chain,
      serve: async (): Promise<FakeEndpoint> => {
        const node = await chain.serve()
        atEnd(() => node.close())
        return node
      },
    }
  }

  it.each([
    ['blocks', '{ blocks: { from: 1, to: 6 } }', 6, '3-3', '3..3'],
    ['days', '{ days: { from: 2024-03-01, to: 2024-03-03 } }', 6, '2024-03-02', '2024-03-02..2024-03-02'],
  ])('finds the log that the index of a node lacks, though the table agrees with it, of %s', async (_, over, total, unit, range) => {
    const node = await open().serve()
    node.fault({ kind: 'log-hole', lacks: ({ block, index }) => block === 3n && index === 1 })
    const world = await new World(node.url, text(over)).ran()
    expect((await world.verify()).findings).toEqual([])
    const report = await world.verify('--proof')
    expect(report.findings).toMatchObject([
      {
        check: 'proof',
        unit,
        key: '3, 1',
        problem: 'the chain gives a row that transfers does not have',
        fix: [`pipe reset chain.yaml --step transfers --range ${range}`, 'pipe run chain.yaml'],
      },
    ])
    expect(results(report)).toEqual([['transfers', total, total - 1, 1, 0]])
    node.clear()
    await world.follow(report)
    expect(results(await world.verify('--proof', 'all'))).toEqual([['transfers', total, total, 0, 0]])
    await world.sql('UPDATE transfers SET value = 1 WHERE block = 3 AND log_index = 0')
    expect((await world.verify('--proof', 'all')).findings).toMatchObject([
      { unit, difference: { column: 'value', stored: '1', fetched: '30' } },
    ])
  })

  it('finds a row that the chain does not have in a table whose range says the day only', async () => {
    const node = await open().serve()
    const byDay = text('{ days: { from: 2024-03-01, to: 2024-03-03 } }')
      .replace('columns: { block', 'columns: { day: date, block')
      .replace('range: block', 'range: day')
      .replace('row: { block', 'row: { day: day, block')
    const world = await new World(node.url, byDay).ran()
    await world.sql("INSERT INTO transfers VALUES ('2024-03-02', 3, 7, 99)")
    const report = await world.verify('--proof', 'all')
    expect(report.findings.filter(({ check }) => check === 'proof')).toMatchObject([
      { unit: '2024-03-02', key: '3, 7', problem: 'transfers has a row that the chain does not give' },
    ])
    expect(JSON.stringify(report)).not.toContain('are not looked for')
    await world.follow(report)
    expect((await world.verify('--proof', 'all')).findings).toEqual([])
  })

  it('ends with one error where no endpoint answers, rather than with one of each block', async () => {
    const node = await open().serve()
    const world = await new World(node.url, text('{ blocks: { from: 1, to: 6 } }')).ran()
    await node.close()
    const { code, err } = await world.pipe('verify', world.file, '--proof', 'all')
    expect(code).toBe(2)
    expect(err.match(/can't be reached|ECONNREFUSED|refused/g)?.length).toBeLessThan(4)
  })

  it('catches a node that leaves a log out of its receipts, too', async () => {
    const node = await open().serve()
    const world = await new World(node.url, text('{ blocks: { from: 1, to: 3 } }')).ran()
    node.fault({ kind: 'receipts-hole', if: ({ params }) => params[0] === '0x2' })
    const { findings } = await world.verify('--proof')
    const problem = expect.stringMatching(/^block 2 is not proved: receiptsRoot is 0x/) as string
    expect(findings).toMatchObject([{ check: 'proof', unit: '2-2', problem }])
  })

  it('tells a block that was reorganised away since, though the rows of the new one are the same', async () => {
    const { chain, serve } = open()
    const node = await serve()
    const world = await new World(node.url, text('{ blocks: { from: 1, to: 9 } }').replace('verify: none', 'verify: bloom')).ran()
    chain.fork(2)
    const report = await world.verify('--proof', '1', '--seed', '1')
    expect(report.findings).toMatchObject([
      {
        check: 'proof',
        unit: '1-9',
        problem: expect.stringMatching(/^block 9 is 0x.*, and was 0x.* when it was read: the chain was reorganised since$/) as string,
        fix: ['pipe reset chain.yaml --step transfers --range 1..9', 'pipe run chain.yaml'],
      },
    ])
    await world.follow(report)
    expect((await world.verify('--proof', 'all')).findings).toEqual([])
  })
})
