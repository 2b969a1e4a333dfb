import { type BlockPart, type Disproof, provedBy, TRANSACTION_FORMS, turn, type UsedField } from '../sdk/index.js'
import { type Derived, derivedOf, priceOf } from './derived.js'
import type { BlockOptions } from './places.js'
import { at, fieldsOf, listOf, numberOf, recipient, hex, saysNumber, says, shown, typeOf, type Fields } from './read.js'
import { type Difference, differs } from './rebuilt.js'
import { DEPOSIT, hasRoot } from './receipts.js'
import { hasStateSyncs, withoutStateSync } from './state-sync.js'

/** What follows from a transaction and is said of it and its receipt: it is compared where it is used. */
const DERIVED = new Set(['from', 'to', 'gasPrice', 'effectiveGasPrice', 'contractAddress'])

/** Senders that are computed in one go: it takes some milliseconds. Then signals and timers have their turn. */
const AT_ONCE = 16

/** Why a used field is not proved. */
export type Unproved = Pick<Disproof, 'why' | 'used'>

/**
 * Whether a field of a part of a block, as this one is given, is in the hashes of the block, or was compared with what is. What follows from
 * the signature alone is not: see `derivedOf`.
 *
 * @param timestamp Of the block's header.
 */
export function isHashed(part: BlockPart, fields: Fields, name: string, timestamp: unknown): boolean {
  if (name === 'blockTimestamp') return saysNumber(fields[name], numberOf(timestamp, 'timestamp'))
  if (part === 'transaction') return isSigned(fields, name)
  if (provedBy(part, name) === undefined) return false
  if (part !== 'receipt') return true
  if (name === 'status') return !hasRoot(fields)
  if (name === 'root') return hasRoot(fields)
  if (name === 'depositNonce' || name === 'depositReceiptVersion') return typeOf(fields) === DEPOSIT && fields.depositReceiptVersion != null
  return !DERIVED.has(name)
}

function isSigned(transaction: Fields, name: string): boolean {
  const type = typeOf(transaction)
  const forms = TRANSACTION_FORMS[type]
  if (!forms) return false
  if (Object.hasOwn(forms, name)) return true
  if (name === 'v') return Object.hasOwn(forms, 'yParity')
  // It is in the `v` of EIP-155, and of older ones in nothing.
  if (name === 'chainId') return type === 0 && transaction.v != null && numberOf(transaction.v, 'v') >= 35n
  return provedBy('transaction', name) !== undefined && !DERIVED.has(name) && !isTyped(name)
}

/** Whether it is hashed of transactions of some type. */
const isTyped = (name: string): boolean => Object.values(TRANSACTION_FORMS).some((forms) => Object.hasOwn(forms, name))

/**
 * Undefined when all fields that are used of a block that `checkBlock` found right are proved by it; else the first one that its
 * transaction refutes, or that nothing proves in the form in which it is given: `maxFeePerGas` of a legacy transaction, `status` beside a
 * `root`. What is null or missing is not looked at, but for what follows from the transaction. What a state sync of Polygon left is passed over.
 */
export async function checkUsed(
  block: unknown,
  { receipts = [], transactions = [] }: { readonly receipts?: unknown; readonly transactions?: unknown },
  used: readonly UsedField[],
  { chainId }: BlockOptions = {},
): Promise<Difference | Unproved | undefined> {
  if (used.length === 0) return undefined
  const header = fieldsOf(block, 'block')
  const own = (list: unknown, name: string) =>
    (hasStateSyncs(chainId) ? withoutStateSync(listOf(list, name), name) : listOf(list, name)).map((one, i) =>
      fieldsOf(one, `${name}[${i}]`),
    )
  const [signed, received] = [own(transactions, 'transactions'), own(receipts, 'receipts')]
  const of = (part: BlockPart) => used.filter((each) => each.part === part)
  const [ofTransactions, ofReceipts, ofLogs] = [of('transaction'), of('receipt'), of('log')]
  for (const [i, fields] of signed.entries()) {
    const found = unproved(ofTransactions, fields, `transactions[${i}]`, header)
    if (found) return found
  }
  for (const [i, fields] of received.entries()) {
    const found = unproved(ofReceipts, fields, `receipts[${i}]`, header)
    if (found) return found
    if (ofLogs.length === 0) continue
    for (const [j, log] of listOf(fields.logs, 'logs').entries()) {
      const place = `receipts[${i}].logs[${j}]`
      const wrong = unproved(ofLogs, fieldsOf(log, place), place, header)
      if (wrong) return wrong
    }
  }
  return checkDerived(header, signed, received, [ofTransactions, ofReceipts])
}

