import type { PipeError } from './errors.js'
import type { BlockPart } from './block-fields.js'
import type { Json } from './values.js'

export interface RpcCall {
  readonly method: string
  readonly params: readonly unknown[]
  /**
   * `null` is an answer, also for what must exist otherwise, and so is an error that says that there is nothing
   * ("requested epoch was a null round"): it is given as `null`.
   */
  readonly nullable?: boolean | undefined
  /**
   * What it gives may be had by other calls. An endpoint that has not answered its method for a while is not asked for it, and where
   * nobody else is left it fails at once, without a wait.
   */
  readonly replaceable?: boolean | undefined
  /**
   * What is looked at of the objects in lists of the answer. Of answers above a megabyte only that is kept, so that tens of megabytes take
   * the time and memory of that alone, and their lists may be `PackedList`; shorter ones have all that the node gave. What is broken beside it
   * is judged in neither. Left out: everything is kept, and judged.
   */
  readonly keep?: KeptFields | undefined
}

/** Fields by name, at any depth. `blooms`: all of them, or those alone that are not zero and that no logs before them explain. */
export interface KeptFields {
  readonly fields: readonly string[]
  readonly blooms: 'all' | 'unexplained'
}

/** Answers of one `batch`, by the index of the call. */
export interface RpcAnswers {
  /** The result of each call; undefined where `errors` has its index. */
  readonly values: readonly unknown[]
  /** Calls that failed for good, each with its own error. Look at its `blame`: a block that nodes do not have yet is an `outage`. */
  readonly errors: ReadonlyMap<number, PipeError> | undefined
  /** Hosts that answered, for the ledger. Never a URL. */
  readonly endpoints: readonly string[]
}

/** What a step asks of the pool for itself. */
export interface RpcOptions {
  readonly signal: AbortSignal
  /**
   * The highest block that the answers depend on. An endpoint whose head is lower is not asked, and a `null` at or
   * below it is an error of the node (it lags or has pruned), not an answer.
   */
  readonly block?: bigint
}

/** What logs are asked for. Addresses and topics are lower-case hex. */
export interface LogFilter {
  /** None: of any contract. */
  readonly addresses: readonly string[]
  /** By position: one of these, or anything (null). */
  readonly topics: readonly (readonly string[] | null)[]
}

/** How much is needed to believe a node, from its word alone to the block's own hashes. */
export type Belief = 'none' | 'empty' | 'bloom' | 'receipts' | 'proof'

export interface RpcLog {
  readonly address: string
  readonly topics: readonly string[]
  readonly data: string
  readonly blockNumber: bigint
  readonly blockHash: string
  readonly transactionHash: string
  readonly transactionIndex: number
  readonly logIndex: number
}

/** `block` is not looked at: each range depends on its own last block. */
export interface LogsOptions extends RpcOptions {
  readonly from: bigint
  readonly to: bigint
  readonly verify: Belief
  /** How many logs a block has, where the caller knows. */
  readonly expect?: number
}

/** A stretch of blocks that was read whole and is believed. */
export interface LogsPage {
  readonly from: bigint
  readonly to: bigint
  /** In the order of blocks and log indexes. */
  readonly logs: readonly RpcLog[]
  /** What it is believed by, for the ledger: `{ logs, verified, headers?, receipts?, refused? … }`. */
  readonly evidence: Json
  readonly endpoints: readonly string[]
  /** Hash of the block before `from`, and of `to`, where headers were read. */
  readonly parentHash?: string | undefined
  readonly lastHash?: string | undefined
}

/** A field that is stored of a part of a block. Without `field`: each part whole, with whatever fields it has. */
export interface UsedField {
  readonly part: BlockPart
  readonly field?: string | undefined
}

/** A block with what its hashes are to prove, as a node gave it. */
export interface BlockParts {
  /** As eth_getBlockByNumber gives it, with transactions whole or by hash. */
  readonly block: unknown
  /** All of its receipts. Undefined: they are not asked about. */
  readonly receipts?: unknown
  /** All of its transactions, whole. Undefined: they are not asked about. */
  readonly transactions?: unknown
  /** What is stored of them, each of which must be proved. */
  readonly used?: readonly UsedField[]
}

/** What a block's hashes say against what was given, or why they say nothing of it. */
export interface Disproof {
  /** A clause: `receiptsRoot is 0x…, and from the rest follows 0x…`. */
  readonly why: string
  /**
   * `form`: the block, or a part of it, has another form than Ethereum's, so that nothing can be computed. `field`: all that was hashed is
   * right, and a used field was not hashed in the form in which it is given.
   */
  readonly by: 'contradiction' | 'form' | 'field'
  /** The field, by `field`. */
  readonly used?: UsedField | undefined
}

/**
 * Several endpoints of one chain behind one function. It forms JSON-RPC batches, limits the rate, retries what may pass
 * on a second try, moves away from an endpoint that fails; a step sees results or final errors.
 */
export interface RpcPool {
  /**
   * Asks all calls and answers in their order. Calls of several `batch`es may share a request; their number is bounded
   * by the endpoint's learned limits and the step's `batch` and `parallel`.
   *
   * @throws {PipeError} with blame `outage` when no endpoint can answer (all down, out of quota, not let in).
   */
  batch(calls: readonly RpcCall[], options: RpcOptions): Promise<RpcAnswers>
  /** One call. @throws {PipeError} */
  request(method: string, params: readonly unknown[], options: RpcOptions): Promise<unknown>
  /**
   * Pages of one range, disjoint, together all of it, in any order. A page that can't be read or believed ends the iteration
   * with its error, after all others.
   *
   * @throws {PipeError} naming the stretch.
   */
  logs(filter: LogFilter, options: LogsOptions): AsyncIterable<LogsPage>
  /**
   * The endpoints, one after the other, each to be asked by itself; after a wait all of them again, until each had as many
   * turns as `rounds`, by default the step's `attempts`. For answers that must agree and do not: what one node says of a
   * block can be compared, what several say was mixed. One that can't be asked now has its turn, too: all its answers are
   * errors with blame `outage`.
   */
  turns(options: RpcOptions & { readonly rounds?: number | undefined }): AsyncIterable<RpcTurn>
  /** Undefined when the hash of a block follows from its header, and the roots in it from all that is given with it. Nobody is asked. */
  prove(parts: BlockParts): Promise<Disproof | undefined>
  /** Resolves when the pool has room for more calls. A step awaits it before each `batch`, so that memory stays bounded. */
  ready(signal: AbortSignal): Promise<void>
}

/** One endpoint of a pool by itself. */
export interface RpcTurn {
  /** Its host. */
  readonly endpoint: string
  /** Like `batch` of the pool, but this endpoint answers all of it. What it can't answer has an error, and nobody else is asked. */
  batch(calls: readonly RpcCall[], options: RpcOptions): Promise<RpcAnswers>
  /** Tells people that its answers to so many calls were refused, and why. */
  refuse(calls: number, why: string): void
}
