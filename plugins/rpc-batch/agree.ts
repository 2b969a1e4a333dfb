import { counted, isList, type List, only, type RpcCall, turn } from '../../src/sdk/authors.js'

/** A call of an item with what was answered to it. */
export interface Told {
  readonly name: string
  readonly call: RpcCall
  readonly value: unknown
  /** Of a block: whether the step takes anything of its list of transactions. Default true. */
  readonly listed?: boolean
}

type Fields = Readonly<Record<string, unknown>>

/** A block as a call asks for it, or as its header says: either may be unknown. */
interface Place {
  readonly number: bigint | undefined
  /** The number as it is written there: mostly all say it in the same way, and need not be read. */
  readonly written?: unknown
  readonly hash: string | undefined
}

interface Header extends Place {
  /** Hashes, by index. Undefined where the answer has no list of them. */
  readonly transactions: List<unknown> | undefined
  readonly hasLogs: boolean
  /** Its list is empty and goes into no row: some nodes leave out transactions of the system, whose receipts they give. */
  readonly unlisted: boolean
  /** Its list is empty, and it says by other fields that there are some. */
  readonly withheld: boolean
}

/** Methods whose answers say which block they are of. */
const COMPARED = new Set([
  'eth_getBlockByNumber',
  'eth_getBlockByHash',
  'eth_getBlockReceipts',
  'eth_getLogs',
  'eth_getBlockTransactionCountByNumber',
  'eth_getBlockTransactionCountByHash',
  'eth_getTransactionByHash',
  'eth_getTransactionByBlockNumberAndIndex',
  'eth_getTransactionByBlockHashAndIndex',
  'eth_getTransactionReceipt',
])

export const isCompared = (method: string): boolean => COMPARED.has(method)
export const isHeader = (method: string): boolean => method === 'eth_getBlockByNumber' || method === 'eth_getBlockByHash'
/** Gives the receipts of a block together. */
export const RECEIPTS = 'eth_getBlockReceipts'
/** Methods whose list is empty of a block without transactions, for which some nodes say `null`. */
export const isListOfBlock = (method: string): boolean => method === RECEIPTS || method === 'eth_getLogs'

/** Receipts that are looked at in one go, which takes some milliseconds. Then signals and timers have their turn. */
const AT_ONCE = 5_000

/** Of a trie that holds nothing. */
const EMPTY_ROOT = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

/** Thrown inside of this file with the words of a contradiction. */
class Contradiction extends Error {}

/**
 * Where the answers of one item contradict what was asked or each other, in words; undefined when they agree. Blocks,
 * transactions, receipts and logs of one block must have its number and hash, each index from 0 once, and the same
 * transactions. What an answer does not say is not compared.
 */
export async function contradiction(told: readonly Told[]): Promise<string | undefined> {
  try {
    const headers = told.flatMap(({ name, call, value, listed }) =>
      isHeader(call.method) && isFields(value) ? [headerOf(name, call, value, listed)] : [],
    )
    const receipts = told.filter(({ call }) => call.method === RECEIPTS)
    for (const each of receipts) await checkReceipts(each, headerFor(placeOf(each.call), headers))
    for (const each of told) {
      const { call } = each
      if (call.method === 'eth_getLogs') checkLogs(each, headers, receipts)
      else if (call.method.startsWith('eth_getBlockTransactionCount')) checkCount(each, headerFor(placeOf(call), headers))
      else if (call.method.startsWith('eth_getTransaction')) checkOne(each, headers)
    }
    return undefined
  } catch (error) {
    if (error instanceof Contradiction) return error.message
    throw error
  }
}

/** Whether an item's answers say that the block that a call asks for has no transactions. */
export function isKnownEmpty(call: RpcCall, told: readonly Told[]): boolean {
  const headers = told.filter((other) => isHeader(other.call.method) && isFields(other.value))
  return headers.some(({ value }) => {
    const { number, hash, transactions } = value as Fields
    const header = { number: quantity(number), hash: text(hash) }
    return isList(transactions) && transactions.length === 0 && !withholds(value as Fields) && isOf(placeOf(call), header)
  })
}

