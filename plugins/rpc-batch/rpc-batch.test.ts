import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeAbiParameters, toFunctionSelector } from 'viem'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fakeChain, type FakeChain, type FakeEndpoint } from '../../src/sandbox/index.js'
import { pipe } from '../../test/support/cli.js'
import { temporaryFolder } from '../../test/support/folder.js'
import { readDuckdb } from '../../test/support/read-duckdb.js'

let chain: FakeChain
let node: FakeEndpoint
const token = '0x1111111111111111111111111111111111111111'

beforeAll(async () => {
  chain = fakeChain({ seed: 4, blocks: 60, transactions: 3 })
  // positionOf(uint256 id) gives an owner and id * 2; nameOf(address) depends on the owner.
  chain.contract(token, (data, block) => {
    const word = BigInt(`0x${data.slice(10)}`)
    if (data.startsWith(toFunctionSelector('positionOf(uint256)')))
      return encodeAbiParameters(
        [{ type: 'address' }, { type: 'uint256' }],
        [`0x${(word + 1n).toString(16).padStart(40, '0')}`, word * 2n + block],
      )
    return encodeAbiParameters([{ type: 'uint256' }], [word + 1_000n])
  })
  node = await chain.serve()
})
afterAll(() => node.close())

async function run(yaml: string, url = node.url) {
  const cwd = temporaryFolder()
  const file = join(cwd, 'p.yaml')
  writeFileSync(file, `name: p\nwarehouse: duckdb:p.duckdb\nchains: { ethereum: { rpc: "\${URL}" } }\n${yaml}`)
  const answer = await pipe(['run', file], { cwd, env: { URL: url } })
  return { ...answer, tables: () => readDuckdb(join(cwd, 'p.duckdb')) }
}

