import { describe, expect, it } from 'vitest'
import { depositBlock, type Recorded, type RecordedBlock } from '../../test/support/recorded-blocks.js'
import type { BlockPart, UsedField } from '../sdk/index.js'
import { checkBlock, checkUsed } from './index.js'

/** Of an OP stack: the first transaction is a deposit, the others are of type 2. Its receipts say of them what nodes say. */
const recorded = ((all: RecordedBlock): RecordedBlock => {
  const receipts = all.receipts.map((receipt, i) => {
    const { from, to, gasPrice } = (all.block.transactions as Recorded[])[i]!
    return { ...receipt, from, to, effectiveGasPrice: gasPrice, contractAddress: null }
  })
  return { ...all, receipts }
})(depositBlock())
const copy = <T>(value: T): T => structuredClone(value)
const uses = (...names: readonly string[]): UsedField[] =>
  names.map((name) => {
    const [part, field] = name.split('.')
    return { part: part as BlockPart, field }
  })
const transactionsIn = ({ block }: RecordedBlock) => block.transactions as Recorded[]

/** What is found of a block whose hashes are right, when some of its fields are stored. */
async function found(used: readonly UsedField[], change: (all: RecordedBlock) => void = () => undefined) {
  const all = copy(recorded)
  change(all)
  const { block, receipts } = all
  expect(checkBlock(block, receipts, block.transactions)).toBeUndefined()
  return checkUsed(block, { receipts, transactions: block.transactions }, used)
}

const ofTransaction = [
  'type',
  'hash',
  'from',
  'to',
  'value',
  'input',
  'gas',
  'gasPrice',
  'maxFeePerGas',
  'accessList',
  'mint',
  'sourceHash',
]
const ofReceipt = ['status', 'gasUsed', 'type', 'from', 'to', 'effectiveGasPrice', 'contractAddress', 'logsBloom', 'depositNonce', 'logs']

describe('what is stored of a block whose hashes are right', () => {
  it('is proved where it was hashed, is compared with what was, or follows from a signature', async () => {
    const used = [...ofTransaction.map((name) => `transaction.${name}`), ...ofReceipt.map((name) => `receipt.${name}`), 'log']
    expect(await found(uses(...used))).toBeUndefined()
    const time = recorded.block.timestamp
    expect(
      await found(uses('log', 'receipt.blockTimestamp'), ({ receipts }) => receipts.forEach((one) => (one.blockTimestamp = time))),
    ).toBeUndefined()
  })

  it.each<[what: string, used: UsedField[], change: (all: RecordedBlock) => void, finding: object]>([
    [
      'a fee of a type that signs none',
      uses('transaction.maxFeePerGas'),
      (all) => (transactionsIn(all)[0]!.maxFeePerGas = '0x1'),
      { why: expect.stringMatching(/^transactions\[0\].maxFeePerGas is in no hash: what is signed of type 0x7e has no such field$/) },
    ],
    [
      "the time of a log that is not its block's",
      uses('log.blockTimestamp'),
      ({ receipts }) => ((receipts.find(({ logs }) => (logs as unknown[]).length > 0)!.logs as Recorded[])[0]!.blockTimestamp = '0x1'),
      { why: expect.stringMatching(/^receipts\[\d\].logs\[0\].blockTimestamp is 0x1, and the block has another time$/) },
    ],
    [
      'a field of a whole log that the node adds',
      uses('log'),
      ({ receipts }) => ((receipts.find(({ logs }) => (logs as unknown[]).length > 0)!.logs as Recorded[])[0]!.own = '0x1'),
      { why: expect.stringMatching(/^receipts\[\d\].logs\[0\].own is in no hash of a block, where a log is given so$/) },
    ],
    [
      'another sender, in transaction and receipt',
      uses('transaction.from'),
      (all) => (transactionsIn(all)[1]!.from = all.receipts[1]!.from = `0x${'ab'.repeat(20)}`),
      { field: 'transactions[1].from', said: `0x${'ab'.repeat(20)}`, computed: recorded.receipts[1]!.from },
    ],
    [
      'the same where only the receipt is stored',
      uses('receipt.from'),
      (all) => (transactionsIn(all)[1]!.from = all.receipts[1]!.from = `0x${'ab'.repeat(20)}`),
      { field: 'receipts[1].from', said: `0x${'ab'.repeat(20)}`, computed: recorded.receipts[1]!.from },
    ],
    [
      'a contract that nobody created',
      uses('receipt.contractAddress'),
      ({ receipts }) => (receipts[2]!.contractAddress = `0x${'ab'.repeat(20)}`),
      { field: 'receipts[2].contractAddress', said: `0x${'ab'.repeat(20)}`, computed: 'null' },
    ],
    [
      'a price beside the fees',
      uses('transaction.gasPrice'),
      (all) => (transactionsIn(all)[2]!.gasPrice = '0x1'),
      { field: 'transactions[2].gasPrice', said: '0x1', computed: recorded.receipts[2]!.effectiveGasPrice },
    ],
    [
      'a recipient that is left out',
      uses('receipt.to'),
      ({ receipts }) => delete receipts[3]!.to,
      { field: 'receipts[3].to', said: 'missing', computed: transactionsIn(recorded)[3]!.to },
    ],
  ])('is refuted or not proved: %s', async (_, used, change, finding) => {
    expect(await found(used, change)).toMatchObject(finding)
    // What nobody stores is not looked at.
    expect(await found(uses('receipt.status', 'log.data'), change)).toBeUndefined()
  })

  it('is the status of a receipt only where that was hashed: not beside the root of before Byzantium', async () => {
    const receipts = recorded.receipts.map((one) => ({ ...one, root: recorded.block.hash }))
    const { block } = recorded
    const of = (field: string, list: readonly unknown[] = receipts) => checkUsed(block, { receipts: list }, uses(`receipt.${field}`))
    expect(await of('status')).toEqual({
      used: { part: 'receipt', field: 'status' },
      why: 'receipts[0].status stands beside a root, and a receipt of before Byzantium has its root hashed alone',
    })
    expect(
      await of(
        'status',
        receipts.map(({ status: _, ...one }: Recorded) => one),
      ),
    ).toBeUndefined()
    expect([await of('root'), await of('status', recorded.receipts)]).toEqual([undefined, undefined])
  })
})