/** Receipts by their index: what is walked beside the transactions of the block must lie as they do. */
export function inOrder(receipts: unknown): unknown {
  if (!isList(receipts)) return receipts
  if (hasIndexes(receipts)) return receipts
  const indexes = Array.from(receipts, (receipt) => (isFields(receipt) ? quantity(receipt.transactionIndex) : undefined))
  if (indexes.every((index, i) => index === undefined || index === BigInt(i)) || indexes.includes(undefined)) return receipts
  const order = indexes.map((_, i) => i).sort((a, b) => Number((indexes[a] as bigint) - (indexes[b] as bigint)))
  return order.map((i) => receipts.at(i))
}

/** Whether all of them say that they lie where they do, as nodes write it. */
function hasIndexes(receipts: List<unknown>): boolean {
  let i = 0
  for (const receipt of only(receipts, ['transactionIndex']))
    if (!isFields(receipt) || receipt.transactionIndex !== `0x${(i++).toString(16)}`) return false
  return true
}

function headerOf(name: string, call: RpcCall, value: Fields, listed = true): Header {
  const header = { number: number(name, 'number', value.number), written: value.number, hash: text(value.hash) }
  const asked = placeOf(call)
  if (asked.number !== undefined && header.number !== undefined && asked.number !== header.number)
    fail(`asked for block ${asked.number} and got ${header.number}`)
  if (asked.hash !== undefined && header.hash !== undefined && !same(asked.hash, header.hash))
    fail(`asked for block ${asked.hash} and got ${header.hash}`)
  const hasLogs = typeof value.logsBloom === 'string' && /[1-9a-f]/i.test(value.logsBloom.slice(2))
  if (!isList(value.transactions)) return { ...header, transactions: undefined, hasLogs, unlisted: false, withheld: false }
  const list = value.transactions
  const withheld = list.length === 0 && withholds(value)
  if (withheld && listed) fail(`${name} has no transactions, and its transactionsRoot and gasUsed say that there are some`)
  const hashes: unknown[] = []
  for (const each of list) {
    hashes.push(isFields(each) ? each.hash : each)
    if (!isFields(each)) continue
    const i = hashes.length - 1
    const what = `${name}: transaction ${i}`
    checkPlace(what, each, header)
    if (!isIndex(what, each, i)) fail(`${what} has the index ${String(each.transactionIndex)}`)
  }
  eachOnce(`${name}: the transaction`, hashes)
  return { ...header, transactions: hashes, hasLogs, unlisted: !listed && hashes.length === 0, withheld }
}

/**
 * Whether a block without a list says that it has transactions: a node that has the header and not the body gives it so. Both
 * must say it, since on a few chains each alone also counts what is no transaction.
 */
export function withholds({ transactionsRoot, gasUsed }: Fields): boolean {
  return (
    hashOf(transactionsRoot) !== undefined && !isZero(transactionsRoot) && transactionsRoot !== EMPTY_ROOT && (quantity(gasUsed) ?? 0n) > 0n
  )
}

async function checkReceipts({ name, call, value }: Told, header: Header | undefined): Promise<void> {
  if (value === null || value === undefined) return
  const list = isList(value) ? value : fail(`${name} is no list`)
  if (header?.withheld === true && list.length === 0)
    fail(`${name} is empty, and the transactionsRoot and gasUsed of the block say that there are some`)
  if (header && !header.transactions) fail(`${name} has ${list.length}, and the block has no list of transactions`)
  if (header?.transactions && !header.unlisted && header.transactions.length !== list.length)
    fail(`${name} has ${list.length} for ${header.transactions.length} transactions`)
  const place = expected(placeOf(call), header, list)
  const once = new Once(`${name}: the transaction`)
  const indexes: LogIndexes = []
  let i = 0
  for (const receipt of list) {
    const what = `${name}: receipt ${i}`
    if (!isFields(receipt)) return fail(`${what} is ${receipt === null ? 'null' : typeof receipt}`)
    if (i % AT_ONCE === AT_ONCE - 1) await turn()
    const hash = header?.unlisted ? undefined : header?.transactions?.at(i)
    // The block has each of its hashes once, so that nothing comes twice where all are its own.
    if (hash === undefined) once.see(receipt.transactionHash)
    else if (
      typeof receipt.transactionHash === 'string' &&
      hash !== receipt.transactionHash &&
      comesBefore(list, i, receipt.transactionHash)
    )
      once.twice(receipt.transactionHash)
    checkPlace(what, receipt, place)
    if (!isIndex(what, receipt, i)) fail(`${name}: the transactionIndex ${i} is missing or comes twice`)
    if (differ(receipt.transactionHash, hash))
      fail(`${what} is of the transaction ${String(receipt.transactionHash)}, not of ${String(hash)}`)
    checkLogsOfReceipt(what, receipt)
    indexes.push(indexesOf(name, logsOf(receipt)))
    i++
  }
  checkLogIndexes(name, indexes)
}

