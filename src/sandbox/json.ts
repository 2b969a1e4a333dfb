import { bloomOf, emptyBloom } from './bloom.js'
import type { FakeBlock, FakeLog } from './chain.js'
import { quantity } from './source.js'
import type { Hex } from './source.js'

/** What a transaction costs. */
export interface FakeCost {
  readonly gas: number
  /** Wei a gas. */
  readonly price: bigint
  /** Wei for its data on L1, as receipts of rollups say it. */
  readonly l1Fee?: bigint
}

/** A transaction with the logs it emits, each with its index in the block. */
export interface FakeTransaction {
  readonly hash: Hex
  readonly from: Hex
  /** Undefined: it creates a contract. */
  readonly to: Hex | undefined
  readonly value: bigint
  readonly cost: FakeCost
  readonly logs: readonly { readonly log: FakeLog; readonly index: number }[]
}

/** Roots that a header carries; made up, so they prove nothing. */
export interface Roots {
  readonly state: Hex
  readonly transactions: Hex
  readonly receipts: Hex
}

const noUncles = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347'
const zeroHash = '0x' + '0'.repeat(64)
const gasOf = (transactions: readonly FakeTransaction[]) => transactions.reduce((sum, { cost }) => sum + cost.gas, 0)
const textOrNull = (address: Hex | undefined) => (address === undefined ? 'null' : `"${address}"`)

/** A block as `eth_getBlockByNumber` gives it after the merge. */
export function blockJson(
  block: FakeBlock,
  transactions: readonly FakeTransaction[],
  roots: Roots,
  full: boolean,
  chainId: number,
): string {
  const list = transactions.map((transaction, i) => (full ? transactionJson(block, transaction, i, chainId) : `"${transaction.hash}"`))
  return (
    `{"number":"${quantity(block.number)}","hash":"${block.hash}","parentHash":"${block.parentHash}","nonce":"0x0000000000000000",` +
    `"sha3Uncles":"${noUncles}","logsBloom":"${bloom(transactions)}","transactionsRoot":"${roots.transactions}","stateRoot":"${roots.state}",` +
    `"receiptsRoot":"${roots.receipts}","miner":"${block.miner}","difficulty":"0x0","extraData":"0x","size":"${quantity(544 + 110 * list.length)}",` +
    `"gasLimit":"0x1c9c380","gasUsed":"${quantity(gasOf(transactions))}","timestamp":"${quantity(block.timestamp)}","baseFeePerGas":"0x3b9aca00",` +
    `"mixHash":"${zeroHash}","transactions":[${list.join(',')}],"uncles":[]}`
  )
}

/** The receipts of a block as `eth_getBlockReceipts` gives them. */
export function receiptsJson(block: FakeBlock, transactions: readonly FakeTransaction[]): string {
  let gas = 0
  const list = transactions.map(
    (transaction, i) =>
      `{"blockHash":"${block.hash}","blockNumber":"${quantity(block.number)}","contractAddress":null,"cumulativeGasUsed":"${quantity((gas += transaction.cost.gas))}",` +
      `"effectiveGasPrice":"${quantity(transaction.cost.price)}","from":"${transaction.from}","gasUsed":"${quantity(transaction.cost.gas)}",` +
      (transaction.cost.l1Fee === undefined ? '' : `"l1Fee":"${quantity(transaction.cost.l1Fee)}",`) +
      `"logs":[${transaction.logs.map(({ log, index }) => logJson(block, transaction, i, log, index)).join(',')}],` +
      `"logsBloom":"${bloom([transaction])}","status":"0x1","to":${textOrNull(transaction.to)},"transactionHash":"${transaction.hash}",` +
      `"transactionIndex":"${quantity(i)}","type":"0x2"}`,
  )
  return `[${list.join(',')}]`
}

/** A log as `eth_getLogs` gives it. */
export function logJson(block: FakeBlock, transaction: FakeTransaction, transactionIndex: number, log: FakeLog, index: number): string {
  return (
    `{"address":"${log.address.toLowerCase()}","topics":${JSON.stringify(log.topics)},"data":"${log.data}","blockNumber":"${quantity(block.number)}",` +
    `"transactionHash":"${transaction.hash}","transactionIndex":"${quantity(transactionIndex)}","blockHash":"${block.hash}",` +
    `"logIndex":"${quantity(index)}","removed":false}`
  )
}

function transactionJson(block: FakeBlock, transaction: FakeTransaction, i: number, chainId: number): string {
  const price = quantity(transaction.cost.price)
  return (
    `{"blockHash":"${block.hash}","blockNumber":"${quantity(block.number)}","hash":"${transaction.hash}","transactionIndex":"${quantity(i)}",` +
    `"type":"0x2","nonce":"${quantity(block.number)}","input":"0x","from":"${transaction.from}","to":${textOrNull(transaction.to)},` +
    `"value":"${quantity(transaction.value)}","gas":"${quantity(transaction.cost.gas)}","gasPrice":"${price}","maxFeePerGas":"${price}",` +
    `"maxPriorityFeePerGas":"0x3b9aca00","chainId":"${quantity(chainId)}","accessList":[],"v":"0x0","yParity":"0x0","r":"0x1","s":"${quantity(i + 1)}"}`
  )
}

function bloom(transactions: readonly FakeTransaction[]): Hex {
  if (transactions.every((transaction) => transaction.logs.length === 0)) return emptyBloom
  return bloomOf(transactions.flatMap((transaction) => transaction.logs.flatMap(({ log }) => [log.address.toLowerCase(), ...log.topics])))
}
