import { openEndpoint } from './endpoint.js'
import type { FakeEndpoint, ServeOptions } from './endpoint.js'
import type { Json } from '../sdk/index.js'
import { matchesFilter, receiptOf } from './source.js'
import type { ChainSource, ContractCall, Hex } from './source.js'

export interface RecordedChainOptions {
  /** Default 1. */
  readonly chainId?: number
  /**
   * Blocks as a node gave them (`eth_getBlockByNumber`), in order and without a gap, as objects or as JSON text. They
   * may begin above 0.
   */
  readonly blocks: readonly (Json | string)[]
  /** Wei after a block. */
  balanceAt(address: Hex, block: bigint): bigint
  /** Receipts of a block as a node gave them, where they were recorded. Logs are read from them. */
  receiptsOf?(block: bigint): Json | undefined
  call?(call: ContractCall, block: bigint): Hex | undefined
}

/** A recorded chain that answers like a node. */
export interface RecordedChain extends ChainSource {
  serve(options?: ServeOptions): Promise<FakeEndpoint>
}

interface RecordedLog {
  readonly address: string
  readonly topics: readonly string[]
}

/** A node made of recorded answers. @throws {RangeError} when blocks are missing. */
export function recordedChain(options: RecordedChainOptions): RecordedChain {
  const texts = options.blocks.map((block) => (typeof block === 'string' ? block : JSON.stringify(block)))
  const numbers = new Map<Hex, bigint>()
  let first: bigint | undefined
  texts.forEach((text, i) => {
    const number = BigInt(field(text, 'number'))
    first ??= number
    if (number !== first + BigInt(i)) throw new RangeError(`recorded block ${first + BigInt(i)} is missing: ${number} comes in its place`)
    numbers.set(field(text, 'hash').toLowerCase(), number)
  })
  const start = first
  if (start === undefined) throw new RangeError('a recorded chain needs at least one block')
  const receipts = (number: bigint): Json | undefined => options.receiptsOf?.(number)

  const chain: RecordedChain = {
    chainId: options.chainId ?? 1,
    head: start + BigInt(texts.length) - 1n,
    blockJson: (number, full) => {
      const text = number < start ? undefined : texts[Number(number - start)]
      return text === undefined || full ? text : withHashesOnly(text)
    },
    numberOf: (hash) => numbers.get(hash.toLowerCase()),
    balance: (address, number) => options.balanceAt(address.toLowerCase(), number),
    call: (call, number) => options.call?.(call, number),
    receiptsJson: (number) => {
      const found = receipts(number)
      return found === undefined ? undefined : JSON.stringify(found)
    },
    receiptJson: (transaction, head) => {
      for (let number = start; number <= chain.head && number <= head; number++) {
        const found = receiptOf(chain.receiptsJson(number), transaction)
        if (found !== undefined) return found
      }
      return undefined
    },
    logsJson: (number, filter) => {
      const found = receipts(number)
      if (!Array.isArray(found)) return []
      // The cast holds for what a node gives as receipts.
      const logs = (found as unknown as readonly { readonly logs: readonly RecordedLog[] }[]).flatMap((receipt) => receipt.logs)
      return logs.filter((log) => matchesFilter(log, filter)).map((log) => JSON.stringify(log))
    },
    serve: (serveOptions) => openEndpoint(chain, serveOptions),
  }
  return chain
}

function field(text: string, name: string): string {
  const value = new RegExp(`"${name}":\\s*"(0x[0-9a-fA-F]+)"`).exec(text)?.[1]
  if (value === undefined) throw new RangeError(`a recorded block has no ${name}: ${text.slice(0, 80)}`)
  return value
}

/** What a node gives without the full flag, also of a block that was recorded with it. */
function withHashesOnly(text: string): string {
  if (!/"transactions":\s*\[\s*\{/.test(text)) return text
  // The cast holds: only blocks with transaction objects come here.
  const block = JSON.parse(text) as { transactions: readonly { readonly hash: string }[] }
  return JSON.stringify({ ...block, transactions: block.transactions.map((transaction) => transaction.hash) })
}