function checkLogsOfReceipt(what: string, receipt: Fields): void {
  const logs = logsOf(receipt)
  if (
    typeof receipt.logsBloom === 'string' &&
    Array.isArray(receipt.logs) &&
    logs.length === 0 &&
    /[1-9a-f]/i.test(receipt.logsBloom.slice(2))
  )
    fail(`${what} has no logs, and its logsBloom says that there are some`)
  logs.forEach((log, i) => {
    if (!isFields(log)) return fail(`${what}: log ${i} is ${log === null ? 'null' : typeof log}`)
    for (const field of ['blockHash', 'transactionHash'] as const)
      if (differ(log[field], receipt[field]) && !isZero(log[field]))
        fail(`${what}: the ${field} of log ${i} is ${String(log[field])}, not ${String(receipt[field])}`)
    for (const field of ['blockNumber', 'transactionIndex'] as const) {
      if (log[field] === receipt[field]) continue
      const [own, its] = [number(what, field, log[field]), number(what, field, receipt[field])]
      if (own !== undefined && its !== undefined && own !== its) fail(`${what}: the ${field} of log ${i} is ${own}, not ${its}`)
    }
  })
}

type LogIndexes = (readonly (bigint | undefined)[])[]

const indexesOf = (name: string, logs: readonly unknown[]): readonly (bigint | undefined)[] =>
  logs.map((log, i) => (isFields(log) ? number(`${name}: log ${i}`, 'logIndex', log.logIndex) : undefined))

/** From 0 without a gap: over the block as nodes count them, or in each transaction, as those of a few chains do. */
function checkLogIndexes(name: string, indexes: LogIndexes): void {
  if (indexes.flat().includes(undefined)) return
  if (indexes.every((some) => isWhole(some)) || isWhole(indexes.flat())) return
  const sorted = (indexes.flat() as bigint[]).sort((a, b) => Number(a - b))
  const at = sorted.findIndex((index, i) => index !== BigInt(i))
  fail(`${name}: the log of index ${at} ${(sorted[at] as bigint) < BigInt(at) ? `comes after another of ${sorted[at]}` : 'is missing'}`)
}

const isWhole = (indexes: readonly (bigint | undefined)[]) =>
  new Set(indexes).size === indexes.length && indexes.every((index) => index !== undefined && index >= 0n && index < BigInt(indexes.length))

function checkLogs({ name, call, value }: Told, headers: readonly Header[], receipts: readonly Told[]): void {
  if (value === null || value === undefined) return
  const list = isList(value) ? [...value] : fail(`${name} is no list`)
  const filter = call.params[0] as Fields
  const asked = placeOf(call)
  const [from, to] = [quantity(filter.fromBlock), quantity(filter.toBlock)]
  const one = asked.number !== undefined || asked.hash !== undefined
  const header = headerFor(asked, headers)
  const place = one ? expected(asked, header, list) : { number: undefined, hash: undefined }
  list.forEach((log, i) => {
    const what = `${name}: log ${i}`
    if (!isFields(log)) return fail(`${what} is ${log === null ? 'null' : typeof log}`)
    checkPlace(what, log, place)
    const at = number(what, 'blockNumber', log.blockNumber)
    if (at !== undefined && ((from !== undefined && at < from) || (to !== undefined && at > to))) fail(`${what} is of block ${at}`)
    checkTransactionOf(what, log, header)
  })
  if (!one) return
  const indexes = list.map((log) => (log as Fields).logIndex)
  if (header?.hasLogs === true && list.length === 0 && isUnfiltered(filter))
    fail(`${name} is empty, and the logsBloom of the block says that there are some`)
  eachOnce(
    `${name}: the log`,
    (list as readonly Fields[]).map((log) =>
      log.logIndex === undefined ? undefined : `${String(log.transactionHash)} ${String(log.logIndex)}`,
    ),
  )
  if (isUnfiltered(filter) && !indexes.includes(undefined))
    checkLogIndexes(
      name,
      byTransaction(list as readonly Fields[]).map((logs) => indexesOf(name, logs)),
    )
  for (const each of receipts) {
    if (!isList(each.value) || !isOf(placeOf(each.call), { ...asked, ...(header ?? {}) })) continue
    const there = Array.from(each.value, (receipt) => logsOf(receipt))
      .flat()
      .filter((log) => isFields(log) && matches(log, filter))
    if (there.length !== list.length) fail(`${name} has ${counted(list.length, 'logs')}, and ${each.name} has ${there.length} of them`)
  }
}

