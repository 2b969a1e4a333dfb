import { isHashed } from '../proof/index.js'
import type { BlockPart } from '../sdk/index.js'
import type { Fields } from './proved-chain.js'

/** Hears of a field that was read though no hash holds it: of a block, a transaction, a receipt or a log. */
export type Heard = (name: string, of: BlockPart) => void

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
    return isHashed('block', block, name, block.timestamp)
  }
  const given = transactions ? { ...block, transactions } : block
  return guarded(given, isProved, (name) => heard(name, 'block'))
}

/**
 * @param isSynced Whether it is what a state sync left, of which nothing is proved.
 * @param timestamp Of its block, as the header has it.
 */
export function guardedTransaction(transaction: Fields, isSynced: boolean, timestamp: unknown, heard: Heard): Fields {
  return guarded(
    transaction,
    (name) => !isSynced && isHashed('transaction', transaction, name, timestamp),
    (name) => heard(name, 'transaction'),
  )
}

export function guardedReceipt(receipt: Fields, isSynced: boolean, timestamp: unknown, heard: Heard): Fields {
  const logs = (receipt.logs as readonly Fields[]).map((log) => guardedLog(log, isSynced, timestamp, heard))
  return guarded(
    { ...receipt, logs },
    (name) => !isSynced && isHashed('receipt', receipt, name, timestamp),
    (name) => heard(name, 'receipt'),
  )
}

export function guardedLog(log: Fields, isSynced: boolean, timestamp: unknown, heard: Heard): Fields {
  return guarded(
    log,
    (name) => (!isSynced || name === 'blockTimestamp') && isHashed('log', log, name, timestamp),
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
