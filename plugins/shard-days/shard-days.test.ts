import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import type { FakeEndpoint, Fault } from '../../src/sandbox/index.js'
import { pipe } from '../../test/support/cli.js'
import { temporaryFolder } from '../../test/support/folder.js'
import { readDuckdb } from '../../test/support/read-duckdb.js'
import { spawnPipe } from '../../test/support/spawn-pipe.js'
import {
  BATCH,
  chainAt,
  COIN,
  dayOf,
  type DaysChain,
  MARKET,
  REGISTERED,
  SINGLE,
  TOKENS,
  TRANSFER,
  truthsOf,
  unevenTimes,
} from '../../test/support/days-chain.js'

const at = (day: string) => Date.parse(`${day}Z`) / 1000

const TABLES = `
tables:
  coins: { columns: { day: date, block_number: bigint, log_index: int, tx_hash: hash, token: address, sender: address, recipient: address, value: uint256 }, key: [block_number, log_index] }
  tokens: { columns: { day: date, at: timestamp, block_number: bigint, log_index: int, batch_index: int, sender: address, recipient: address, token_id: uint256, value: uint256 }, key: [block_number, log_index, batch_index] }
  markets: { columns: { condition_id: hash, token0: uint256, token1: uint256, block_number: bigint }, key: [condition_id], range: block_number }
  aside: { columns: { day: date, block_number: bigint, log_index: int, event: text, reason: text, data: bytes }, key: [block_number, log_index, event] }
`
const EVENTS = `
      events:
        - event: ${TRANSFER}
          contracts: ["${COIN}"]
          into: coins
          row: { day: day, block_number: log.blockNumber, log_index: log.logIndex, tx_hash: log.transactionHash, token: log.address, sender: args.from, recipient: args.to, value: args.value }
        - event: ${SINGLE}
          contracts: &tokens ["${TOKENS.toUpperCase().replace('0X', '0x')}"]
          into: tokens
          row: { day: day, at: block.timestamp, block_number: log.blockNumber, log_index: log.logIndex, sender: args.from, recipient: args.to, token_id: args.id, value: args.value, batch_index: 0 }
        - event: ${BATCH}
          contracts: *tokens
          into: tokens
          each: { id: args.ids, value: args.values }
          row: { day: day, at: block.timestamp, block_number: log.blockNumber, log_index: log.logIndex, sender: args.from, recipient: args.to, token_id: id, value: value, batch_index: index }
        - event: ${REGISTERED}
          contracts: ["${MARKET}"]
          into: markets
          row: { condition_id: args.conditionId, token0: args.token0, token1: args.token1, block_number: log.blockNumber }
      misfits:
        into: aside
        row: { day: day, block_number: log.blockNumber, log_index: log.logIndex, event: event, reason: reason, data: log.data }
`
const fileOf = (over: string, { events = EVENTS, tables = TABLES, more = '' } = {}) => `name: p
warehouse: duckdb:p.duckdb
chains: { ethereum: { rpc: "\${URL}", confirmations: 3 } }
${tables}
steps:
  - id: transfers
    type: shard-days
    chain: ethereum
    parallel: 3
    with:
      over: ${over}
${more}${events}`

interface Folder {
  readonly cwd: string
  readonly node: FakeEndpoint
  write(yaml: string): void
  pipe(command: string, ...args: string[]): ReturnType<typeof pipe>
  tables(): ReturnType<typeof readDuckdb>
}

function folder(node: FakeEndpoint, yaml: string): Folder {
  const cwd = temporaryFolder()
  const write = (text: string) => writeFileSync(join(cwd, 'p.yaml'), text)
  write(yaml)
  return {
    cwd,
    node,
    write,
    pipe: (command: string, ...args: string[]) => pipe([command, join(cwd, 'p.yaml'), ...args], { cwd, env: { URL: node.url } }),
    tables: () => readDuckdb(join(cwd, 'p.duckdb')),
  }
}