function checkCount({ name, value }: Told, header: Header | undefined): void {
  const count = number(name, 'count', value)
  if (header?.transactions && count !== undefined && count !== BigInt(header.transactions.length))
    fail(`${name} is ${count}, and the block has ${header.transactions.length} transactions`)
}

/** A transaction, or the receipt of one. */
function checkOne({ name, call, value }: Told, headers: readonly Header[]): void {
  if (!isFields(value)) return
  const [first, second] = call.params
  const hash = value.transactionHash ?? value.hash
  const byHash = call.method === 'eth_getTransactionByHash' || call.method === 'eth_getTransactionReceipt'
  const asked: Place = byHash ? { number: undefined, hash: undefined } : { number: quantity(first), hash: hashOf(first) }
  if (byHash && differ(hash, first)) fail(`${name}: asked for the transaction ${String(first)} and got ${String(hash)}`)
  const header = headerFor({ number: number(name, 'blockNumber', value.blockNumber), hash: undefined }, headers)
  checkPlace(name, value, { number: header?.number ?? asked.number, hash: header?.hash ?? asked.hash })
  const index = number(name, 'transactionIndex', value.transactionIndex)
  if (!byHash && index !== undefined && index !== quantity(second)) fail(`${name}: asked for index ${String(second)} and got ${index}`)
  checkTransactionOf(name, { transactionIndex: value.transactionIndex, transactionHash: hash }, header)
  if (call.method === 'eth_getTransactionReceipt') checkLogsOfReceipt(name, value)
}

/** That the block has the transaction that something names, at the index that it names. */
function checkTransactionOf(what: string, { transactionIndex, transactionHash }: Fields, header: Header | undefined): void {
  const index = number(what, 'transactionIndex', transactionIndex)
  if (!header?.transactions || header.unlisted || index === undefined) return
  const { length } = header.transactions
  if (isZero(transactionHash)) return
  if (index >= BigInt(length)) fail(`${what} is of the transaction with index ${index}, and the block has ${length}`)
  const hash = header.transactions.at(Number(index))
  if (differ(transactionHash, hash))
    fail(`${what} is of the transaction ${String(transactionHash)}, and the block has ${String(hash)} there`)
}

function checkPlace(what: string, fields: Fields, place: Place): void {
  const at = fields.blockNumber === place.written ? undefined : number(what, 'blockNumber', fields.blockNumber)
  if (at !== undefined && place.number !== undefined && at !== place.number) fail(`${what} is of block ${at}, not ${place.number}`)
  if (differ(fields.blockHash, place.hash)) fail(`${what} is of block ${String(fields.blockHash)}, not ${place.hash}`)
}

/** Which block the entries of a list must be of: the header's, or what was asked for, or that of the first of them. */
function expected(asked: Place, header: Header | undefined, list: List<unknown>): Place {
  const first = firstOf(list)
  return {
    number: header?.number ?? asked.number ?? quantity(first?.blockNumber),
    written: header?.written,
    hash: header?.hash ?? asked.hash ?? text(first?.blockHash),
  }
}

function comesBefore(list: List<unknown>, end: number, hash: unknown): boolean {
  let i = 0
  for (const each of only(list, ['transactionHash'])) {
    if (i++ === end) return false
    if (isFields(each) && each.transactionHash === hash) return true
  }
  return false
}

function firstOf(list: List<unknown>): Fields | undefined {
  for (const each of list) if (isFields(each)) return each
  return undefined
}

