import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dataFolder } from '../../test/support/mainnet.js'
import { depositBlock, mainnetBlocks, optimismBlocks, type Recorded, type RecordedBlock } from '../../test/support/recorded-blocks.js'
import { checkBlock, headerHash, receiptsRoot, transactionsRoot } from './index.js'

/** A copy that may be changed. */
const copy = <T>(value: T): T => structuredClone(value)
/** A receipt's or a block's list; the casts of this file hold for recorded blocks. */
const listIn = (of: Recorded, name: string): Recorded[] => of[name] as Recorded[]

describe('a real block of an OP stack', () => {
  const { block, receipts } = depositBlock()

  test('proves its receipts, a deposit with nonce and version among them, and its transactions', () => {
    expect(headerHash(block)).toBe(block.hash)
    expect(receiptsRoot(receipts)).toBe(block.receiptsRoot)
    expect(transactionsRoot(block.transactions)).toBe(block.transactionsRoot)
    expect(checkBlock(block, receipts, block.transactions)).toBeUndefined()
  })

  test('has the receiptsRoots that its sequencer published as it grew', () => {
    expect([2, 3, 4, 5].map((count) => receiptsRoot(receipts.slice(0, count)))).toEqual([
      '0x91d8ad10740ccfc1bd848fba0e02668d95769c08eeea30f10698692ba86c6159',
      '0x1eaaaeb9d43bead7d32b90f1b320589174c63d2fa8f5fd366f841a205b1eb2e0',
      '0x0fff0488aa3732c34018b938839ab2f0caa96018221e4ffaeca011fb06ba288f',
      '0xa62d1d98f56ffb1464a2beb185484253df68208004306e155c0bd1519137afe6',
    ])
  })

  const changes: readonly [what: string, change: (all: RecordedBlock) => void, difference: object][] = [
    ['a receipt less at the end', ({ receipts }) => receipts.pop(), { field: 'receipts', said: '5', computed: '6' }],
    [
      'a log less, with no gap left',
      ({ receipts }) => (receipts[5]!.logs = []),
      { field: 'receiptsRoot', said: block.receiptsRoot, computed: expect.stringMatching(/^0x/) },
    ],
    [
      'a log less in the middle',
      ({ receipts }) => (receipts[3]!.logs = []),
      { field: 'receipts[4].logs[0].logIndex', said: '0x2', computed: '0x1' },
    ],
    [
      'two receipts in the wrong order',
      ({ receipts }) => receipts.splice(2, 2, receipts[3]!, receipts[2]!),
      { field: 'receipts[2].transactionIndex', said: '0x3', computed: '0x2' },
    ],
    [
      'a log of another block',
      ({ receipts }) => (listIn(receipts[2]!, 'logs')[0]!.blockHash = block.parentHash),
      { field: 'receipts[2].logs[0].blockHash', said: block.parentHash, computed: block.hash },
    ],
    [
      'a log of another transaction',
      ({ receipts }) => (listIn(receipts[2]!, 'logs')[0]!.transactionHash = receipts[1]!.transactionHash),
      { field: 'receipts[2].logs[0].transactionHash', said: receipts[1]!.transactionHash, computed: receipts[2]!.transactionHash },
    ],
    [
      'a log that was removed',
      ({ receipts }) => (listIn(receipts[2]!, 'logs')[0]!.removed = true),
      { field: 'receipts[2].logs[0].removed', said: 'true', computed: 'false' },
    ],
    [
      'a bloom that its logs do not make',
      ({ receipts }) => (receipts[0]!.logsBloom = block.logsBloom),
      { field: 'receipts[0].logsBloom', said: `${String(block.logsBloom).slice(0, 157)}...`, computed: `0x${'0'.repeat(155)}...` },
    ],
    [
      'gas that does not add up',
      ({ receipts }) => (receipts[1]!.gasUsed = '0x5579'),
      { field: 'receipts[1].gasUsed', said: '0x5579', computed: '0x5578' },
    ],
    [
      'a transaction of another name, in block and receipt',
      (all) => (listIn(all.block, 'transactions')[1]!.hash = all.receipts[1]!.transactionHash = block.hash),
      { field: 'transactions[1].hash', said: block.hash, computed: receipts[1]!.transactionHash },
    ],
    [
      'a transaction with another value',
      (all) => (listIn(all.block, 'transactions')[1]!.value = '0x1'),
      { field: 'transactionsRoot', said: block.transactionsRoot, computed: expect.stringMatching(/^0x/) },
    ],
    [
      'a transaction that says its signature twice, and not alike',
      (all) => (listIn(all.block, 'transactions')[1]!.v = '0x1'),
      { field: 'transactions[1].v', said: '0x1', computed: '0x0' },
    ],
    [
      'a receipt with another recipient than its transaction',
      ({ receipts }) => (receipts[1]!.to = block.miner),
      { field: 'receipts[1].to', said: block.miner, computed: listIn(block, 'transactions')[1]!.to },
    ],
    [
      'a receipt that says that a contract was created',
      ({ receipts }) => (receipts[1]!.to = null),
      { field: 'receipts[1].to', said: 'null', computed: listIn(block, 'transactions')[1]!.to },
    ],
    [
      'a deposit from another sender',
      ({ receipts }) => (receipts[0]!.from = block.miner),
      { field: 'receipts[0].from', said: block.miner, computed: listIn(block, 'transactions')[0]!.from },
    ],
    [
      'a price that its transaction does not come to',
      ({ receipts }) => (receipts[1]!.effectiveGasPrice = '0x1'),
      // The base fee of 0x33, and no tip.
      { field: 'receipts[1].effectiveGasPrice', said: '0x1', computed: '0x33' },
    ],
    [
      'another miner',
      (all) => (all.block.miner = `0x${'4'.repeat(40)}`),
      { field: 'hash', said: block.hash, computed: expect.stringMatching(/^0x/) },
    ],
    ['no receipts root', (all) => delete all.block.receiptsRoot, { rebuildable: 'no', reason: expect.stringContaining('receiptsRoot') }],
    [
      'a topic that is cut',
      ({ receipts }) => (listIn(receipts[2]!, 'logs')[0]!.topics = ['0xfaddd']),
      { field: 'receipts[2].logs[0].topics[0]', said: '0xfaddd', computed: '32 bytes in hexadecimal' },
    ],
    [
      'data that is not hexadecimal',
      ({ receipts }) => (listIn(receipts[2]!, 'logs')[0]!.data = '0x00zz'),
      { field: 'receipts[2].logs[0].data', said: '0x00zz', computed: 'bytes in hexadecimal' },
    ],
    ['logs that are none', ({ receipts }) => (receipts[0]!.logs = null), { field: 'receipts[0].logs', said: 'null', computed: 'a list' }],
  ]

  test.each(changes)('does not prove %s', (_what, change, difference) => {
    const changed = copy({ block, receipts })
    change(changed)
    expect(checkBlock(changed.block, changed.receipts, changed.block.transactions)).toEqual(difference)
  })

  test.each([
    ['block', (value: unknown) => checkBlock(value, receipts)],
    ['receipts', (value: unknown) => checkBlock(block, value)],
    ['transactions', (value: unknown) => checkBlock(block, receipts, value)],
  ])('with anything else as %s is told as what it is', (name, check) => {
    for (const value of [null, 7, 'text', [null], [7], [[]], {}]) expect(check(value), JSON.stringify(value)).toBeDefined()
    expect(check('text')).toEqual({ field: name, said: 'text', computed: name === 'block' ? 'an object' : 'a list' })
  })
})

