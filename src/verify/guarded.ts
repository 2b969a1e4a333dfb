import { HEADER_FIELDS } from '../proof/index.js'
import type { Fields } from './proved-chain.js'

/** Hears of a field that was read though no hash holds it: of a block, a transaction, a receipt or a log. */
export type Heard = (name: string, of: 'block' | 'transaction' | 'receipt' | 'log') => void

const placed = ['blockHash', 'blockNumber', 'transactionIndex']
const target = ['to', 'value', 'input', 'gas']
const signature = ['v', 'r', 's']
const typed = ['nonce', 'chainId', ...target, 'accessList', 'yParity', ...signature]
const fees = [...typed, 'maxFeePerGas', 'maxPriorityFeePerGas']

/** What a transaction's hash holds, by its type. */
const signed: Readonly<Record<string, ReadonlySet<string>>> = Object.fromEntries(
  Object.entries({
    0: ['nonce', 'chainId', 'gasPrice', ...target, ...signature],
    1: [...typed, 'gasPrice'],
    2: fees,
    3: [...fees, 'maxFeePerBlobGas', 'blobVersionedHashes'],
    4: [...fees, 'authorizationList'],
    126: ['sourceHash', 'from', 'mint', 'isSystemTx', ...target],
  }).map(([type, names]) => [type, new Set([...names, ...placed, 'type', 'hash'])]),
)

/** What the receiptsRoot holds of a receipt, what follows from it, and where it lies. */
const ofReceipt: ReadonlySet<string> = new Set([
  ...['type', 'status', 'root', 'cumulativeGasUsed', 'gasUsed', 'logsBloom', 'logs', 'transactionHash'],
  ...placed,
])
const ofLog: ReadonlySet<string> = new Set(['address', 'topics', 'data', 'logIndex', 'removed', 'transactionHash', ...placed])

/** Of a block without uncles, and of one without withdrawals. */
const NO_UNCLES = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347'
const EMPTY_ROOT = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

/**
 * A block whose fields tell when they are read and no hash holds them. `transactions`: how its list is given, where hashes prove
 * it; else its list is one of those fields.
 */
export function guardedBlock(block: Fields, heard: Heard, transactions?: readonly unknown[]): Fields {
  const isProved = (name: string): boolean => {
    const value = block[name]
    if (name === 'transactions') return transactions !== undefined
    if (Array.isArray(value) && value.length === 0) {
      if (name === 'uncles') return block.sha3Uncles === NO_UNCLES
      if (name === 'withdrawals') return block.withdrawalsRoot === EMPTY_ROOT
    }
    return name === 'hash' || HEADER_FIELDS.has(name)
  }
  const given = transactions ? { ...block, transactions } : block
  return guarded(given, isProved, (name) => heard(name, 'block'))
}

/** @param isSynced Whether it is what a state sync left, of which nothing is proved. */
export function guardedTransaction(transaction: Fields, isSynced: boolean, heard: Heard): Fields {
  const names = signed[String(Number(transaction.type ?? 0))]
  return guarded(
    transaction,
    (name) => !isSynced && names?.has(name) === true,
    (name) => heard(name, 'transaction'),
  )
}

/** @param timestamp Of its block, as the header has it. */
export function guardedReceipt(receipt: Fields, isSynced: boolean, timestamp: unknown, heard: Heard): Fields {
  const logs = (receipt.logs as readonly Fields[]).map((log) => guardedLog(log, isSynced, timestamp, heard))
  const isDeposited = receipt.depositReceiptVersion != null
  return guarded(
    { ...receipt, logs },
    (name) => !isSynced && (ofReceipt.has(name) || (isDeposited && /^deposit(Nonce|ReceiptVersion)$/.test(name))),
    (name) => heard(name, 'receipt'),
  )
}

export function guardedLog(log: Fields, isSynced: boolean, timestamp: unknown, heard: Heard): Fields {
  return guarded(
    log,
    (name) => (!isSynced && ofLog.has(name)) || (name === 'blockTimestamp' && log[name] === timestamp),
    (name) => heard(name, 'log'),
  )
}

function guarded(fields: Fields, isProved: (name: string) => boolean, heard: (name: string) => void): Fields {
  return new Proxy(fields, {
    get(all, name) {
      // Symbols are asked for by JavaScript itself, and no answer has a field of that name.
      if (typeof name === 'symbol') return undefined
      if (Object.hasOwn(all, name) && !isProved(name)) heard(name)
      return all[name]
    },
  })
}