/** Whether a transaction or a receipt that says its index has this one. */
function isIndex(what: string, { transactionIndex }: Fields, i: number): boolean {
  if (transactionIndex === `0x${i.toString(16)}`) return true
  const index = number(what, 'transactionIndex', transactionIndex)
  return index === undefined || index === BigInt(i)
}

/** Logs of the system itself are, on some chains, of no transaction. */
const isZero = (hash: unknown): boolean => typeof hash === 'string' && /^0x0+$/.test(hash)

/** Refuses what comes twice of what is told of. */
class Once {
  readonly #what: string
  readonly #seen = new Set<unknown>()

  constructor(what: string) {
    this.#what = what
  }

  /** @throws {Contradiction} */
  see(name: unknown): void {
    if (name === undefined || name === null) return
    if (this.#seen.has(name)) this.twice(name)
    this.#seen.add(name)
  }

  /** @throws {Contradiction} */
  twice(name: unknown): never {
    fail(`${this.#what} ${String(name)} comes twice`)
  }
}

function eachOnce(what: string, names: readonly unknown[]): void {
  const once = new Once(what)
  for (const name of names) once.see(name)
}

function byTransaction(logs: readonly Fields[]): Fields[][] {
  const lists = new Map<unknown, Fields[]>()
  for (const log of logs) lists.set(log.transactionHash, [...(lists.get(log.transactionHash) ?? []), log])
  return [...lists.values()]
}

function isUnfiltered({ address, topics }: Fields): boolean {
  const any = (list: unknown) => list === undefined || list === null || (Array.isArray(list) && list.every((topic) => topic === null))
  return any(address) && any(topics)
}

/** Whether a log is what a filter asks for. */
function matches(log: Fields, { address, topics }: Fields): boolean {
  const fits = (wanted: unknown, found: unknown) =>
    wanted === undefined || wanted === null || (Array.isArray(wanted) ? wanted : [wanted]).some((each) => !differ(each, found))
  const own = Array.isArray(log.topics) ? (log.topics as unknown[]) : []
  return (
    (Array.isArray(address) && address.length === 0 ? true : fits(address, log.address)) &&
    (!Array.isArray(topics) || topics.every((topic, i) => topic === null || (i < own.length && fits(topic, own[i]))))
  )
}

/** The one block that a call asks for, as far as it says so. */
function placeOf({ method, params: [first] }: RpcCall): Place {
  if (method === 'eth_getLogs') {
    const { fromBlock, toBlock, blockHash } = (first ?? {}) as Fields
    const [from, to] = [quantity(fromBlock), quantity(toBlock)]
    return { number: from === to ? from : undefined, hash: hashOf(blockHash) }
  }
  const { blockNumber, blockHash } = isFields(first) ? first : { blockNumber: first, blockHash: first }
  return { number: quantity(blockNumber), hash: hashOf(blockHash) }
}

function headerFor(asked: Place, headers: readonly Header[]): Header | undefined {
  return headers.find((header) => isOf(asked, header))
}

function isOf(asked: Place, place: Place): boolean {
  if (asked.hash !== undefined) return place.hash !== undefined && same(asked.hash, place.hash)
  return asked.number !== undefined && asked.number === place.number
}

function logsOf(receipt: unknown): readonly unknown[] {
  return isFields(receipt) && Array.isArray(receipt.logs) ? (receipt.logs as unknown[]) : []
}

/** @throws {Contradiction} for something that is there and no quantity. */
function number(what: string, field: string, value: unknown): bigint | undefined {
  if (value === undefined || value === null) return undefined
  return quantity(value) ?? fail(`${what}: ${field} is ${JSON.stringify(value)}, no quantity`)
}

function quantity(value: unknown): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined
  return typeof value === 'string' && /^0x[\da-f]{1,62}$/i.test(value) ? BigInt(value) : undefined
}

const hashOf = (value: unknown): string | undefined => (typeof value === 'string' && /^0x[\da-f]{64}$/i.test(value) ? value : undefined)
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
const same = (a: string, b: string): boolean => a === b || a.toLowerCase() === b.toLowerCase()
const differ = (a: unknown, b: unknown): boolean => typeof a === 'string' && typeof b === 'string' && !same(a, b)
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !isList(value)

function fail(words: string): never {
  throw new Contradiction(words)
}