function unproved(used: readonly UsedField[], fields: Fields, place: string, header: Fields): Unproved | undefined {
  for (const each of used)
    for (const name of each.field === undefined ? Object.keys(fields) : [each.field]) {
      if (fields[name] == null || isHashed(each.part, fields, name, header.timestamp) || isDerived(each.part, fields, name)) continue
      return { used: each, why: `${place}.${name} ${whyNot(each.part, fields, name)}` }
    }
  return undefined
}

/** Whether it follows from the transaction. A deposit was signed by nobody: it says from where to where, and pays no price. */
function isDerived(part: BlockPart, fields: Fields, name: string): boolean {
  if ((part !== 'transaction' && part !== 'receipt') || !DERIVED.has(name) || provedBy(part, name) === undefined) return false
  if (typeOf(fields) !== DEPOSIT) return true
  return name === 'from' || name === 'to' || (name !== 'contractAddress' && saysNumber(fields[name], 0))
}

function whyNot(part: BlockPart, fields: Fields, name: string): string {
  if (part === 'receipt' && name === 'status') return 'stands beside a root, and a receipt of before Byzantium has its root hashed alone'
  if (name === 'blockTimestamp') return `is ${shown(fields[name])}, and the block has another time`
  if (part === 'transaction') return `is in no hash: what is signed of type 0x${typeOf(fields).toString(16)} has no such field`
  return `is in no hash of a block, where a ${part} is given so`
}

async function checkDerived(
  header: Fields,
  transactions: readonly Fields[],
  receipts: readonly Fields[],
  used: readonly (readonly UsedField[])[],
): Promise<Difference | Unproved | undefined> {
  const [ofTransaction = [], ofReceipt = []] = used.map((some) =>
    some.flatMap(({ field }) => (DERIVED.has(field ?? '') ? [field ?? ''] : [])),
  )
  const signedBy = used.flat().find(({ field }) => field === 'from' || field === 'contractAddress')
  if (ofTransaction.length + ofReceipt.length === 0) return undefined
  let computed = 0
  for (const [i, transaction] of transactions.entries()) {
    if (typeOf(transaction) === DEPOSIT) continue
    const isNew = transaction.to == null
    const takesSender = [...ofTransaction, ...ofReceipt].includes('from') || (isNew && ofReceipt.includes('contractAddress'))
    if (takesSender && ++computed % AT_ONCE === 0) await turn()
    // A library that refuses a signature throws whatever it likes.
    const right = takesSender
      ? await derivedOf(transaction, header.baseFeePerGas).catch(() => undefined)
      : withoutSender(transaction, header, `transactions[${i}]`)
    if (!right) return { used: signedBy, why: `the signature of transactions[${i}] gives no sender` }
    const wrong =
      firstWrong(transaction, ofTransaction, right, `transactions[${i}]`) ??
      (receipts[i] && firstWrong(receipts[i], ofReceipt, right, `receipts[${i}]`))
    if (wrong) return wrong
  }
  return undefined
}

/** Of a transaction that creates nothing, or whose creation nobody asks about. */
function withoutSender(transaction: Fields, { baseFeePerGas }: Fields, place: string): Partial<Derived> {
  const to = recipient(transaction.to, 'to')
  const price = at(place, () => priceOf(transaction, baseFeePerGas))
  return { to: to.length === 0 ? null : hex(to), effectiveGasPrice: `0x${price.toString(16)}`, contractAddress: null }
}

function firstWrong(fields: Fields, names: readonly string[], right: Partial<Derived> | undefined, place: string): Difference | undefined {
  for (const name of names) {
    // The cast holds: these are the names of `DERIVED`.
    const value = right?.[(name === 'gasPrice' ? 'effectiveGasPrice' : name) as keyof Derived]
    if (value !== undefined && !isSame(fields[name], value)) return differs(`${place}.${name}`, fields[name], value ?? 'null')
  }
  return undefined
}

function isSame(said: unknown, right: string | null): boolean {
  if (right === null) return said == null
  return right.length === 42 ? says(said, right) : saysNumber(said, BigInt(right))
}