describe.skipIf(!dataFolder)('real blocks of Ethereum (recorded data, skipped without it)', () => {
  const blocks = dataFolder ? mainnetBlocks() : []

  test('of five forks prove all their receipts', () => {
    expect(blocks).toHaveLength(13)
    for (const { block, receipts } of blocks) expect(checkBlock(block, receipts), String(block.number)).toBeUndefined()
  })

  test('prove nothing after any of 200 random changes', () => {
    // Each change is made to a copy of what it changes, so that the next one finds the block as it was.
    const some = blocks.filter(({ receipts }) => receipts.length > 1 && receipts.flatMap(({ logs }) => logs).length < 400)
    const seed = Number(process.env.PIPE_TEST_SEED ?? Date.now() % 1_000_000)
    console.log(`PIPE_TEST_SEED=${seed}`)
    const caught = new Map<string, number>()
    fc.assert(
      fc.property(fc.integer({ min: 0, max: some.length - 1 }), fc.constantFrom(...Object.keys(changes)), fc.gen(), (at, what, gen) => {
        const block = { ...some[at]!.block }
        const receipts = [...some[at]!.receipts]
        const pick = (length: number) => gen(fc.nat, length - 1)
        fc.pre(changes[what]!({ block, receipts }, pick))
        caught.set(what, (caught.get(what) ?? 0) + 1)
        expect(checkBlock(block, receipts), what).toBeDefined()
      }),
      { numRuns: 200, seed },
    )
    expect([...caught.keys()].sort()).toEqual(Object.keys(changes).sort())
  })
})

test.skipIf(!dataFolder)(
  'real blocks of Optimism are rebuilt, and their transactions of types 0, 2 and 0x7e (recorded data, skipped without it)',
  () => {
    const { blocks } = optimismBlocks()
    const whole = blocks.filter(({ transactions }) => (transactions as unknown[]).every((one) => typeof one === 'object'))
    expect(blocks.map(headerHash)).toEqual(blocks.map(({ hash }) => hash))
    expect(whole.map(({ transactions }) => transactionsRoot(transactions))).toEqual(whole.map(({ transactionsRoot: root }) => root))
    expect(whole.map((block) => checkBlock(block, undefined, block.transactions))).toEqual(whole.map(() => undefined))
    expect([blocks.length, whole.length]).toEqual([10, 8])
  },
)