describe('rpc-batch', () => {
  it('refuses times of blocks before 2009 and more than a day ahead by name, unless unit or range say otherwise; block 0 may have none', async () => {
    const yaml = (at: string) => `
tables: { blocks: { columns: { n: bigint, at: timestamp }, key: [n] } }
steps:
  - id: b
    type: rpc-batch
    chain: ethereum
    into: blocks
    with:
      over: { blocks: { from: 0, to: 1 } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { n: number, at: ${at} }
`
    const rowsOf = async (genesisTime: number, at: string) => {
      const served = await fakeChain({ seed: 4, blocks: 3, genesisTime, blockTime: 1000 }).serve()
      const { out, tables } = await run(yaml(at), served.url)
      await served.close()
      const { blocks } = await tables()
      return { out: out.replaceAll(/\s+/g, ' '), rows: blocks?.rows.map(({ n, at: time }) => [n, time]) }
    }
    const ms = 1_700_000_000_000
    const refused = await rowsOf(ms, 'block.timestamp')
    expect(refused.rows).toEqual([])
    expect(refused.out).toContain('TIME_REFUSED')
    expect(refused.out).toContain('in ms it would be 2023-11-14T22:13:20Z')
    expect((await rowsOf(ms, '{ path: block.timestamp, unit: ms }')).rows).toEqual([
      ['0', '2023-11-14 22:13:20'],
      ['1', '2023-11-14 22:13:21'],
    ])
    const first = await rowsOf(0, 'block.timestamp')
    expect(first.rows).toEqual([['0', '1970-01-01 00:00:00']])
    expect(first.out).toContain('is the time 1970-01-01T00:16:40Z, and none outside of 2009-01-01T00:00:00Z to ')
    expect((await rowsOf(0, '{ path: block.timestamp, range: { from: 1970-01-01 } }')).rows?.length).toBe(2)
  })

  it('fills several tables a unit, one row an element of a list, with index counting', async () => {
    const { code, out, tables } = await run(`
tables:
  blocks: { columns: { n: bigint, transactions: int }, key: [n] }
  transactions: { columns: { n: bigint, i: int, hash: hash, sender: address }, key: [n, i] }
steps:
  - id: b
    type: rpc-batch
    chain: ethereum
    with:
      over: { blocks: { from: 5, to: 14 } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, true] } }
      rows:
        - { into: blocks, row: { n: block.number, transactions: block.transactions.length } }
        - { into: transactions, each: { tx: block.transactions }, row: { n: block.number, i: index, hash: tx.hash, sender: tx.from } }
`)
    expect({ code, out: code === 0 ? '' : out }).toEqual({ code: 0, out: '' })
    const { blocks, transactions, _pipe_units: units } = await tables()
    expect(blocks?.rows.length).toBe(10)
    const counts = new Map(blocks?.rows.map(({ n, transactions: count }) => [n, Number(count)]))
    expect(transactions?.rows.map(({ n, i }) => [n, i])).toEqual(
      [...counts].flatMap(([n, count]) => Array.from({ length: count }, (_, i) => [n, String(i)])),
    )
    expect(transactions?.rows.length).toBeGreaterThanOrEqual(30)
    expect(JSON.parse(units?.rows[0]?.rows ?? '{}')).toEqual({ blocks: 10, transactions: transactions?.rows.length })
  })

  it('calls a contract by its ABI text, and a call may use the results of calls above it', async () => {
    const { code, out, err, tables } = await run(`
tables:
  ids: { columns: { n: bigint, hash: hash }, key: [n] }
  owners: { columns: { id: bigint, owner: address, amount: uint256, extra: uint256 }, key: [id] }
steps:
  - id: ids
    type: rpc-batch
    chain: ethereum
    into: ids
    with:
      over: { blocks: { from: 1, to: 20 } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { n: block.number, hash: block.hash }
  - id: owners
    type: rpc-batch
    needs: [ids]
    chain: ethereum
    into: owners
    with:
      over: { sql: "SELECT n AS id, 7 AS at FROM ids", key: [id] }
      calls:
        position: { to: "${token}", function: "positionOf(uint256) returns (address owner, uint256 amount)", args: [$id], block: $at }
        extra: { to: "${token}", function: "extraOf(address) returns (uint256)", args: [$position.owner], block: $at }
      row: { id: id, owner: position.owner, amount: position.amount, extra: extra }
`)
    expect({ code, out: code === 0 ? '' : out + err }).toEqual({ code: 0, out: '' })
    const { owners } = await tables()
    expect(owners?.rows).toEqual(
      Array.from({ length: 20 }, (_, i) => {
        const id = BigInt(i + 1)
        return {
          id: String(id),
          owner: `0x${(id + 1n).toString(16).padStart(40, '0')}`,
          amount: String(id * 2n + 7n),
          extra: String(id + 1n + 1_000n),
        }
      }),
    )
  })

  it('a query whose key is text is cut by its keys, and every row of it is read', async () => {
    const { code, out, tables } = await run(`
tables:
  blocks: { columns: { n: bigint, miner: address }, key: [n] }
  miners: { columns: { miner: address, balance: uint256 }, key: [miner] }
steps:
  - id: blocks
    type: rpc-batch
    chain: ethereum
    into: blocks
    with:
      over: { blocks: { from: 0, to: 40 } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { n: block.number, miner: block.miner }
  - id: miners
    type: rpc-batch
    needs: [blocks]
    chain: ethereum
    into: miners
    with:
      over: { sql: SELECT DISTINCT miner FROM blocks WHERE n > 0, key: [miner], chunk: 2 }
      calls: { balance: { method: eth_getBalance, params: [$miner, 40] } }
      row: { miner: miner, balance: balance }
`)
    expect({ code, out: code === 0 ? '' : out }).toEqual({ code: 0, out: '' })
    const { miners } = await tables()
    const expected = [...chain.miners].sort().map((miner) => ({ miner, balance: String(chain.balance(miner, 40)) }))
    expect(miners?.rows).toEqual(expected)
  })

  it('of a query, each of its tables holds the key of the record that its rows are for: without it, nobody could tell them apart', async () => {
    const { code, err } = await run(`
tables:
  blocks: { columns: { n: bigint }, key: [n] }
  txs: { columns: { hash: hash, n: bigint }, key: [hash] }
  senders: { columns: { hash: hash, sender: address }, key: [hash] }
steps:
  - id: txs
    type: rpc-batch
    chain: ethereum
    with:
      over: { sql: "SELECT n FROM blocks", key: [n] }
      calls: { block: { method: eth_getBlockByNumber, params: [$n, true] } }
      rows:
        - { into: txs, each: { tx: block.transactions }, row: { hash: tx.hash, n: n } }
        - { into: senders, each: { tx: block.transactions }, row: { hash: tx.hash, sender: tx.from } }
`)
    expect([code, err]).toEqual([2, expect.stringContaining('rows[1].row: copies n of `over.key` into no column of senders')])
  })

  it('a name that the query does not give is found before anything is fetched', async () => {
    const before = node.log.length
    const { code, err } = await run(`
tables:
  blocks: { columns: { n: bigint }, key: [n] }
  t: { columns: { n: bigint, b: uint256 }, key: [n] }
steps:
  - id: t
    type: rpc-batch
    chain: ethereum
    into: t
    with:
      over: { sql: "SELECT n, '0x00' AS minr FROM blocks", key: [n] }
      calls: { b: { method: eth_getBalance, params: [$miner, $n] } }
      row: { n: n, b: b }
`)
    expect(code).toBe(2)
    expect(err).toContain('did you mean "minr"')
    expect(node.log.length).toBe(before)
  })

  it('a float for an exact column is refused before anything is fetched', async () => {
    const before = node.log.length
    const { code, err } = await run(`
tables:
  t: { columns: { n: bigint, b: uint256, half: uint256 }, key: [n] }
steps:
  - id: t
    type: rpc-batch
    chain: ethereum
    into: t
    with:
      over: { blocks: { from: 1, to: 5 } }
      calls: { b: { method: eth_getBalance, params: ["${token}", $number] } }
      row: { n: number, b: b }
      compute: { half: b / 2 }
`)
    expect(code).toBe(2)
    expect(err).toContain('half')
    expect(
      node.log
        .slice(before)
        .flatMap(({ calls }) => calls)
        .filter(({ method }) => method === 'eth_getBalance'),
    ).toEqual([])
  })

  it('no request holds more calls than `batch`, also when a param says how many', async () => {
    const before = node.log.length
    const { code } = await run(`
params:
  size: { type: int, default: 3 }
tables:
  t: { columns: { n: bigint, b: uint256 }, key: [n] }
steps:
  - id: t
    type: rpc-batch
    chain: ethereum
    into: t
    with:
      over: { blocks: { from: 1, to: 20 } }
      calls: { b: { method: eth_getBalance, params: ["${token}", $number] } }
      row: { n: number, b: b }
      batch: $size
`)
    expect(code).toBe(0)
    const sizes = node.log.slice(before).flatMap(({ calls }) => (calls[0]?.method === 'eth_getBalance' ? [calls.length] : []))
    expect(Math.max(...sizes)).toBe(3)
  })
})