/** What the tables must hold of some days, by the chain's own books. Values as DuckDB prints them. */
function truth({ head, time }: Pick<DaysChain, 'head' | 'time'>, wanted: (block: number) => boolean) {
  type Rows = Readonly<Record<string, string>>[]
  const rows = { coins: [] as Rows, tokens: [] as Rows, markets: [] as Rows, aside: [] as Rows }
  for (let n = 1; n <= head; n++) {
    if (!wanted(n)) continue
    const day = dayOf(time(n))
    for (const [i, log] of truthsOf(BigInt(n)).entries()) {
      const place = { day, block_number: String(n), log_index: String(i) }
      if (log.kind === 'coin') rows.coins.push({ ...place, sender: log.from, recipient: log.to, value: String(log.value) })
      if (log.kind === 'tokens')
        for (const [j, id] of log.ids.entries())
          rows.tokens.push({
            ...place,
            batch_index: String(j),
            at: new Date(time(n) * 1000).toISOString().slice(0, 19).replace('T', ' '),
            token_id: String(id),
            value: String(log.values[j]),
          })
      if (log.kind === 'market')
        rows.markets.push({
          condition_id: log.condition,
          token0: String(log.tokens[0]),
          token1: String(log.tokens[1]),
          block_number: String(n),
        })
      if (log.kind === 'nft') rows.aside.push({ ...place, event: TRANSFER, reason: '4 topics instead of 3', data: '0x' })
      if (log.kind === 'torn') rows.aside.push({ ...place, event: BATCH, reason: 'args.ids has 2 elements and args.values has 1' })
    }
  }
  return rows
}

async function expectTruth(dir: Folder, world: DaysChain, wanted: (block: number) => boolean): Promise<void> {
  const tables = await dir.tables()
  for (const [name, rows] of Object.entries(truth(world, wanted))) {
    const there = tables[name]?.rows ?? []
    expect(there.length, name).toBe(rows.length)
    const sorted = name === 'markets' ? [...there].sort((a, b) => Number(a.block_number) - Number(b.block_number)) : there
    // One row that differs says more than a thousand beside each other.
    const differs = rows.findIndex((row, k) => Object.entries(row).some(([column, value]) => sorted[k]?.[column] !== value))
    expect(sorted[differs], `${name} ${differs}`).toEqual(rows[differs])
  }
}

const times = unevenTimes(at('2024-02-29T20:00:00'), at('2024-03-04T03:00:00'))
const world = chainAt(times)
const between = (from: string, to: string) => (n: number) => dayOf(world.time(n)) >= from && dayOf(world.time(n)) <= to

const DAYS = '{ days: { from: 2024-02-28, to: 2024-03-02 } }'
const isRead = (n: number) => dayOf(world.time(n)) <= '2024-03-02'

/** Changes the table of a closed file by hand. */
async function byHand({ cwd }: Folder, sql: string): Promise<void> {
  const instance = await DuckDBInstance.create(join(cwd, 'p.duckdb'))
  const connection = await instance.connect()
  await connection.run(sql)
  connection.closeSync()
  instance.closeSync()
}

/** Where each call for logs begins. */
const askedFrom = ({ log }: FakeEndpoint) =>
  log.flatMap(({ calls }) =>
    calls.filter(({ method }) => method === 'eth_getLogs').map(({ params }) => Number((params?.[0] as Asked).fromBlock)),
  )

const unitsOf = async (dir: Folder) => (await dir.tables())._pipe_units?.rows ?? []

