import { expect, test } from 'vitest'
import type { RpcLog, Table } from '../../src/sdk/authors.js'
import { outputsOf } from './check.js'
import type { Config } from './config.js'
import { RowsOfLogs } from './rows.js'

const column = (name: string, kind: 'bigint' | 'text' | 'uint256' | 'address') => ({ name, type: { kind }, nullable: false })
const table = (name: string, value: ReturnType<typeof column>): Table => ({
  name,
  columns: [column('block', 'bigint'), column('i', 'bigint'), value],
  key: ['block', 'i'],
  range: 'block',
  indexes: {},
  retention: undefined,
})
const tables = new Map(
  [
    table('coins', column('value', 'uint256')),
    table('things', column('id', 'uint256')),
    table('notes', column('who', 'address')),
    table('aside', column('reason', 'text')),
  ].map((each) => [each.name, each]),
)

const place = { block: 'log.blockNumber', i: 'log.logIndex' }
const config: Config = {
  over: { blocks: { from: 0, to: 9 } },
  events: [
    { event: 'Transfer(address indexed from, address indexed to, uint256 value)', into: 'coins', row: { ...place, value: 'args.value' } },
    { event: 'Transfer(address indexed from, address indexed to, uint256 indexed id)', into: 'things', row: { ...place, id: 'args.id' } },
    {
      event: 'Noted(address indexed who) anonymous',
      contracts: [`0x${'0b'.repeat(20)}`],
      into: 'notes',
      row: { ...place, who: 'args.who' },
    },
  ],
  misfits: { into: 'aside', row: { ...place, reason: 'reason' } },
}

const word = (n: number) => `0x${n.toString(16).padStart(64, '0')}`
const TRANSFER = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
const log = (i: number, topics: string[], data: string, address = `0x${'0a'.repeat(20)}`): RpcLog => ({
  address,
  topics,
  data,
  blockNumber: 5n,
  blockHash: word(5),
  transactionHash: word(50 + i),
  transactionIndex: 0,
  logIndex: i,
})

test('a log is a row of each event that it fits, and is kept aside when it fits none of those that have its first topic', () => {
  const rows = new RowsOfLogs({ config, outputs: outputsOf({ config, tables, chain: undefined }), tables, scope: new Map() })
  const noted = `0x${'0b'.repeat(20)}`
  const made = rows.make(
    [
      log(0, [TRANSFER, word(1), word(2)], word(7)),
      log(1, [TRANSFER, word(1), word(2), word(8)], '0x'),
      log(2, [TRANSFER, word(1)], '0x'),
      // Nothing says of which event it is, so it is none of the anonymous one.
      log(3, [word(1), word(2)], '0x', noted),
      log(4, [word(9)], '0x', noted),
    ],
    new Map(),
    undefined,
  )
  expect(made.rows).toEqual({
    coins: [{ block: 5n, i: 0n, value: 7n }],
    things: [{ block: 5n, i: 1n, id: 8n }],
    notes: [{ block: 5n, i: 4n, who: `0x${'9'.padStart(40, '0')}` }],
    aside: [
      { block: 5n, i: 2n, reason: '2 topics instead of 3' },
      { block: 5n, i: 2n, reason: '2 topics instead of 4' },
    ],
  })
  expect(made.misfits).toBe(1)
  expect(Object.values(made.aside)).toEqual([
    { '2 topics instead of 3': { logs: 1, example: `${word(52)} log 2` } },
    { '2 topics instead of 4': { logs: 1, example: `${word(52)} log 2` } },
  ])
})
