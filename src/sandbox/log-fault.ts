import type { SentCall } from './fault.js'
import { logWordings } from './wordings.js'
import type { RpcError } from './wordings.js'

/** What was refused, both ends included, and the last block up to which a range from `from` would have been answered. */
export interface RefusedLogs {
  readonly from: bigint
  readonly to: bigint
  readonly fits: bigint
}

type Says = RpcError | ((refused: RefusedLogs) => RpcError)

/** What nodes and providers do with logs. Each strikes only calls that it changes something of. */
export type LogFault =
  /** Refuses ranges of more than `max` blocks. Default: as QuickNode says it. */
  | { readonly kind: 'log-range'; readonly max: number; readonly error?: Says }
  /** Refuses answers of more than `max` logs, by default as reth says it. `silent`: gives the first `max` as if they were all. */
  | { readonly kind: 'log-cap'; readonly max: number; readonly error?: Says; readonly silent?: boolean }
  /** A log index that lacks logs: in all answers, or in those to ranges of more than `widerThan` blocks. */
  | { readonly kind: 'log-hole'; readonly lacks: LackedLogs; readonly widerThan?: number }
  /** A log index that ends so many blocks below the head: above it there is no log. */
  | { readonly kind: 'log-lag'; readonly blocks: number }
  /** The last log of each answer says that it was removed, is there twice, is of the next block, or has another block's hash. */
  | { readonly kind: 'log-odd'; readonly odd: 'removed' | 'twice' | 'outside' | 'hash' }
  /** The receipts of a block without the last one. */
  | { readonly kind: 'receipts-short' }
  /** The receipts of a block of which the last one with logs lacks its last log. */
  | { readonly kind: 'receipts-hole' }

/** Which logs: one in so many, by block and index; the second one of each block; or those of which the function says so. */
export type LackedLogs = number | 'one-of-several' | ((log: ServedLog) => boolean)

export interface ServedLog {
  readonly block: bigint
  readonly index: number
  readonly address: string
  readonly topics: readonly string[]
}

interface RawLog {
  readonly blockNumber: string
  readonly logIndex: string
  readonly blockHash: string
  readonly address: string
  readonly topics: readonly string[]
  readonly removed: boolean
}

const kinds = new Set<string>([
  'log-range',
  'log-cap',
  'log-hole',
  'log-lag',
  'log-odd',
  'receipts-short',
  'receipts-hole',
] satisfies LogFault['kind'][])

export function isLogFault(fault: { readonly kind: string }): fault is LogFault {
  return kinds.has(fault.kind)
}

/** What the fault makes of a true answer; undefined when it leaves it as it is. */
export function alterLogs(fault: LogFault, call: SentCall, truth: string, head: bigint): string | RpcError | undefined {
  if (fault.kind === 'receipts-short' || fault.kind === 'receipts-hole')
    return call.method === 'eth_getBlockReceipts' ? alterReceipts(fault.kind, truth) : undefined
  const range = call.method === 'eth_getLogs' ? rangeOf(call) : undefined
  if (!range) return undefined
  const { from, to } = range
  if (fault.kind === 'log-range') {
    const max = BigInt(fault.max)
    return to - from < max ? undefined : said(fault.error ?? logWordings.quicknode(fault.max), { from, to, fits: from + max - 1n })
  }
  // What the chain itself gives as logs.
  const logs = JSON.parse(truth) as readonly RawLog[]
  const altered = alterList(fault, logs, { from, to }, head)
  return altered === undefined || 'code' in altered ? altered : JSON.stringify(altered)
}

function alterList(
  fault: Exclude<LogFault, { readonly kind: 'log-range' | 'receipts-short' | 'receipts-hole' }>,
  logs: readonly RawLog[],
  { from, to }: { readonly from: bigint; readonly to: bigint },
  head: bigint,
): readonly RawLog[] | RpcError | undefined {
  switch (fault.kind) {
    case 'log-cap': {
      const over = logs[fault.max]
      if (!over) return undefined
      if (fault.silent) return logs.slice(0, fault.max)
      const fits = BigInt(over.blockNumber) - 1n
      return said(fault.error ?? logWordings.reth(fault.max), { from, to, fits: fits < from ? from : fits })
    }
    case 'log-hole': {
      if (fault.widerThan !== undefined && to - from < BigInt(fault.widerThan)) return undefined
      const kept = logs.filter((log, i) => !isLacked(fault.lacks, log, logs[i - 1]))
      return kept.length < logs.length ? kept : undefined
    }
    case 'log-lag': {
      const kept = logs.filter((log) => BigInt(log.blockNumber) <= head - BigInt(fault.blocks))
      return kept.length < logs.length ? kept : undefined
    }
    case 'log-odd': {
      const last = logs.at(-1)
      return last && [...logs.slice(0, -1), ...oddly(fault.odd, last, to)]
    }
  }
}

function oddly(odd: 'removed' | 'twice' | 'outside' | 'hash', log: RawLog, to: bigint): readonly RawLog[] {
  switch (odd) {
    case 'removed':
      return [{ ...log, removed: true }]
    case 'twice':
      return [log, log]
    case 'outside':
      return [{ ...log, blockNumber: `0x${(to + 1n).toString(16)}` }]
    case 'hash':
      return [{ ...log, blockHash: `0x${'ab'.repeat(32)}` }]
  }
}

function alterReceipts(kind: 'receipts-short' | 'receipts-hole', truth: string): string | undefined {
  // What the chain itself gives as receipts, or null.
  const receipts = JSON.parse(truth) as readonly { readonly logs: readonly unknown[] }[] | null
  if (!receipts || receipts.length === 0) return undefined
  if (kind === 'receipts-short') return JSON.stringify(receipts.slice(0, -1))
  const last = receipts.findLastIndex(({ logs }) => logs.length > 0)
  if (last < 0) return undefined
  return JSON.stringify(receipts.map((receipt, i) => (i === last ? { ...receipt, logs: receipt.logs.slice(0, -1) } : receipt)))
}

function isLacked(lacks: LackedLogs, log: RawLog, before: RawLog | undefined): boolean {
  const [block, index] = [BigInt(log.blockNumber), Number(log.logIndex)]
  if (lacks === 'one-of-several') return before?.blockNumber === log.blockNumber && index === 1
  if (typeof lacks === 'number') return (Number(block % 1_000_003n) * 31 + index) % lacks === 0
  return lacks({ block, index, address: log.address, topics: log.topics })
}

const said = (says: Says, refused: RefusedLogs): RpcError => (typeof says === 'function' ? says(refused) : says)

/** Numbers only: a range by tag or hash is never too wide. */
function rangeOf({ params }: SentCall): { readonly from: bigint; readonly to: bigint } | undefined {
  const { fromBlock, toBlock } = (params[0] ?? {}) as { readonly fromBlock?: unknown; readonly toBlock?: unknown }
  if (typeof fromBlock !== 'string' || typeof toBlock !== 'string' || !/^0x/.test(fromBlock + toBlock)) return undefined
  return { from: BigInt(fromBlock), to: BigInt(toBlock) }
}