type Pick = (length: number) => number

/** Single changes. Each tells whether it found something to change in the block. */
const changes: Readonly<Record<string, (all: RecordedBlock, pick: Pick) => boolean>> = {
  'a log is dropped': ({ receipts }, pick) =>
    inLogs(receipts, pick, (logs) => {
      logs.splice(pick(logs.length), 1)
    }),
  'a log is dropped, and those behind it are numbered anew': ({ receipts }, pick) => {
    if (!inLogs(receipts, pick, (logs) => logs.splice(pick(logs.length), 1))) return false
    let index = 0
    for (const [i, receipt] of receipts.entries())
      receipts[i] = { ...receipt, logs: listIn(receipt, 'logs').map((log) => ({ ...log, logIndex: `0x${(index++).toString(16)}` })) }
    return true
  },
  'a digit of a log is changed': ({ receipts }, pick) =>
    inLogs(receipts, pick, (logs) => {
      const log = pick(logs.length)
      const name = ['address', 'data', 'blockHash', 'transactionHash', 'blockNumber', 'transactionIndex', 'logIndex'][pick(7)]!
      logs[log] = { ...logs[log], [name]: otherDigit(logs[log]![name], pick) }
    }),
  'a topic is changed': ({ receipts }, pick) =>
    inLogs(receipts, pick, (logs) => {
      const log = pick(logs.length)
      const topics = [...(logs[log]!.topics as string[])]
      if (topics.length === 0) topics.push(`0x${'0'.repeat(64)}`)
      else topics[pick(topics.length)] = otherDigit(topics[0], pick)
      logs[log] = { ...logs[log], topics }
    }),
  'two logs change places': ({ receipts }, pick) =>
    inLogs(
      receipts,
      pick,
      (logs) =>
        logs.length > 1 &&
        logs.splice(0, 2, { ...logs[1]!, logIndex: logs[0]!.logIndex }, { ...logs[0]!, logIndex: logs[1]!.logIndex }).length > 0 &&
        JSON.stringify([logs[0]!.topics, logs[0]!.data, logs[0]!.address]) !==
          JSON.stringify([logs[1]!.topics, logs[1]!.data, logs[1]!.address]),
    ),
  'two receipts change places': ({ receipts }, pick) => {
    const i = pick(receipts.length - 1)
    receipts.splice(i, 2, receipts[i + 1]!, receipts[i]!)
    return true
  },
  'a receipt is dropped': ({ receipts }, pick) => receipts.splice(pick(receipts.length), 1).length === 1,
  'the last receipt is dropped, with its transaction': ({ block, receipts }) => {
    receipts.pop()
    block.transactions = (block.transactions as unknown[]).slice(0, -1)
    return true
  },
  'a digit of a receipt is changed': ({ receipts }, pick) => {
    const i = pick(receipts.length)
    const names = [
      'transactionHash',
      'transactionIndex',
      'blockHash',
      'blockNumber',
      'type',
      'cumulativeGasUsed',
      'gasUsed',
      'logsBloom',
      'status',
    ]
    const name = names[pick(names.length)]!
    receipts[i] = { ...receipts[i], [name]: otherDigit(receipts[i]![name], pick) }
    return true
  },
  'a field of the header is changed': ({ block }, pick) => {
    const names = Object.keys(block).filter((name) => typeof block[name] === 'string' && block[name] !== '0x')
    const name = names[pick(names.length)]!
    block[name] = otherDigit(block[name], pick)
    return true
  },
  'a field of the header is missing': ({ block }, pick) => {
    const names = Object.keys(block).filter((name) => typeof block[name] === 'string')
    delete block[names[pick(names.length)]!]
    return true
  },
}

/** Changes the logs of a receipt that has some. */
function inLogs(receipts: Recorded[], pick: Pick, change: (logs: Recorded[]) => unknown): boolean {
  const some = [...receipts.keys()].filter((i) => listIn(receipts[i]!, 'logs').length > 0)
  if (some.length === 0) return false
  const i = some[pick(some.length)]!
  const logs = [...listIn(receipts[i]!, 'logs')]
  receipts[i] = { ...receipts[i], logs }
  return change(logs) !== false
}

/** The text with another digit somewhere; of a number the first, so that it is another number. */
function otherDigit(value: unknown, pick: Pick): string {
  const text = String(value)
  if (text.length < 3) return `${text}00`
  const at = text.length < 40 ? 2 : 2 + pick(text.length - 2)
  const digit = (parseInt(text[at]!, 16) + 1 + pick(14)) % 16
  return text.slice(0, at) + digit.toString(16) + text.slice(at + 1)
}