describe('shard-days', () => {
  it('says in the end of a run how many logs are not stored since their event is declared otherwise than they are, and why', async () => {
    const node = await world.serve()
    const event = 'Transfer(address from, address to, uint256 value)'
    const row =
      '{ day: day, block_number: log.blockNumber, log_index: log.logIndex, tx_hash: log.transactionHash, token: log.address, sender: args.from, recipient: args.to, value: args.value }'
    const dir = folder(
      node,
      fileOf('{ days: { from: 2024-03-01, to: 2024-03-02 } }', {
        events: `      events: [{ event: "${event}", contracts: ["${COIN}"], into: coins, row: ${row} }]\n`,
      }),
    )
    const { code, out } = await dir.pipe('run')
    const logs = truth(world, between('2024-03-01', '2024-03-02')).coins.length
    expect([code, out.replaceAll(/\s+/g, ' ')]).toEqual([
      0,
      expect.stringMatching(new RegExp(`\\D${logs} logs of Transfer not stored, which do not fit: 3 topics instead of 1`)) as unknown,
    ])
    expect((await dir.tables()).coins?.rows).toEqual([])
  })

  it('stores the logs of each day, exact at midnight where times are uneven and equal, several events in one pass, lists unrolled, misfits aside; what is lost is named by its day', async () => {
    const node = await world.serve()
    node.fault({ kind: 'log-range', max: 25 })
    const dir = folder(node, fileOf(DAYS))
    const { code, out, err } = await dir.pipe('run')
    expect({ code, err, out: code === 0 ? '' : out }).toEqual({ code: 0, err: '', out: '' })
    expect(out.replaceAll(/\s+/g, ' ')).toMatch(/\d+ logs of Transfer kept aside, which do not fit: 4 topics instead of 3/)
    await expectTruth(dir, world, isRead)
    const units = await unitsOf(dir)
    expect(units.map(({ unit, state }) => [unit, state])).toEqual(
      ['2024-02-28', '2024-02-29', '2024-03-01', '2024-03-02'].map((day) => [day, 'done']),
    )
    // The day before the first block is empty, with that block as the proof.
    expect(JSON.parse(units[0]?.evidence ?? '')).toEqual([
      {
        logs: 0,
        blocks: 'none',
        before: 'nothing: the chain begins later',
        next: { number: '0', time: '2024-02-29T20:00:00Z', hash: world.chain.block(0).hash },
      },
    ])
    expect(out.replaceAll(/\s+/g, ' ')).toContain('1 days before the first block')
    // Days hang on each other: the last block of one is the parent of the next one's first.
    expect([units[2]?.parent_hash, units[3]?.parent_hash]).toEqual([units[1]?.last_hash, units[2]?.last_hash])
    const [first] = JSON.parse(units[1]?.evidence ?? '') as { logs: number; verified: string; kept_aside: object }[]
    expect(first).toMatchObject({
      verified: 'empty',
      kept_aside: { [TRANSFER]: { '4 topics instead of 3': { logs: expect.any(Number) } } },
    })
    expect((await dir.pipe('plan')).out).toContain('days to do: 0 now; 4 done')
    expect(await dir.pipe('verify')).toMatchObject({ code: 0 })

    // The rows of `markets` say their block alone.
    await byHand(dir, `DELETE FROM markets WHERE block_number < ${world.block('2024-03-01T12:00:00')}`)
    const found = await dir.pipe('verify')
    expect(found.code).toBe(1)
    expect(found.out).toMatch(/2024-02-29: markets has 0 rows of it, and the unit brought \d+ \(missing\)/)
    expect(found.out).toMatch(/2024-03-01: markets has \d+ rows of it, and the unit brought \d+ \(missing\)/)
    expect((await dir.pipe('reset', '--step', 'transfers', '--range', '2024-02-29..2024-03-01')).code).toBe(0)
    expect((await dir.pipe('run')).code).toBe(0)
    await expectTruth(dir, world, isRead)

    // Another definition: every day is read again, and what is no event of it any more is gone.
    dir.write(
      fileOf(DAYS, {
        events: EVENTS.replace(/ {8}- event: TransferBatch[^]*?(?= {8}- event: Token)/, '')
          .replaceAll('token0', 'first')
          .replace('row: { condition_id: args.conditionId, first:', 'row: { condition_id: args.conditionId, token0:'),
      }),
    )
    expect((await dir.pipe('plan')).out).toContain('changed: ')
    expect((await dir.pipe('run')).code).toBe(0)
    const { tokens, aside, ...rest } = truth(world, isRead)
    const there = await dir.tables()
    for (const [name, rows] of Object.entries(rest)) expect(there[name]?.rows.length, name).toBe(rows.length)
    expect(there.tokens?.rows.every(({ batch_index: index }) => index === '0')).toBe(true)
    expect(there.tokens?.rows.length).toBeLessThan(tokens.length)
    expect(there.aside?.rows.length).toBe(aside.filter(({ event }) => event === TRANSFER).length)
    expect(await dir.pipe('verify')).toMatchObject({ code: 0 })
    await node.close()
  })

  it('a range that nobody gives fails its day alone; when it is healed only that is asked for, and the day is counted as one', async () => {
    const node = await world.serve()
    node.fault({ kind: 'log-range', max: 25 })
    const bad = world.block('2024-03-01T23:00:00')
    const fault = node.fault(broken(bad))
    const dir = folder(node, fileOf('{ days: { from: 2024-03-01, to: 2024-03-02 } }').replace('parallel: 3', 'retry: { attempts: 1 }'))
    const failed = await dir.pipe('run')
    expect(failed.code).toBe(1)
    expect(failed.out).toContain(`logs of block ${bad}`)
    expect((await unitsOf(dir)).map(({ unit, state }) => [unit, state === 'done'])).toEqual([
      ['2024-03-01', false],
      ['2024-03-02', true],
    ])
    fault.remove()
    node.clearLog()
    await dir.pipe('retry')
    expect((await dir.pipe('run')).code).toBe(0)
    await expectTruth(dir, world, between('2024-03-01', '2024-03-02'))
    const asked = node.log.flatMap(({ calls }) =>
      calls.filter(({ method }) => method === 'eth_getLogs').map(({ params }) => params?.[0] as Asked),
    )
    expect(asked.every(({ fromBlock, toBlock }) => Math.abs(Number(fromBlock) - bad) < 40 && Math.abs(Number(toBlock) - bad) < 40)).toBe(
      true,
    )
    expect((await unitsOf(dir)).length).toBeGreaterThan(2)
    expect(await dir.pipe('verify')).toMatchObject({ code: 0 })
    await byHand(dir, "DELETE FROM coins WHERE day = '2024-03-01' AND block_number % 7 = 0")
    expect((await dir.pipe('verify')).out).toMatch(/2024-03-01: coins has \d+ rows of it, and the unit brought \d+ \(missing\)/)
    await node.close()
  })

  it('blocks that share a second are of one page, and a day that the chain has not ended is not done', async () => {
    const second = Array.from({ length: 300 }, (_, i) => at('2024-03-01T23:59:53') + Math.floor(i / 20))
    const crowded = chainAt([...second, ...[0, 1, 2, 3, 4].map((i) => at('2024-03-03T00:00:01') + i)])
    const node = await crowded.serve()
    node.fault({ kind: 'log-range', max: 7 })
    const dir = folder(node, fileOf('{ days: { from: 2024-03-01, to: 2024-03-03 } }'))
    const { code, out } = await dir.pipe('run')
    expect(code).toBe(1)
    expect(out.replaceAll(/\s+/g, ' ')).toContain(
      '2024-03-03 is not over on the chain: block 301, the head less its confirmations, is of 2024-03-03T00:00:02Z',
    )
    await expectTruth(dir, crowded, (n) => dayOf(crowded.time(n)) <= '2024-03-02')
    const covered = (await unitsOf(dir)).map(({ unit, state, coverage }) => [
      unit,
      state,
      (JSON.parse(coverage ?? 'null') as { numbers?: unknown } | null)?.numbers,
    ])
    expect(covered).toEqual([
      ['2024-03-01', 'done', ['0', '139']],
      ['2024-03-02', 'done', ['140', '299']],
      ['2024-03-03', 'failed', undefined],
    ])
    await node.close()
  })

  it('a day that the head cuts is read up to it as ranges of blocks, or not at all as a day; when the chain has gone on, the rest is read, and nothing twice', async () => {
    const early = [...times.slice(0, world.block('2024-03-02T09:00:00'))]
    const growing = chainAt(early)
    const safe = growing.head - 3
    const node = await growing.serve()
    const to = 'params: { to: { type: block, default: safe } }'
    const ranges = folder(node, fileOf('{ blocks: { from: 0, to: $to, chunk: 50 } }', { tables: `${to}${TABLES}` }))
    const days = folder(node, fileOf('{ days: { from: 2024-03-01, to: 2024-03-02 } }'))
    const isOver = (n: number) => ['2024-03-01', '2024-03-02'].includes(dayOf(world.time(n)))
    expect([(await ranges.pipe('run')).code, (await days.pipe('run')).code]).toEqual([0, 1])
    await expectTruth(ranges, growing, (n) => n <= safe)
    await expectTruth(days, growing, (n) => dayOf(world.time(n)) === '2024-03-01')
    early.push(...times.slice(early.length))
    growing.chain.add(world.head - growing.head)
    for (const [dir, first, wanted] of [
      [ranges, safe + 1, (n: number) => n <= world.head - 3],
      [days, world.block('2024-03-02T00:00:00'), isOver],
    ] as const) {
      node.clearLog()
      expect((await dir.pipe('run')).code).toBe(0)
      await expectTruth(dir, world, wanted)
      expect(Math.min(...askedFrom(node))).toBe(first)
      expect((await unitsOf(dir)).map(({ state }) => state)).not.toContain('failed')
    }
    await node.close()
  })

  it('days that are not over are no units, and plan and run say which', async () => {
    const node = await world.serve()
    const dir = folder(node, fileOf('{ days: { from: 2099-01-01, to: 2099-01-02 } }'))
    const words = '2099-01-01..2099-01-02 are not over yet: a day is read once it is over and a block behind it has its confirmations'
    expect((await dir.pipe('plan')).out).toContain(`days to do: 0 now; 0 done\n  ${words}`)
    const { code, out } = await dir.pipe('run')
    expect([code, out.replaceAll(/\s+/g, ' ')]).toEqual([0, expect.stringContaining(words)])
    await node.close()
  })

  it('reads ranges of blocks with the same events, each row with the day of its block', async () => {
    const node = await world.serve()
    const dir = folder(node, fileOf('{ blocks: { from: 30, to: 129, chunk: 50 } }'))
    expect((await dir.pipe('plan')).out).toContain('3 units: 30-49, 50-99, 100-129')
    expect((await dir.pipe('run')).code).toBe(0)
    await expectTruth(dir, world, (n) => n >= 30 && n <= 129)
    expect(await dir.pipe('verify')).toMatchObject({ code: 0 })
    await node.close()
  })

  it('the range that a node answers is learned in one run, and the next begins with it', async () => {
    const node = await world.serve()
    node.fault({ kind: 'log-range', max: 12 })
    const dir = folder(node, fileOf('{ blocks: { from: 0, to: 149, chunk: 50 } }'))
    expect((await dir.pipe('run')).code).toBe(0)
    const sizes = () =>
      node.log.flatMap(({ calls }) =>
        calls
          .filter(({ method }) => method === 'eth_getLogs')
          .map(({ params }) => Number((params?.[0] as Asked).toBlock) - Number((params?.[0] as Asked).fromBlock) + 1),
      )
    expect(sizes()[0]).toBeGreaterThan(12)
    node.clearLog()
    dir.write(fileOf('{ blocks: { from: 0, to: 299, chunk: 50 } }'))
    expect((await dir.pipe('run')).code).toBe(0)
    const [first, ...rest] = sizes()
    // It grows back: now and then a wider one is tried.
    expect([first, rest.filter((size) => size > 12).length <= 2]).toEqual([12, true])
    await expectTruth(dir, world, (n) => n <= 299)
    await node.close()
  })

  it('goes on inside of the day after kill -9: the tables are those of an unbroken run', async () => {
    const node = await world.serve()
    node.fault({ kind: 'log-range', max: 12 })
    // A block in the middle of the second day keeps it open while the others are committed.
    const fault = node.fault(broken(world.block('2024-03-02T12:00:00')))
    const yaml = fileOf('{ days: { from: 2024-03-01, to: 2024-03-03 } }', { more: '      verify: receipts' })
    const dir = folder(node, yaml.replace('parallel: 3', 'parallel: 1'))
    const child = spawnPipe(['run', join(dir.cwd, 'p.yaml'), '--output', 'json'], { cwd: dir.cwd, env: { URL: node.url } })
    await child.saw(/"type":"batch:committed","step":"transfers","unit":"2024-03-02"/)
    child.kill('SIGKILL')
    await child.exit
    fault.remove()
    node.clearLog()
    const parts = await unitsOf(dir)
    const open = parts.find(({ unit }) => unit === '2024-03-02')
    expect(open).toMatchObject({ state: 'running', coverage: expect.stringContaining('covered') as string })
    const { covered } = JSON.parse(open?.coverage ?? '{}') as { covered: readonly (readonly [string, string])[] }
    const isCovered = (block: number) => {
      const us = BigInt(world.time(block)) * 1_000_000n
      return dayOf(world.time(block)) < '2024-03-02' || covered.some(([from, to]) => BigInt(from) <= us && us <= BigInt(to))
    }
    expect((await dir.pipe('run')).code).toBe(0)
    await expectTruth(dir, world, between('2024-03-01', '2024-03-03'))
    // What was committed is not asked for again.
    const asked = node.log.flatMap(({ calls }) => calls)
    const receipts = asked.flatMap(({ method, params }) => (method === 'eth_getBlockReceipts' ? Number(params?.[0]) : []))
    const ranges = asked.flatMap(({ method, params }) => (method === 'eth_getLogs' ? (params?.[0] as Asked) : []))
    expect([receipts.length > 0, ranges.length > 0]).toEqual([true, true])
    expect(receipts.filter(isCovered)).toEqual([])
    expect(ranges.filter(({ fromBlock, toBlock }) => isCovered(Number(fromBlock)) || isCovered(Number(toBlock)))).toEqual([])
    expect(await dir.pipe('verify')).toMatchObject({ code: 0 })
    await node.close()
  })

  it('says by name what is wrong with events before anything runs', async () => {
    const node = await world.serve()
    const events = `
      events:
        - event: Transfer(addres from)
          into: coins
          row: { block_number: log.blockNumbr }
        - event: ${TRANSFER}
          contracts: ["0x12"]
          topics: { fro: "0x11", to: "0x1" }
          into: coins
          each: { v: args.value, w: args.frm }
          row: { day: day, block_number: log.blockNumber, log_index: log.logIndex, tx_hash: log.transactionHash, token: log.address, sender: args.sender, recipient: v, value: args.value }
`
    const { code, out, err } = await folder(node, fileOf('{ days: { from: 2024-03-0x, to: 2024-03-04 } }', { events })).pipe('validate')
    expect(code).toBe(2)
    for (const words of [
      'over.days.from: is no day: 2024-03-0x',
      'events[0].event: at character 10: `addres` is no type (did you mean "address"?; as in: Transfer(address indexed from, uint256 value))',
      'events[0].row.block_number: log.blockNumbr is no field of a log (did you mean "blockNumber"?)',
      'events[1].contracts[0]: is no address: 0x12',
      'events[1].topics.fro: Transfer has no indexed input fro (did you mean "from"?)',
      'events[1].topics.to: is no address: 0x1',
      'events[1].each.v: args.value is uint256, and no list',
      'events[1].each.w: args.frm: Transfer has no input frm (did you mean "from"?)',
      'events[1].row.sender: args.sender: Transfer has no input sender',
    ])
      expect(out + err).toContain(words)
    expect(out + err).toMatch(/^\S+\.yaml:\d+:\d+ {2}steps\[0\]\.with\.events\[0\]\.event: at character 10/m)
    await node.close()
  })
})

/** Nobody gives the logs of a block. */
function broken(block: number): Fault {
  const holds = (from: unknown, to: unknown) => Number(from) <= block && block <= Number(to)
  return {
    kind: 'error',
    error: { code: -32000, message: 'database corrupted' },
    methods: ['eth_getLogs', 'eth_getBlockReceipts', 'eth_getTransactionReceipt'],
    if: ({ params: [first] = [] }) =>
      typeof first === 'object' && first !== null
        ? holds((first as Asked).fromBlock, (first as Asked).toBlock)
        : holds(first, first) || String(first).length === 66,
  }
}

interface Asked {
  readonly fromBlock: string
  readonly toBlock: string
}
