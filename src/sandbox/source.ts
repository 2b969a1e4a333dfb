/** `0x` text of an address, hash or quantity. */
export type Hex = string

export interface LogFilter {
  /** Lower case; undefined takes any. */
  readonly addresses: ReadonlySet<string> | undefined
  /** By position; undefined takes any. */
  readonly topics: readonly (ReadonlySet<string> | undefined)[]
}

/** An `eth_call` as it reaches a fake contract. */
export interface ContractCall {
  readonly to: Hex
  readonly data: Hex
  readonly from: Hex | undefined
}

/** What a contract returns as `0x` data, or why it refuses the call. */
export type ContractAnswer = Hex | { readonly revert: string }

/**
 * What endpoints serve: a chain as node answers. `fakeChain` invents one, `recordedChain` replays one. Answers are JSON
 * text, because a server that need not serialise objects is fast enough to measure clients with.
 */
export interface ChainSource {
  readonly chainId: number
  /** The highest block there is. An endpoint may show less. */
  readonly head: bigint
  /** A block with transaction hashes or, `full`, whole transactions. Undefined when there is none. */
  blockJson(number: bigint, full: boolean): string | undefined
  /** The number of the block with this hash, on the current fork. */
  numberOf(hash: Hex): bigint | undefined
  /** The balance in wei after a block. */
  balance(address: Hex, number: bigint): bigint
  /** What a contract returns, or undefined where there is none (a node answers `0x`). */
  call(call: ContractCall, number: bigint): ContractAnswer | undefined
  /** The receipts of a block, or undefined where the source has none. */
  receiptsJson(number: bigint): string | undefined
  /** The receipt of a transaction in a block up to `head`, or undefined where there is none. */
  receiptJson(transaction: Hex, head: bigint): string | undefined
  /** The logs of a block that match, each as JSON text. */
  logsJson(number: bigint, filter: LogFilter): readonly string[]
  /** Calls `listener` when the head may have changed. Calling the result ends that. Left out: it never does. */
  watch?(listener: () => void): () => void
}

/** One of the receipts of a block, by its transaction. */
export function receiptOf(receipts: string | undefined, transaction: Hex): string | undefined {
  // A list of receipts as a source gives it, which have transaction hashes.
  const list = JSON.parse(receipts ?? '[]') as readonly { readonly transactionHash: string }[]
  const found = list.find(({ transactionHash }) => transactionHash.toLowerCase() === transaction.toLowerCase())
  return found && JSON.stringify(found)
}

export function quantity(value: bigint | number): Hex {
  return '0x' + value.toString(16)
}

/** Whether a log is what the filter asks for, by the rules of `eth_getLogs`. */
export function matchesFilter(log: { readonly address: Hex; readonly topics: readonly Hex[] }, filter: LogFilter): boolean {
  if (filter.addresses && !filter.addresses.has(log.address.toLowerCase())) return false
  if (filter.topics.length > log.topics.length) return false
  return filter.topics.every((wanted, i) => wanted === undefined || wanted.has(log.topics[i]!.toLowerCase()))
}
